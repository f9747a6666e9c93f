import Topology

/// What became of a capture's datagrams in a chain of extensions.
public struct ExtensionCaptureReport: Hashable, Sendable, Codable {
  public var file: String
  /// In the order in which packets meet them.
  public var extensions: [String]
  /// What kind of relay the datagrams met: `rtp` where most of them are RTP.
  public var transport = StreamProtocol.rtp
  /// Where the datagrams of the file went; more than one RTP flow and its RTCP may want a filter.
  public var destinations: [String] = []
  /// Datagrams that were run.
  public var packets: UInt64 = 0
  /// Packets of the file that are no whole UDP datagram.
  public var left: UInt64 = 0
  /// Datagrams that were not run: no RTP on a relay of RTP, too long for the test's wire, and behind
  /// ``ExtensionCaptureTest/packetsLimit``.
  public var notRTP: UInt64 = 0
  public var tooLong: UInt64 = 0
  public var beyondLimit: UInt64 = 0
  public var engines: [String] = []
  /// Why an engine did not run; nil: all did.
  public var skipped: String?
  /// Verdicts.
  public var forwarded: UInt64 = 0
  public var dropped: UInt64 = 0
  /// Packets on which the extension's own arithmetic failed; the relay drops them.
  public var faults: UInt64 = 0
  /// Forwarded packets that leave with other bytes or another DSCP than they came with.
  public var changed: UInt64 = 0
  /// Of each extension, in their order.
  public var accounts: [Account] = []
  /// Packets and counters in which the engines differ, and the first of them.
  public var disagreements: UInt64 = 0
  public var firstDisagreements: [String] = []

  static let disagreementsLimit = 8

  public struct Account: Hashable, Sendable, Codable {
    public var `extension`: String
    public var counters: [Counter]
    /// Values in the histogram, and their sum.
    public var histogramValues: UInt64
    public var histogramSum: UInt64
  }

  public struct Counter: Hashable, Sendable, Codable {
    public var name: String
    public var value: UInt64
  }

  init(file: String, extensions: [String]) {
    self.file = file
    self.extensions = extensions
  }

  mutating func count(
    _ outcome: VectorCaseOutcome, of entry: ExtensionVectors.Case, _ manifests: [ExtensionManifest]
  ) {
    for (packet, outcome) in zip(entry.packets, outcome.packets) {
      switch outcome.verdict {
      case .forward:
        forwarded += 1
        if outcome.datagram != packet.datagram || outcome.dscp != packet.dscp { changed += 1 }
      case .drop, .lost: dropped += 1
      case .trap: faults += 1
      }
    }
    accounts = zip(entry.chain, outcome.accounts).map { use, account in
      let manifest = manifests[use.object]
      return Account(
        extension: manifest.name,
        counters: zip(manifest.counters, account.counters).map { Counter(name: $0, value: $1) },
        histogramValues: account.histogram.reduce(0, &+), histogramSum: account.histogramSum)
    }
  }

  public var text: String {
    func share(_ count: UInt64) -> String {
      packets > 0 ? " (\(Figure.percent(Double(count) / Double(packets))) %)" : ""
    }
    var lines = [
      "\(file) through \(extensions.joined(separator: ", ")): \(Figure.grouped(packets)) \(transport.rawValue) packets "
        + "in \(engines.joined(separator: " and "))",
      "  forwarded \(Figure.grouped(forwarded))\(share(forwarded)), of which changed \(Figure.grouped(changed))",
      "  dropped   \(Figure.grouped(dropped))\(share(dropped))",
    ]
    if faults > 0 {
      lines.append(
        "  faults    \(Figure.grouped(faults))\(share(faults)): an overflow, a division by zero or a bound")
    }
    for account in accounts {
      for counter in account.counters {
        lines.append("  \(account.extension) \(counter.name) \(Figure.grouped(counter.value))")
      }
      if account.histogramValues > 0 {
        lines.append(
          "  \(account.extension) histogram \(Figure.grouped(account.histogramValues)) values, sum "
            + Figure.grouped(account.histogramSum))
      }
    }
    let out = [
      (left, "that are no whole UDP datagram"), (notRTP, "that are neither RTP nor RTCP"),
      (tooLong, "of more than \(ExtensionCaptureTest.bytesLimit) bytes"),
      (beyondLimit, "behind the first \(Figure.grouped(UInt64(ExtensionCaptureTest.packetsLimit)))"),
    ].filter { $0.0 > 0 }.map { "\(Figure.grouped($0.0)) \($0.1)" }
    if !out.isEmpty { lines.append("  left out: \(out.joined(separator: ", "))") }
    if disagreements > 0 {
      lines.append("  the engines differ in \(Figure.grouped(disagreements)) places, such as")
      lines += firstDisagreements.map { "    \($0)" }
    }
    return lines.joined(separator: "\n")
  }
}
