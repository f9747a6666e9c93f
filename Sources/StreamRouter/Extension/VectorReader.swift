import Foundation
import Topology
import Yams

/// From YAML to ``ExtensionVectors``; stops at the first mistake, with its line and column.
struct VectorReader {
  let file: String
  /// Of the extensions that the vectors are for; names are unique.
  let manifests: [ExtensionManifest]
  private static let largestFile = 4 << 20
  private static let mostPackets = 100_000

  /// - Throws: ``ExtensionError/unreadable(file:reason:remedy:)`` whose file is `FILE:LINE:COLUMN`.
  static func read(path: String, for manifests: [ExtensionManifest]) throws(ExtensionError) -> ExtensionVectors
  {
    guard let data = FileManager.default.contents(atPath: path), data.count <= largestFile else {
      throw .unreadable(
        file: path, reason: "cannot be read",
        remedy: "name a file of at most 4 MiB that exists")
    }
    return try read(text: String(decoding: data, as: UTF8.self), file: path, for: manifests)
  }

  static func read(text: String, file: String, for manifests: [ExtensionManifest]) throws(ExtensionError)
    -> ExtensionVectors
  {
    let reader = VectorReader(file: file, manifests: manifests)
    let root: Yams.Node?
    do {
      // Yams reads short strings after they are gone; longer ones live on the heap.
      root = try Yams.compose(yaml: text + String(repeating: "\n", count: 16), .basic)
    } catch {
      throw .unreadable(file: file, reason: "is not YAML: \(error)", remedy: "correct it there")
    }
    guard let root else {
      throw .unreadable(
        file: file, reason: "is empty", remedy: "write a list of cases, each with a name and packets")
    }
    let cases = try reader.sequence(root, "the file", "write a list of cases, each with a name and packets")
    return ExtensionVectors(cases: try cases.map { node throws(ExtensionError) in try reader.testCase(node) })
  }

  // MARK: Cases

  private func testCase(_ node: Yams.Node) throws(ExtensionError) -> ExtensionVectors.Case {
    let entries = try mapping(
      node, "a case",
      [
        "name", "chain", "with", "protocol", "sinks", "family", "hop", "rtp", "packets", "counters",
        "histogram",
      ])
    guard let name = entries["name"] else { throw fault(node, "a case without a name", "give it one") }
    var result = ExtensionVectors.Case(name: try text(name))
    result.chain = try chain(node, entries)
    if let node = entries["protocol"] {
      guard let transport = StreamProtocol(rawValue: try text(node)) else {
        throw fault(node, "is no protocol", "write rtp or udp")
      }
      result.transport = transport
    }
    if let node = entries["sinks"] { result.sinks = try number(node, "sinks", 1...16) }
    if let node = entries["hop"] { result.hop = try number(node, "hop", 0...65535) }
    if let node = entries["family"] {
      result.isIPv6 = try word(node, "a family", ["ipv4": false, "ipv6": true])
    }
    var common = RTPFields()
    if let node = entries["rtp"] { try common.read(node, self) }
    guard let packets = entries["packets"] else { throw fault(node, "a case without packets", "list some") }
    var arrivalNs: Int64 = 0
    for (place, node) in try sequence(packets, "packets", "list packets").enumerated() {
      result.packets += try self.packets(node, place + 1, in: result, common, &arrivalNs)
      guard result.packets.count <= Self.mostPackets else {
        throw fault(node, "more than \(Self.mostPackets) packets", "repeat fewer")
      }
    }
    return result
  }

  // MARK: Extensions

  /// What a case runs: the extensions that it lists, or the only one that there is.
  private func chain(
    _ node: Yams.Node, _ entries: [String: Yams.Node]
  ) throws(ExtensionError) -> [ExtensionVectors.Use] {
    let names = manifests.map(\.name)
    guard let list = entries["chain"] else {
      guard names.count == 1 else {
        throw fault(
          node, "a case without a chain, and there are \(names.count) extensions",
          "list what it runs, such as 'chain: [\(names.joined(separator: ", "))]'")
      }
      return [try use(of: 0, entries)]
    }
    for key in ["with", "counters", "histogram"] {
      if let node = entries[key] {
        throw fault(node, "\(key) beside a chain", "write it behind the name of an extension of the chain")
      }
    }
    let items = try sequence(list, "chain", "list the names of extensions")
    guard (1...Limits.extensionsPerRelay).contains(items.count) else {
      throw fault(list, "a chain of \(items.count)", "list 1 to \(Limits.extensionsPerRelay) extensions")
    }
    return try items.map { item throws(ExtensionError) in
      var entries: [String: Yams.Node] = [:]
      var name = item
      if case .mapping = item {
        entries = try mapping(item, "a use", ["name", "with", "counters", "histogram"])
        guard let node = entries["name"] else {
          throw fault(item, "a use without a name", "name the extension")
        }
        name = node
      }
      guard let object = names.firstIndex(of: try text(name)) else {
        throw fault(
          name, "extension \(try text(name)) is not among those tested (\(names.joined(separator: ", ")))",
          "correct the name, or name its file in the command too")
      }
      return try use(of: object, entries)
    }
  }

