/// What a stream's user expects of it: the limits under `expect:`, which `streamrouter check` and the monitor judge by.
public struct StreamLimits: Hashable, Sendable, Codable {
  /// In the order of ``StreamLimit/names``; none twice.
  public var limits: [StreamLimit]

  public init(_ limits: [StreamLimit]) { self.limits = limits }
}

/// One limit on one figure of a stream. It holds at every hop.
public struct StreamLimit: Hashable, Sendable, Codable {
  /// What is measured, and its unit.
  public enum Figure: String, Hashable, Sendable, Codable, CaseIterable {
    /// Interarrival jitter (RFC 3550 section 6.4.1), seconds.
    case jitter
    /// Inter-packet delay variation on arrival (RFC 3393), seconds.
    case ipdv
    /// Packet delay variation on arrival (RFC 5481 section 4.2), seconds; protocol rtp alone.
    case pdv
    /// From a packet's arrival at a hop to its hand-over to the device, seconds.
    case residence
    /// Packets of the stream that are gone, a ratio from 0 to 1.
    case loss
    /// Bits a second of UDP payload that arrive.
    case rate

    /// Whether it is judged at a ``StreamLimit/Share`` of the packets.
    var isDistribution: Bool { self == .ipdv || self == .pdv || self == .residence }
    public var isTime: Bool { self == .jitter || isDistribution }
    /// Whether it is a figure of connections too.
    var countsForTCP: Bool { self == .residence || self == .rate }
  }

  /// Of how many packets a duration is the longest.
  public enum Share: String, Hashable, Sendable, Codable, CaseIterable {
    case p50, p99
    case p999 = "p99.9"
    case max
  }

  public var figure: Figure
  /// nil for figures that are one number.
  public var share: Share?
  /// In the figure's unit; at least one of the two is there.
  public var atMost: Double?
  public var atLeast: Double?

  public init(_ figure: Figure, _ share: Share? = nil, atMost: Double? = nil, atLeast: Double? = nil) {
    self.figure = figure
    self.share = share
    self.atMost = atMost
    self.atLeast = atLeast
  }

  /// Its key in the file, such as `jitter` or `ipdv-p99.9`.
  public var name: String { figure.rawValue + (share.map { "-" + $0.rawValue } ?? "") }

  /// All limits that there are, without bounds, in the order of their figures.
  public static let all: [StreamLimit] = Figure.allCases.flatMap { figure in
    figure.isDistribution ? Share.allCases.map { StreamLimit(figure, $0) } : [StreamLimit(figure)]
  }

  /// The keys under `expect:`.
  public static let names = all.map(\.name)
}

// MARK: - In the file

extension StreamLimit {
  /// The texts of a duration, a share of packets, and a range of rates, as topologies/schema.json has them.
  static let timePattern = "^[0-9]+(\\.[0-9]+)?(ns|us|ms|s)$"
  static let lossPattern = "^[0-9]+(\\.[0-9]+)?%$"
  static let ratePattern =
    "^([0-9]+(\\.[0-9]+)?[kMG]?(bit)?\\.\\.([0-9]+(\\.[0-9]+)?[kMG]?(bit)?)?|\\.\\.[0-9]+(\\.[0-9]+)?[kMG]?(bit)?)$"

  /// The limit with the bounds that the text gives it; nil where it gives none.
  ///
  /// - Parameter plain: Whether it was written without quotes, as the number 0 must be.
  func bounded(by text: String, plain: Bool) -> StreamLimit? {
    var limit = self
    switch figure {
    case .loss:
      if text == "0", plain {
        limit.atMost = 0
      } else {
        guard text.hasSuffix("%"), let percent = Self.number(text.dropLast()), percent <= 100 else {
          return nil
        }
        limit.atMost = percent / 100
      }
    case .rate:
      guard let dots = text.firstRange(of: "..") else { return nil }
      let (low, high) = (text[..<dots.lowerBound], text[dots.upperBound...])
      guard !low.isEmpty || !high.isEmpty else { return nil }
      if !low.isEmpty {
        guard let rate = Self.rate(low) else { return nil }
        limit.atLeast = rate
      }
      if !high.isEmpty {
        guard let rate = Self.rate(high), rate >= limit.atLeast ?? 0 else { return nil }
        limit.atMost = rate
      }
    case .jitter, .ipdv, .pdv, .residence:
      let units = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]
      guard let unit = units.first(where: { text.hasSuffix($0.0) }),
        let number = Self.number(text.dropLast(unit.0.count)), number * unit.1 <= 3600
      else { return nil }
      limit.atMost = number * unit.1
    }
    return limit
  }

  /// What to write for the figure.
  var remedy: String {
    switch figure {
    case .loss: "write 0, or a share of the packets such as 0.1%"
    case .rate: "write bits a second as 1M..8M, 1M.. for at least or ..8M for at most, with k, M or G"
    case .jitter, .ipdv, .pdv, .residence: "write a time with its unit, such as 200us or 5ms, at most 3600s"
    }
  }

  /// `8M`, `1.5Mbit`, `64000`.
  private static func rate(_ text: Substring) -> Double? {
    var digits = text.hasSuffix("bit") ? text.dropLast(3) : text
    let factors: [Character: Double] = ["k": 1e3, "M": 1e6, "G": 1e9]
    let factor = digits.last.flatMap { factors[$0] }
    if factor != nil { digits = digits.dropLast() }
    return number(digits).map { $0 * (factor ?? 1) }
  }

  /// Up to 15 digits, with at most one point among them: what a double holds exactly enough.
  private static func number(_ text: Substring) -> Double? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, text.utf8.count <= 16,
      parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } })
    else { return nil }
    return Double(text)
  }
}

/// Decodes the limits of a stream.
extension TopologyDecoder {
  mutating func decodeLimits(_ value: YAMLValue, transport: StreamProtocol?) -> StreamLimits? {
    guard let keys = fields(of: value, Grammar.expectation) else { return nil }
    if case .mapping(let entries) = value.content, entries.isEmpty {
      report(value.position, "expect is empty", "write limits such as {jitter: 5ms, loss: 0.1%}, or remove it")
    }
    var limits: [StreamLimit] = []
    for limit in StreamLimit.all {
      guard let value = keys[limit.name] else { continue }
      if transport == .tcp, !limit.figure.countsForTCP {
        report(
          value.position, "\(limit.name) for protocol tcp, whose segments have no times of their own",
          "remove it, or write protocol: rtp; residence and rate are judged for tcp too")
        continue
      }
      if limit.figure == .pdv, transport == .udp {
        report(
          value.position, "\(limit.name) for protocol udp, which has no timestamps",
          "remove it, or write protocol: rtp; ipdv and jitter are judged for udp too")
        continue
      }
      guard case .scalar(let text, let plain) = value.content,
        let bounded = limit.bounded(by: text, plain: plain)
      else {
        report(value.position, "\(limit.name) is \(value.kind)", limit.remedy)
        continue
      }
      limits.append(bounded)
    }
    return limits.isEmpty ? nil : StreamLimits(limits)
  }
}
