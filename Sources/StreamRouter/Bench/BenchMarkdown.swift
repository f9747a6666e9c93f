import Foundation

/// Results as docs/RESULTS.md: figures with charts and tables, each with the command that makes it, and what was judged.
public struct BenchMarkdown: Sendable {
  private let results: BenchResults
  /// Where the charts are, seen from the document; nil draws them in characters.
  private let pictures: String?

  /// - Parameter pictures: The folder of the charts as a link of the document, for example `img/results-`.
  public init(results: BenchResults, pictures: String?) {
    self.results = results
    self.pictures = pictures
  }

  public var text: String {
    var lines = [
      "# Results", "",
      "Made by `make bench`, which writes this page from the results of one run (`streamrouter bench report`): no figure here was typed. [How to read it](#what-they-show-and-what-they-do-not) stands at the end.",
      "",
    ]
    lines += machine
    lines += ["## Judged", ""]
    lines += BenchJudgement.table(results).markdown()
    lines += [
      "",
      "Ratios are taken within a round, and the median of the rounds counts; lowest and highest in brackets.",
      "",
    ]
    for part in BenchPart.allCases.sorted(by: { Self.order($0) < Self.order($1) }) { lines += section(part) }
    lines += skipped
    lines += Self.limits
    return lines.joined(separator: "\n")
  }

  private static func order(_ part: BenchPart) -> Int {
    let order: [BenchPart] = [.udp, .tcp, .cost, .fanout, .scale, .channel]
    return order.firstIndex(of: part) ?? order.count
  }

  private var machine: [String] {
    let machine = results.machine
    let settings = results.settings
    var rows = [
      ("machine", machine.summary),
      (
        "run",
        "\(results.date), StreamRouter \(results.program)\(results.revision.map { ", commit \($0)" } ?? "")"
      ),
      (
        "settings",
        "median of \(settings.repetitions) round\(settings.repetitions == 1 ? "" : "s") in which the ways take turns; \(BenchNumber.short(settings.seconds)) s at each offered rate; paced streams of \(BenchNumber.short(settings.transferSeconds)) s; file of \(settings.tcpMegabytes) MB, fetches of at most \(BenchNumber.short(settings.tcpSecondsAtMost)) s"
      ),
    ]
    if !machine.versions.isEmpty {
      rows.append(
        (
          "versions",
          machine.versions.sorted { $0.key < $1.key }.map { "\(BenchWay.title(of: $0.key)) \($0.value)" }
            .joined(separator: ", ")
        ))
    }
    if !machine.mitigations.isEmpty {
      rows.append(
        (
          "mitigations",
          machine.mitigations.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(
            separator: "; ")
        ))
    }
    for remark in results.remarks { rows.append(("remark", remark)) }
    return ["| | |", "|---|---|"] + rows.map { "| \($0.0) | \($0.1) |" } + [""]
  }

  private func section(_ part: BenchPart) -> [String] {
    let figures = results.figures.filter { $0.part == part }
    guard !figures.isEmpty else { return [] }
    let peers = results.settings.ways.contains { $0.isPeer } && (part == .udp || part == .tcp)
    var lines = [
      "## \(Self.title(part))", "", "`sudo streamrouter bench \(part.rawValue)\(peers ? " --peers" : "")`", "",
    ]
    for figure in figures { lines += self.lines(of: figure) }
    return lines
  }

  private func lines(of figure: BenchFigure) -> [String] {
    let highest = figure.series.flatMap { $0.points.compactMap { $0.spread?.median } }.max() ?? 0
    let (scale, unit) = BenchNumber.scale(for: figure.unit, highest)
    var lines = figure.isBeside ? ["\(figure.title), \(unit):", ""] : ["### \(figure.title)", ""]
    if BenchPlot.draws(figure) {
      if let pictures {
        lines += ["![\(figure.title)](\(pictures)\(figure.key).svg)", ""]
      } else {
        lines += ["```"] + BenchChart(figure: figure, style: .blocks).lines + ["```", ""]
      }
    }
    if !figure.isBeside { lines += ["In \(unit), median (lowest to highest):", ""] }
    var table = BenchTable(figure) { BenchNumber.text($0, scale: scale) }
    if figure.key == CostBench.cycles.key {
      table.header.append("the paper's, another machine")
      table.rows = table.rows.map { row in
        row + [CostBench.paper[row[0]].map { BenchNumber.text($0, digits: 0) } ?? ""]
      }
    }
    lines += table.markdown() + [""]
    if let ratios = BenchTable.ratios(figure) {
      lines += [
        figure.better == .higher
          ? "How many times what the other delivers sandbox delivers, within a round:"
          : "How many times what sandbox takes the other takes, within a round:", "",
      ]
      lines += ratios.markdown() + [""]
    }
    if !figure.note.isEmpty { lines += [figure.note, ""] }
    return lines
  }

  private static func title(_ part: BenchPart) -> String {
    switch part {
    case .udp: "UDP: throughput and transfer time against background threads"
    case .tcp: "TCP: a file from Apache"
    case .cost: "What a packet costs"
    case .fanout: "Several sinks"
    case .scale: "Many relays"
    case .channel: "Packets between two processes"
    }
  }

  private var skipped: [String] {
    guard !results.skipped.isEmpty else { return [] }
    return ["## Not measured", ""]
      + results.skipped.map { "- \($0.part.rawValue), \(BenchWay.title(of: $0.way)): \($0.reason)" } + [""]
  }

  private static let limits = [
    "## What they show, and what they do not", "",
    "- **One machine.** Sender, relay and receiver share its memory, its caches and, on a virtual machine, its host with others. Ratios within a round hold better than figures; figures of different machines do not compare.",
    "- **veth, not a network card.** No driver, no interrupt moderation, no DMA: a packet's way through a card is not in it, for no way.",
    "- **Two processors.** The sender has one, the relay with the background threads the other. What counts or receives packets at the end works there too, and takes the same of every way; for TCP both ends are on the sender's.",
    "- **Virtual processors move.** A hypervisor that puts the two on cores with a cache in common, and then on others, changes every figure by a quarter to a third within one run, for tens of seconds. How far apart they were stands below the figures of UDP; figures that are judged were taken while they were near, as far as the run's patience went.",
    "- **Background threads compute and never wait.** They stand for a busy machine, not for a particular one.",
    "- **Softirq work that overruns continues in ksoftirqd,** which is scheduled like any thread: sandbox and kernel forwarding then wait for the scheduler too. Its share stands below the figures that it concerns. Without `CONFIG_IRQ_TIME_ACCOUNTING` the kernel samples softirq time by its tick, so the share is coarse where there is little of it.",
    "- **Transfer time** is one stream of 5,000 packets a second: what waits is the packet, not a queue.",
    "- **Peers** are relays for other purposes, with what those need; their files are in [Benchmarks/peers](../Benchmarks/peers/README.md). They are measured as Debian ships them.",
    "- **The paper's figures** (Qi, Parmer, West: An Efficient End-host Architecture for Cluster Communication, 2004) are of another machine, and of other code: they stand beside ours for the order of magnitude.",
    "",
  ]
}