  private func use(
    of object: Int, _ entries: [String: Yams.Node]
  ) throws(ExtensionError) -> ExtensionVectors.Use {
    let manifest = manifests[object]
    var result = ExtensionVectors.Use(object: object)
    if let node = entries["with"] {
      for (key, value) in try mapping(node, "with", manifest.parameters.map(\.name)) {
        guard let setting = ParameterValue(try text(value)), let parameter = manifest.parameter(key),
          parameter.accepts(setting)
        else { throw fault(value, "is no value of parameter \(key)", "see 'streamrouter extension show'") }
        result.settings[key] = setting
      }
    }
    if let node = entries["counters"] {
      var counters: [String: UInt64] = [:]
      for (name, value) in try mapping(node, "counters", manifest.counters) {
        counters[name] = try amount(value, "counter \(name)")
      }
      result.counters = counters
    }
    if let node = entries["histogram"] {
      guard manifest.histogram != nil else {
        throw fault(node, "the extension has no histogram", "remove the line")
      }
      if case .scalar = node {
        result.histogram = .init(values: try amount(node, "histogram"))
      } else {
        let entries = try mapping(node, "histogram", ["values", "sum"])
        guard let values = entries["values"] else { throw fault(node, "lacks values", "add 'values: N'") }
        let sum = try entries["sum"].map { node throws(ExtensionError) in try amount(node, "sum") }
        result.histogram = .init(values: try amount(values, "values"), sum: sum)
      }
    }
    return result
  }

  // MARK: Packets

  private func packets(
    _ node: Yams.Node, _ place: Int, in owner: ExtensionVectors.Case, _ common: RTPFields,
    _ arrivalNs: inout Int64
  ) throws(ExtensionError) -> [ExtensionVectors.Packet] {
    let entries = try mapping(
      node, "a packet",
      ["at", "rtp", "payload", "filler", "raw", "port", "dscp", "ttl", "sourcePort", "repeat", "expect"])
    if let node = entries["at"] { arrivalNs = try time(node) }
    var repetition = Repetition()
    if let node = entries["repeat"] { repetition = try self.repetition(node) }
    var packet = ExtensionVectors.Packet(label: "\(place)", line: node.mark?.line ?? 0)
    if let node = entries["dscp"] { packet.dscp = try number(node, "dscp", 0...63) }
    if let node = entries["ttl"] { packet.ttl = try number(node, "ttl", 0...255) }
    if let node = entries["sourcePort"] { packet.sourcePort = try number(node, "sourcePort", 1...65535) }
    if let node = entries["port"] {
      packet.toRTCPPort = try word(node, "a port", ["media": false, "rtcp": true])
      if packet.toRTCPPort, owner.transport != .rtp {
        throw fault(node, "a UDP relay has no RTCP port", "remove the line")
      }
    }
    let filler = try entries["filler"].map { node throws(ExtensionError) in
      [UInt8](repeating: 0, count: try number(node, "filler", 0...9000))
    }
    var fields = common
    var payload: [UInt8] = []
    if let node = entries["payload"] { payload = try hexadecimal(node) }
    payload += filler ?? []
    let raw = try entries["raw"].map { node throws(ExtensionError) in try hexadecimal(node) + (filler ?? []) }
    if let rtp = entries["rtp"] {
      if raw != nil { throw fault(rtp, "rtp beside raw", "keep one of them") }
      try fields.read(rtp, self)
    }
    if raw != nil, let node = entries["payload"] { throw fault(node, "payload beside raw", "keep one of them") }
    packet.isRTP = raw == nil && owner.transport == .rtp
    if !packet.isRTP, let node = entries["rtp"] {
      throw fault(node, "rtp in a case of protocol udp", "write 'protocol: rtp', or payload alone")
    }

    let expectations = try expectations(entries["expect"])
    var result: [ExtensionVectors.Packet] = []
    for copy in 0..<repetition.count {
      packet.label = repetition.count == 1 ? "\(place)" : "\(place).\(copy + 1)"
      packet.arrivalNs = arrivalNs &+ Int64(copy) &* repetition.everyNs
      packet.datagram = raw ?? (packet.isRTP ? fields.header + payload + fields.trailer : payload)
      let expect = expectations[copy % expectations.count]
      packet.expected = try expectation(expect, for: packet, in: owner, repetition, copy)
      result.append(packet)
      fields.sequence &+= repetition.sequence
      fields.timestamp &+= repetition.timestamp
    }
    arrivalNs = packet.arrivalNs
    return result
  }

