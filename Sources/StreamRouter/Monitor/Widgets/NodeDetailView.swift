/// The page about one node: its daemon, how busy it is and was, how packets spread over its processors, its engines,
/// extensions and relays.
struct NodeDetailView {
  let name: String
  let node: MonitorBoard.Node?
  let rows: [MonitorRow]
  var links: [MonitorLink] = []
  let timeNs: UInt64
  let columns: Int
  let style: MonitorStyle

  private static let nameWidth = 18

  func lines() -> [StyledLine] {
    var title = StyledLine("node \(name)", .title)
    guard let node else {
      title.append("  no longer in the topology", .warning)
      return [title]
    }
    title.append("  \(node.condition.rawValue)", NodeTableView.part(node.condition))
    var lines = [title]
    if let stale = node.reading.staleSeconds {
      let problem = node.reading.problem.map { ": \($0)" } ?? ""
      lines.append(StyledLine("all below is \(Figure.age(seconds: stale)) old\(problem)", .warning))
    }
    guard let snapshot = node.reading.snapshot else {
      return lines + [StyledLine("it never answered" + (node.reading.problem.map { ": \($0)" } ?? ""), .bad)]
    }
    lines += daemon(snapshot) + load(snapshot.load, node.rates)
    let series = SeriesView(node: node.history, columns: columns, style: style).lines()
    if !series.isEmpty { lines += [StyledLine()] + series }
    return lines + processors(snapshot.load) + engines(snapshot) + extensions(snapshot) + relays()
      + linkLines() + datapath(snapshot)
  }

  private func daemon(_ snapshot: NodeSnapshot) -> [StyledLine] {
    let age = Double(snapshot.timeNs - min(snapshot.timeNs, snapshot.startedNs)) / 1e9
    var lines = [
      field("daemon", "process \(snapshot.pid), up \(Figure.age(seconds: age))"),
      field("topology", snapshot.topology),
    ]
    if let clock = node?.clock {
      lines.append(field("clock", "\(clock.text) ahead of the first node's, by test packets"))
    }
    return lines
  }

  private func load(_ load: NodeLoad, _ rates: NodeRates?) -> [StyledLine] {
    func share(_ value: Double?) -> String { value.map { Figure.percent($0) + "%" } ?? Figure.none }
    var threads = field(
      "threads", "\(load.runnableThreads) running or ready to run on \(load.processors) processors")
    if load.runnableThreads > load.processors { threads.append("  more than can run", .warning) }
    return [
      threads,
      field("waiting", "\(share(rates?.pressureShare)) of the time a thread that could run waited (PSI)"),
      field(
        "softirq",
        "\(share(rates?.softirqShare)) of processor time, \(share(rates?.ksoftirqdShare)) in ksoftirqd, which the scheduler runs"
      ),
      field("steal", "\(share(rates?.stealShare)) of processor time kept by the hypervisor"),
      field(
        "receiving", "\(share(rates?.busiestNetRxShare)) of the network's receive work on the busiest processor"
      ),
    ]
  }

  private func processors(_ load: NodeLoad) -> [StyledLine] {
    guard let processors = load.byProcessor, !processors.isEmpty else { return [] }
    let total = max(1, processors.reduce(0) { $0 &+ $1.netRxSoftirqs })
    return [StyledLine(), StyledLine("Receive work by processor, since the machine started", .title)]
      + processors.map { processor in
        var line = field("  CPU \(processor.number)", "")
        line.append(
          TextWidth.fit(
            Figure.scaled(Double(processor.netRxSoftirqs)), to: 7, mark: style.cutMark, alignRight: true)
            + " softirqs, ")
        line.append(
          TextWidth.fit(
            Figure.duration(seconds: processor.interruptSeconds), to: 7, mark: style.cutMark, alignRight: true)
            + " in interrupts  ")
        line.append(
          Sparkline.bar(
            share: Double(processor.netRxSoftirqs) / Double(total), cells: max(4, min(30, columns - 60)),
            unicode: style.unicode), .graph)
        return line
      }
  }

  /// Engines with the number of relays in each, by name.
  static func engines(_ snapshot: NodeSnapshot) -> [(name: String, relays: Int)] {
    Dictionary(grouping: snapshot.relays, by: \.engine.rawValue).map { ($0.key, $0.value.count) }
      .sorted { $0.name < $1.name }
  }

