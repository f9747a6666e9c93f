/// One demand on the results: a ratio that must be reached, computed from them and never by hand.
public struct BenchJudgement: Sendable {
  public enum Wanted: Hashable, Sendable {
    case atLeast(Double)
    case atMost(Double)
    case below(Double)

    func holds(_ value: Double) -> Bool {
      switch self {
      case .atLeast(let limit): value >= limit
      case .atMost(let limit): value <= limit
      case .below(let limit): value < limit
      }
    }

    func text(_ unit: String) -> String {
      let (word, limit) =
        switch self {
        case .atLeast(let limit): ("at least", limit)
        case .atMost(let limit): ("at most", limit)
        case .below(let limit): ("below", limit)
        }
      return "\(word) \(BenchNumber.short(limit))\(unit)"
    }
  }

  public var subject: String
  public var wanted: Wanted
  /// Empty for a ratio.
  public var unit = ""
  /// What was found, by round; nil where it was not measured.
  public var found: BenchSpread?

  /// nil where it was not measured.
  public var isReached: Bool? { (found?.median).map(wanted.holds) }

  /// `reached`, `not reached`, `not measured`.
  public var verdict: String {
    switch isReached {
    case true?: "reached"
    case false?: "not reached"
    case nil: "not measured"
    }
  }

  /// All demands, in the order in which the project states them.
  public static func all(_ results: BenchResults) -> [BenchJudgement] {
    let (process, kernel, sandbox, fifo) = ("process", "kernel", "sandbox", "sandbox-fifo")
    let peers = BenchWay.peers.map(\.rawValue)
    let (best, tcp, p999) = (
      results.figure("udp-best"), results.figure("tcp-rate"), results.figure("transfer-p999")
    )
    let (cost, fanout) = (results.figure("cost-path"), results.figure("fanout-cost"))
    let further = results.figure("fanout-further")
    let scale = results.figure("scale-cost")
    let channel = results.figure("channel-throughput")
    func peer(_ figure: BenchFigure?, at x: Int) -> String? { figure?.best(of: peers, at: x) }
    func title(_ figure: BenchFigure?, at x: Int) -> String {
      peer(figure, at: x).map { " (\(BenchWay.title(of: $0)))" } ?? ""
    }
    func ratio(_ figure: BenchFigure?, _ way: String, _ x: Int, _ other: String?, _ otherX: Int? = nil)
      -> BenchSpread?
    {
      other.flatMap { figure?.ratio(way, at: x, to: $0, at: otherX) }
    }
    /// By round, since what a further sink costs is another figure than what the first does.
    func furtherShare() -> BenchSpread? {
      guard let last = further?.places.last, let more = further?.point("udp", at: last),
        let first = fanout?.point("udp", at: 1)
      else { return nil }
      return BenchSpread(
        zip(more.values, first.values).compactMap { more, first in
          guard let more, let first else { return nil }
          return more / first
        })
    }
    return [
      .init(
        subject: "UDP at the best rate, no threads: sandbox to process", wanted: .atLeast(3),
        found: ratio(best, sandbox, 0, process)),
      .init(
        subject: "UDP at the best rate, no threads: sandbox to kernel forwarding", wanted: .atLeast(1.15),
        found: ratio(best, sandbox, 0, kernel)),
      .init(
        subject: "UDP at the best rate, no threads: sandbox to the best peer\(title(best, at: 0))",
        wanted: .atLeast(3), found: ratio(best, sandbox, 0, peer(best, at: 0))),
      .init(
        subject: "UDP at the best rate: sandbox with 64 threads to its own figure with none",
        wanted: .atLeast(0.95),
        found: ratio(best, sandbox, 64, sandbox, 0)),
      .init(
        subject: "UDP at the best rate: sandbox with ksoftirqd at SCHED_FIFO, the same", wanted: .atLeast(0.95),
        found: ratio(best, fifo, 64, fifo, 0)),
      .init(
        subject: "The sender meanwhile: offered with 64 threads to offered with none", wanted: .atLeast(0.95),
        found: ratio(results.figure("udp-offered"), sandbox, 64, sandbox, 0)),
      .init(
        subject: "Transfer time p99.9: sandbox with 64 threads to its own with none", wanted: .atMost(1.3),
        found: ratio(p999, sandbox, 64, sandbox, 0)),
      .init(
        subject: "Transfer time p99.9, 64 threads: process to sandbox", wanted: .atLeast(50),
        found: ratio(p999, process, 64, sandbox)),
      .init(
        subject: "TCP, no threads: packet mode to kernel forwarding", wanted: .atLeast(0.95),
        found: ratio(tcp, sandbox, 0, kernel)),
      .init(
        subject: "TCP, 8 threads: packet mode to the best proxy\(title(tcp, at: 8))", wanted: .atLeast(1.5),
        found: ratio(tcp, sandbox, 8, peer(tcp, at: 8))),
      .init(
        subject: "Relay path in BPF test-run, IPv4 UDP, one sink, with account", wanted: .below(150),
        unit: " ns",
        found: cost?.spread("udp", at: 0)),
      .init(
        subject: "Each further sink (of 16) to the first", wanted: .below(0.6), found: furtherShare()),
      .init(
        subject: "Relay path with 10,000 relays to that with a pair (flat: at most 1.10)", wanted: .atMost(1.1),
        found: ratio(scale, "udp", 10_000, "udp", 2)),
      .init(
        subject: "UDP at the best rate, no threads: process to the best peer\(title(best, at: 0))",
        wanted: .atLeast(1), found: ratio(best, process, 0, peer(best, at: 0))),
      .init(
        subject: "TCP, no threads: split mode to the best proxy\(title(tcp, at: 0))", wanted: .atLeast(1),
        found: ratio(tcp, process, 0, peer(tcp, at: 0))),
      .init(
        subject: "Channel between two processes, descriptors", wanted: .atLeast(10_000_000), unit: " /s",
        found: channel?.spread(PassingWay.channel.title, at: 0)),
      .init(
        subject: "Channel between two processes, descriptors: to a Unix datagram socket", wanted: .atLeast(5),
        found: ratio(channel, PassingWay.channel.title, 0, PassingWay.datagram.title)),
      .init(
        subject: "Channel between two processes, descriptors: to the same with sendmmsg", wanted: .atLeast(5),
        found: ratio(channel, PassingWay.channel.title, 0, PassingWay.datagrams.title)),
    ]
  }

  static func table(_ results: BenchResults) -> BenchTable {
    BenchTable(
      header: ["judged", "wanted", "found", ""],
      rows: all(results).map { judgement in
        [
          judgement.subject, judgement.wanted.text(judgement.unit),
          judgement.found.map { BenchNumber.text($0) + judgement.unit } ?? "-", judgement.verdict,
        ]
      })
  }
}