  private struct Repetition {
    var count = 1
    var everyNs: Int64 = 0
    var sequence: UInt16 = 1
    var timestamp: UInt32 = 0
  }

  private func repetition(_ node: Yams.Node) throws(ExtensionError) -> Repetition {
    var result = Repetition()
    if case .scalar = node {
      result.count = try number(node, "repeat", 1...Self.mostPackets)
      return result
    }
    let entries = try mapping(node, "repeat", ["count", "every", "sequence", "timestamp"])
    guard let count = entries["count"] else { throw fault(node, "repeat without a count", "add 'count: N'") }
    result.count = try number(count, "count", 1...Self.mostPackets)
    if let node = entries["every"] { result.everyNs = try time(node) }
    if let node = entries["sequence"] {
      result.sequence = UInt16(truncatingIfNeeded: try number(node, "sequence", -65535...65535) as Int)
    }
    if let node = entries["timestamp"] {
      result.timestamp = UInt32(
        truncatingIfNeeded: try number(node, "timestamp", -0xffff_ffff...0xffff_ffff) as Int)
    }
    return result
  }

  // MARK: Expectations

  private func expectations(_ node: Yams.Node?) throws(ExtensionError) -> [Yams.Node?] {
    guard let node, case .sequence = node else { return [node] }
    let items = try sequence(node, "expect", "list verdicts")
    guard !items.isEmpty else { throw fault(node, "an empty list of verdicts", "list some") }
    return items
  }

  private func expectation(
    _ node: Yams.Node?, for packet: ExtensionVectors.Packet, in owner: ExtensionVectors.Case,
    _ repetition: Repetition, _ copy: Int
  ) throws(ExtensionError) -> VectorOutcome {
    var result = VectorOutcome(
      verdict: .forward(owner.allSinks), datagram: packet.datagram, dscp: packet.dscp)
    func take(_ node: Yams.Node) throws(ExtensionError) {
      let verdicts: [String: VectorOutcome.Verdict] = [
        "forward": .forward(owner.allSinks), "drop": .drop, "trap": .trap,
      ]
      result.verdict = try word(node, "a verdict", verdicts)
    }
    guard let node else { return result }
    if case .scalar = node {
      try take(node)
    } else {
      let entries = try mapping(node, "expect", ["verdict", "only", "rtp", "payload", "bytes", "dscp"])
      if let node = entries["verdict"] { try take(node) }
      if let node = entries["only"] {
        var mask: UInt32 = 0
        for item in try sequence(node, "only", "list places of sinks such as [0, 2]") {
          mask |= 1 << (try number(item, "a sink", 0...owner.sinks - 1) as UInt32)
        }
        result.verdict = mask == 0 ? .drop : .forward(mask)
      }
      if let node = entries["payload"] {
        let start = packet.isRTP ? packet.datagram.count - packet.payloadCount : 0
        result.datagram.replaceSubrange(start..<packet.datagram.count, with: try hexadecimal(node))
      }
      if let node = entries["rtp"] {
        try RTPFields.patch(
          &result.datagram, node, self, repetition.sequence &* UInt16(truncatingIfNeeded: copy))
      }
      if let node = entries["bytes"] {
        for (key, value) in try mapping(node, "bytes", nil) {
          let bytes = try hexadecimal(value)
          guard let offset = Int(key), offset >= 0, offset + bytes.count <= result.datagram.count else {
            throw fault(
              value, "\(key) is no offset of the datagram", "write one below \(packet.datagram.count)")
          }
          result.datagram.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        }
      }
      if let node = entries["dscp"] { result.dscp = try number(node, "dscp", 0...63) }
    }
    guard case .forward = result.verdict else { return VectorOutcome(verdict: result.verdict) }
    return result
  }
}

