/// What is done to the packets that one node sends over one link, in the words of containerlab's `tools netem`.
public struct LabImpairment: Hashable, Sendable, Codable {
  public var link: LabLink
  /// The sending node.
  public var from: String
  public var to: String
  /// Milliseconds that each packet waits.
  public var delayMs: Double?
  /// Milliseconds by which the delay varies.
  public var jitterMs: Double?
  /// Percent of packets that are lost, 0 to 100.
  public var lossPercent: Double?
  /// kbit/s that the link carries.
  public var rateKbit: UInt64?
  /// The BPF program that makes the loss, where netem does not.
  var lossProgram: UInt32?
  /// Packets that this program has dropped.
  public var droppedPackets: UInt64?

  var device: String { LabNames.device(to: to) }

  /// In the words of the command line.
  public var text: String {
    var words: [String] = []
    if let delayMs { words.append("delay \(Self.plain(delayMs)) ms") }
    if let jitterMs { words.append("jitter \(Self.plain(jitterMs)) ms") }
    if let lossPercent { words.append("loss \(Self.plain(lossPercent)) %") }
    if let rateKbit { words.append("rate \(rateKbit) kbit/s") }
    if let droppedPackets { words.append("\(droppedPackets) packets dropped") }
    return "\(from) to \(to): " + words.joined(separator: ", ")
  }

  static func plain(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : String(value)
  }
}

/// What `lab impair` asks for.
public struct LabImpairmentRequest: Hashable, Sendable {
  public enum Direction: String, Hashable, Sendable, CaseIterable {
    case aToB = "a-to-b"
    case bToA = "b-to-a"
    case both
  }

  /// `a--b`, in either order: the order says which node direction `a-to-b` means.
  public var link: String
  public var direction: Direction
  public var delayMs: Double?
  public var jitterMs: Double?
  public var lossPercent: Double?
  public var rateKbit: UInt64?

  public init(
    link: String, direction: Direction = .both, delayMs: Double? = nil, jitterMs: Double? = nil,
    lossPercent: Double? = nil, rateKbit: UInt64? = nil
  ) {
    self.link = link
    self.direction = direction
    self.delayMs = delayMs
    self.jitterMs = jitterMs
    self.lossPercent = lossPercent
    self.rateKbit = rateKbit
  }

  /// Nothing is asked for: the link becomes whole again.
  public var isEmpty: Bool { delayMs == nil && jitterMs == nil && lossPercent == nil && rateKbit == nil }

  /// Milliseconds of a duration as tc writes it: `5ms`, `250us`, `1.5s`, or a plain number of milliseconds.
  /// nil where it is none, negative, or above an hour.
  public static func milliseconds(_ text: String) -> Double? {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0)]
    let unit = units.first { text.hasSuffix($0.0) } ?? ("", 1.0)
    guard let value = Double(text.dropLast(unit.0.count)), value.isFinite, value >= 0 else { return nil }
    return value * unit.1 <= 3_600_000 ? value * unit.1 : nil
  }

  func check() throws(LabError) {
    if let lossPercent, !(0...100).contains(lossPercent) {
      throw .badImpairment(reason: "--loss \(lossPercent) is no share; give percent from 0 to 100")
    }
    if jitterMs != nil, delayMs == nil {
      throw .badImpairment(reason: "--jitter varies a delay; give --delay too")
    }
    if let rateKbit, rateKbit == 0 {
      throw .badImpairment(reason: "--rate 0 lets nothing through; give kbit/s, or --loss 100")
    }
  }

  /// The sending ends that it is about, given the links of a lab.
  func ends(links: [LabLink], topology: String) throws(LabError) -> [(link: LabLink, from: String, to: String)]
  {
    let asked = link.filter { $0 != " " }
    for known in links {
      let forward = asked == known.description
      guard forward || asked == "\(known.b)--\(known.a)" else { continue }
      let (a, b) = forward ? (known.a, known.b) : (known.b, known.a)
      switch direction {
      case .aToB: return [(known, a, b)]
      case .bToA: return [(known, b, a)]
      case .both: return [(known, a, b), (known, b, a)]
      }
    }
    throw .unknownLink(link: link, topology: topology, known: links.map(\.description))
  }
}