  private func engines(_ snapshot: NodeSnapshot) -> [StyledLine] {
    let reasons = Dictionary(grouping: snapshot.relays, by: \.engine.rawValue)
    return [StyledLine(), StyledLine("Engines", .title)]
      + Self.engines(snapshot).flatMap { engine in
        let why = Set(reasons[engine.name]?.compactMap(\.engineReason) ?? []).sorted()
        return [field("  \(engine.name)", Figure.plural(engine.relays, "relay"))] + why.map { field("", $0) }
      }
  }

  /// Each extension once, over all relays that run it.
  private func extensions(_ snapshot: NodeSnapshot) -> [StyledLine] {
    let found = Dictionary(grouping: snapshot.relays.flatMap(\.extensions)) {
      "\($0.name) \($0.version) [\($0.content.prefix(12))]"
    }
    if found.isEmpty { return [] }
    return [StyledLine(), StyledLine("Extensions", .title)]
      + found.sorted { $0.key < $1.key }.flatMap { name, uses -> [StyledLine] in
        func sum(_ of: (ExtensionSnapshot) -> UInt64) -> UInt64 { uses.reduce(0) { $0 &+ of($1) } }
        let timed = sum(\.timedRuns)
        let mean =
          timed > 0
          ? "mean \(Figure.duration(seconds: Double(sum(\.timedSumNs)) / Double(timed) / 1e9))"
          : "not timed yet"
        let most = uses.map(\.maxNs).max() ?? 0
        var line = StyledLine(
          "    \(Figure.grouped(sum(\.runs))) runs on \(Figure.plural(uses.count, "relay")), \(mean)")
        if most > 0 { line.append(", at most \(Figure.duration(seconds: Double(most) / 1e9))") }
        line.append(", \(Figure.grouped(sum(\.dropped))) dropped")
        let faults = sum(\.faults)
        if faults > 0 { line.append(", \(Figure.grouped(faults)) faults", .bad) }
        return [StyledLine("  \(name)"), line]
      }
  }

  private func relays() -> [StyledLine] {
    if rows.isEmpty { return [] }
    let width = min(32, rows.reduce(0) { max($0, TextWidth.cells($1.relay.stream)) })
    return [StyledLine(), StyledLine("Relays", .title)]
      + rows.map { row in
        var line = StyledLine(
          "  " + TextWidth.fit(TextWidth.clean(row.relay.stream), to: width, mark: style.cutMark)
            + "  hop \(row.relay.hop)  ")
        line.append(
          TextWidth.fit(row.condition.rawValue, to: 5, mark: style.cutMark), TableView.part(row.condition))
        let rate = row.rates.map { Figure.scaled($0.packetsPerSecond) } ?? Figure.none
        let added = row.addedSeconds.map { Figure.duration(seconds: $0) } ?? Figure.none
        line.append("  \(rate) packets/s, adds \(added) of delay variation")
        return line
      }
  }

  private func linkLines() -> [StyledLine] {
    if links.isEmpty { return [] }
    // Every link is one of this node's.
    let shown = PageColumns(LinkColumn.all.filter { $0.title != "FROM" }, fitting: columns - 2)
    return [
      StyledLine(), StyledLine("Links, over the latest \(MonitorLink.windowNs / 1_000_000_000) s", .title),
    ]
      + LinksView(links: links, columns: columns - 2, style: style).table(shown).map { line in
        line.pieces.reduce(into: StyledLine("  ")) { $0.append($1.text, $1.part) }
      }
  }

  private func datapath(_ snapshot: NodeSnapshot) -> [StyledLine] {
    if snapshot.datapath.isEmpty { return [] }
    return [StyledLine(), StyledLine("Datapath of engine sandbox, relays or not", .title)]
      + Counter.node.map { counter in
        var line = field("  \(counter.name)", Figure.grouped(snapshot.datapath[counter.name] ?? 0))
        line.append("  \(counter.text)", .faint)
        return line
      }
  }

  private func field(_ name: String, _ text: String) -> StyledLine {
    var line = StyledLine(TextWidth.fit(name, to: Self.nameWidth, mark: style.cutMark), .faint)
    line.append(text)
    return line
  }
}