extension ExtensionVectors.Packet {
  /// Bytes behind the RTP header of a packet that was made from its fields.
  fileprivate var payloadCount: Int {
    let fixed = 12 + 4 * Int(datagram[0] & 15)
    guard datagram[0] & 0x10 != 0 else { return datagram.count - fixed }
    return datagram.count - fixed - 4 - 4 * (Int(datagram[fixed + 2]) << 8 + Int(datagram[fixed + 3]))
  }
}

/// The RTP header as vectors write it (RFC 3550 section 5.1).
private struct RTPFields {
  var sequence: UInt16 = 0
  var timestamp: UInt32 = 0
  var ssrc: UInt32 = 0x5352_0001
  var payloadType: UInt8 = 96
  var marker = false
  var csrc: [UInt32] = []
  var `extension`: (profile: UInt16, data: [UInt8])?
  var padding: UInt8 = 0

  mutating func read(_ node: Yams.Node, _ reader: VectorReader) throws(ExtensionError) {
    let entries = try reader.mapping(
      node, "rtp",
      ["sequence", "timestamp", "ssrc", "payloadType", "marker", "csrc", "extension", "padding"])
    if let node = entries["sequence"] { sequence = try reader.number(node, "sequence", 0...0xffff) }
    if let node = entries["timestamp"] { timestamp = try reader.number(node, "timestamp", 0...0xffff_ffff) }
    if let node = entries["ssrc"] { ssrc = try reader.number(node, "ssrc", 0...0xffff_ffff) }
    if let node = entries["payloadType"] { payloadType = try reader.number(node, "payloadType", 0...127) }
    if let node = entries["marker"] {
      marker = try reader.word(node, "marker", ["true": true, "false": false])
    }
    if let node = entries["csrc"] {
      let items = try reader.sequence(node, "csrc", "list up to 15 numbers")
      guard items.count <= 15 else { throw reader.fault(node, "more than 15 sources", "list fewer") }
      csrc = try items.map { item throws(ExtensionError) in try reader.number(item, "csrc", 0...0xffff_ffff) }
    }
    if let node = entries["extension"] {
      let entries = try reader.mapping(node, "extension", ["profile", "data"])
      let data = try entries["data"].map { node throws(ExtensionError) in try reader.hexadecimal(node) } ?? []
      guard data.count % 4 == 0 else {
        throw reader.fault(node, "\(data.count) bytes of header extension", "write a multiple of 4")
      }
      let profile: UInt16 =
        try entries["profile"].map { node throws(ExtensionError) in
          try reader.number(node, "profile", 0...0xffff)
        } ?? 0xbede
      self.extension = (profile, data)
    }
    if let node = entries["padding"] { padding = try reader.number(node, "padding", 0...255) }
  }

  var header: [UInt8] {
    var bytes: [UInt8] = [
      0x80 | (padding > 0 ? 0x20 : 0) | (self.extension == nil ? 0 : 0x10) | UInt8(csrc.count),
      payloadType | (marker ? 0x80 : 0),
    ]
    bytes += UDPFrame.big(sequence) + UDPFrame.big(timestamp) + UDPFrame.big(ssrc)
    for source in csrc { bytes += UDPFrame.big(source) }
    if let (profile, data) = self.extension {
      bytes += UDPFrame.big(profile) + UDPFrame.big(UInt16(data.count / 4)) + data
    }
    return bytes
  }

  /// The last byte of the padding says how much it is.
  var trailer: [UInt8] { padding == 0 ? [] : [UInt8](repeating: 0, count: Int(padding) - 1) + [padding] }

  /// Writes expected fields over those of a datagram.
  static func patch(
    _ datagram: inout [UInt8], _ node: Yams.Node, _ reader: VectorReader, _ sequenceStep: UInt16
  ) throws(ExtensionError) {
    guard datagram.count >= 12 else { throw reader.fault(node, "the packet is no RTP", "remove the line") }
    for (key, node) in try reader.mapping(
      node, "rtp", ["sequence", "timestamp", "ssrc", "payloadType", "marker"])
    {
      switch key {
      case "sequence":
        let value: UInt16 = try reader.number(node, key, 0...0xffff)
        datagram.replaceSubrange(2..<4, with: UDPFrame.big(value &+ sequenceStep))
      case "timestamp":
        datagram.replaceSubrange(
          4..<8, with: UDPFrame.big(try reader.number(node, key, 0...0xffff_ffff) as UInt32))
      case "ssrc":
        datagram.replaceSubrange(
          8..<12, with: UDPFrame.big(try reader.number(node, key, 0...0xffff_ffff) as UInt32))
      case "payloadType":
        datagram[1] = datagram[1] & 0x80 | (try reader.number(node, key, 0...127))
      default:
        let marker = try reader.word(node, key, ["true": true, "false": false])
        datagram[1] = datagram[1] & 0x7f | (marker ? 0x80 : 0)
      }
    }
  }
}

