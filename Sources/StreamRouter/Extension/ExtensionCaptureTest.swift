import JitterStats
import Topology

/// Runs extensions on the datagrams of a capture, one after the other as on a relay, in every engine that this machine
/// can run: what they would have done, before they are deployed. The engines must agree.
public struct ExtensionCaptureTest: Sendable {
  public struct Settings: Sendable {
    /// The capture.
    public var file: String
    /// pcap-filter(7).
    public var filter = ""
    /// By parameter, or by `extension.parameter`.
    public var parameters: [(name: String, value: ParameterValue)] = []

    public init(file: String) { self.file = file }
  }

  /// Datagrams that are held and run; the rest of the file is counted.
  public static let packetsLimit = 100_000
  /// What the virtual wire of the test takes: 1,500 bytes with the headers of IPv6 and UDP.
  static let bytesLimit = 1_452

  private var vectors: ExtensionVectors
  private var report: ExtensionCaptureReport
  private let objects: [ExtensionObject]

  /// Reads the capture.
  /// - Parameter objects: The chain, in its order.
  /// - Throws: ``CaptureError``; ``ExtensionError`` where a parameter is none of theirs.
  public init(_ objects: [ExtensionObject], _ settings: Settings) throws {
    self.objects = objects
    report = ExtensionCaptureReport(file: settings.file, extensions: objects.map(\.manifest.name))
    var entry = ExtensionVectors.Case(name: settings.file)
    entry.chain = try Self.chain(objects.map(\.manifest), settings.parameters)
    let file = try CaptureFile(path: settings.file, filter: settings.filter)
    var destinations: Set<Endpoint> = []
    var firstNs: UInt64?
    var number: UInt64 = 0
    while let datagram = try file.next() {
      number += 1
      if destinations.count < 64 { destinations.insert(datagram.destination) }
      if entry.packets.count == Self.packetsLimit {
        report.beyondLimit += 1
      } else if datagram.payload.count > Self.bytesLimit {
        report.tooLong += 1
      } else {
        let origin = firstNs ?? datagram.timeNs
        firstNs = origin
        entry.packets.append(Self.packet(datagram, number, sinceNs: origin))
      }
    }
    report.left = file.left
    report.destinations = destinations.map(\.description).sorted()
    Self.settle(&entry, &report)
    entry.isIPv6 = !destinations.isEmpty && destinations.allSatisfy { $0.address.family == .ipv6 }
    vectors = ExtensionVectors(cases: [entry])
  }

  /// - Throws: ``ExtensionError`` where the verifier refuses an extension, and what the network of the test fails by.
  public func run() throws -> ExtensionCaptureReport {
    var report = report
    let entry = vectors.cases[0]
    guard !entry.packets.isEmpty else { return report }
    var sandbox: VectorCaseOutcome?
    if let obstacle = SandboxVectors.obstacle(to: objects.map(\.manifest)) {
      report.skipped = "the kernel's part did not run: \(obstacle)"
    } else {
      // First: an extension that the verifier refuses may never end when it runs here.
      sandbox = try SandboxVectors.run(vectors, on: objects).first
      report.engines.append("bpf")
    }
    let native = try NativeVectors.run(vectors, on: objects)[0]
    report.engines.append("native")
    let manifests = objects.map(\.manifest)
    report.count(native, of: entry, manifests)
    if let sandbox {
      var test = ExtensionTest()
      test.compare(sandbox, native, entry, manifests)
      report.disagreements = UInt64(test.failures.count)
      report.firstDisagreements = test.failures.prefix(ExtensionCaptureReport.disagreementsLimit).map(
        \.description)
    }
    return report
  }

  private static func packet(
    _ datagram: CaptureFile.Datagram, _ number: UInt64, sinceNs: UInt64
  ) -> ExtensionVectors.Packet {
    var packet = ExtensionVectors.Packet(label: "\(number)", line: 0)
    packet.arrivalNs = Int64(bitPattern: datagram.timeNs &- sinceNs)
    packet.datagram = Array(datagram.payload)
    packet.dscp = datagram.dscp
    if datagram.source.port > 0 { packet.sourcePort = datagram.source.port }
    switch MediaPacket(rtpPort: datagram.payload.bytes) {
    case .rtp: packet.isRTP = true
    // The companion port is odd (RFC 3550 section 11); on an even one both are multiplexed (RFC 5761).
    case .rtcp: packet.toRTCPPort = datagram.destination.port % 2 == 1
    case .malformed, .other: break
    }
    return packet
  }

  /// A capture with some RTP meets a relay of RTP, which takes nothing else; any other one of plain UDP.
  private static func settle(_ entry: inout ExtensionVectors.Case, _ report: inout ExtensionCaptureReport) {
    let isRTP = entry.packets.count(where: \.isRTP) * 2 > entry.packets.count
    entry.transport = isRTP ? .rtp : .udp
    report.transport = entry.transport
    let before = entry.packets.count
    if isRTP {
      entry.packets.removeAll { packet in
        if packet.isRTP || packet.toRTCPPort { return false }
        return packet.datagram.withUnsafeBytes { MediaPacket(rtpPort: $0.bytes) != .rtcp }
      }
    } else {
      for place in entry.packets.indices {
        entry.packets[place].isRTP = false
        entry.packets[place].toRTCPPort = false
      }
    }
    report.notRTP = UInt64(before - entry.packets.count)
    report.packets = UInt64(entry.packets.count)
  }

  private static func chain(
    _ manifests: [ExtensionManifest], _ parameters: [(name: String, value: ParameterValue)]
  ) throws -> [ExtensionVectors.Use] {
    var uses = manifests.indices.map { ExtensionVectors.Use(object: $0) }
    for (name, value) in parameters {
      let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
      let owner = parts.count > 1 ? parts[0] : nil
      let parameter = parts.last ?? name
      let places = manifests.indices.filter {
        (owner == nil || manifests[$0].name == owner) && manifests[$0].parameter(parameter) != nil
      }
      guard !places.isEmpty else {
        let known = manifests.flatMap { manifest in
          manifest.parameters.map { manifests.count > 1 ? "\(manifest.name).\($0.name)" : $0.name }
        }
        throw ExtensionError.unreadable(
          file: "--param \(name)",
          reason: "is no parameter of \(manifests.map(\.name).joined(separator: ", "))",
          remedy: known.isEmpty
            ? "leave it out: there are none" : "name one of \(known.joined(separator: ", "))")
      }
      for place in places {
        uses[place].settings[parameter] = value
        if let flaw = manifests[place].flaws(in: [parameter: value]).first {
          throw ExtensionError.unreadable(
            file: "--param \(name)", reason: "cannot be so: \(flaw)", remedy: "give it such a value")
        }
      }
    }
    return uses
  }
}