// MARK: - Values

extension VectorReader {
  fileprivate func fault(_ node: Yams.Node, _ reason: String, _ remedy: String) -> ExtensionError {
    let place = node.mark.map { ":\($0.line):\($0.column)" } ?? ""
    return .unreadable(file: file + place, reason: reason, remedy: remedy)
  }

  fileprivate func text(_ node: Yams.Node) throws(ExtensionError) -> String {
    guard case .scalar(let scalar) = node else {
      throw fault(node, "a list or mapping where one word belongs", "write a word")
    }
    return scalar.string
  }

  fileprivate func sequence(_ node: Yams.Node, _ what: String, _ remedy: String) throws(ExtensionError) -> [Yams
    .Node]
  {
    guard case .sequence(let items) = node else { throw fault(node, "\(what) is no list", remedy) }
    return Array(items)
  }

  /// - Parameter known: The keys that may stand there; nil: any.
  fileprivate func mapping(
    _ node: Yams.Node, _ what: String, _ known: [String]?
  ) throws(ExtensionError) -> [String: Yams.Node] {
    guard case .mapping(let entries) = node else {
      throw fault(node, "\(what) is no mapping", "write a mapping such as {key: value}")
    }
    var result: [String: Yams.Node] = [:]
    for (key, value) in entries {
      let name = try text(key)
      guard known?.contains(name) ?? true else {
        throw fault(
          key, "\(what) has no \(name)",
          known?.isEmpty ?? true ? "the extension declares none" : "known are \(known!.joined(separator: ", "))"
        )
      }
      result[name] = value
    }
    return result
  }

  fileprivate func word<Value>(
    _ node: Yams.Node, _ what: String, _ values: [String: Value]
  ) throws(ExtensionError) -> Value {
    let word = try text(node)
    guard let value = values[word] else {
      throw fault(node, "\(word) is not \(what)", "write \(values.keys.sorted().joined(separator: " or "))")
    }
    return value
  }

  fileprivate func number<Value: FixedWidthInteger>(
    _ node: Yams.Node, _ what: String, _ range: ClosedRange<Int>
  ) throws(ExtensionError) -> Value {
    guard let number = ParameterValue(try text(node))?.integer.flatMap(Int.init(exactly:)),
      range.contains(number)
    else {
      throw fault(
        node, "\(what) is \(try text(node))", "write a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return Value(number)
  }

  /// What a counter holds.
  fileprivate func amount(_ node: Yams.Node, _ what: String) throws(ExtensionError) -> UInt64 {
    try number(node, what, 0...Int.max)
  }

  /// `20ms`, `-1s`, `0`.
  fileprivate func time(_ node: Yams.Node) throws(ExtensionError) -> Int64 {
    let word = try text(node)
    let units: KeyValuePairs<String, Int64> = ["ns": 1, "us": 1000, "ms": 1_000_000, "s": 1_000_000_000]
    if word == "0" { return 0 }
    if let unit = units.first(where: { word.hasSuffix($0.key) }),
      let number = Int64(word.dropLast(unit.key.count)), number.magnitude < 1 << 32
    {
      return number * unit.value
    }
    throw fault(node, "\(word) is no time", "write a number and its unit, such as 20ms, 150us or -1s")
  }

  fileprivate func hexadecimal(_ node: Yams.Node) throws(ExtensionError) -> [UInt8] {
    let digits = try text(node).filter { !$0.isWhitespace }
    guard digits.utf8.count % 2 == 0, digits.utf8.count <= 18_000, digits.allSatisfy(\.isHexDigit) else {
      throw fault(node, "is no text of bytes", "write two hexadecimal digits for each, such as 41 9a 00")
    }
    let numbers = digits.compactMap(\.hexDigitValue)
    return stride(from: 0, to: numbers.count, by: 2).map { UInt8(numbers[$0] << 4 | numbers[$0 + 1]) }
  }
}
