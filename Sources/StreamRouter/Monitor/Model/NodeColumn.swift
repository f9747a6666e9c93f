/// The columns of the page of nodes.
enum NodeColumn {
  /// In the order in which they stand.
  static let all: [PageColumn<MonitorBoard.Node>] = [
    PageColumn(
      title: "NODE", text: "the node's name in the topology", importance: 1, width: 8...32, alignsRight: false,
      value: { $0.name }),
    PageColumn(
      title: "STATE", text: "up, stale (it answered once), down (it never did)", importance: 2, width: 5...5,
      alignsRight: false, value: { $0.condition.rawValue }),
    PageColumn(
      title: "RELAYS", text: "relays that it runs", importance: 4, width: 6...6,
      value: { $0.reading.snapshot.map { String($0.relays.count) } }),
    PageColumn(
      title: "ENGINES", text: "and in which engines", importance: 8, width: 10...22, alignsRight: false,
      value: { node in
        node.reading.snapshot.map {
          NodeDetailView.engines($0).map { "\($0.name) \($0.relays)" }.joined(separator: ", ")
        }
      }),
    PageColumn(
      title: "PKT/S", text: "packets a second that arrived at its relays", importance: 6, width: 6...6,
      value: { $0.packetsPerSecond.map(Figure.scaled) }),
    load("RUN", 4, "threads running or ready to run", 3) { load, _ in String(load.runnableThreads) },
    load("CPUS", 4, "processors", 5) { load, _ in String(load.processors) },
    load("WAIT%", 5, "time in which a thread that could run waited for a processor (PSI)", 7) {
      $1?.pressureShare.map(Figure.percent)
    },
    load("SIRQ%", 5, "processor time in softirq; relays of engine sandbox run there", 9) {
      $1?.softirqShare.map(Figure.percent)
    },
    load("KSIRQ%", 6, "of it in ksoftirqd, which waits for the scheduler like any thread", 10) {
      $1?.ksoftirqdShare.map(Figure.percent)
    },
    load("STEAL%", 6, "processor time that the hypervisor kept for others", 11) {
      $1?.stealShare.map(Figure.percent)
    },
    load("RXTOP%", 6, "network receive work that the busiest processor did", 12) {
      $1?.busiestNetRxShare.map(Figure.percent)
    },
    PageColumn(
      title: "EXT", text: "mean time of a run of its slowest extension", importance: 13, width: 6...6,
      value: { node in
        node.reading.snapshot.flatMap { snapshot in
          snapshot.relays.flatMap(\.extensions).map(\.meanNs).max().map { Figure.duration(seconds: $0 / 1e9) }
        }
      }),
    PageColumn(
      title: "CLOCK", text: "how far its clock is ahead of the first node's, and how far that can be wrong",
      importance: 15, width: 14...20, value: { $0.condition == .up ? $0.clock?.text : nil }),
    PageColumn(
      title: "UP", text: "how long its daemon has run", importance: 14, width: 4...4,
      value: { node in
        guard node.condition == .up else { return nil }
        return node.reading.snapshot.map {
          Figure.age(seconds: Double($0.timeNs - min($0.timeNs, $0.startedNs)) / 1e9)
        }
      }),
  ]

  /// Of a node that does not answer no load is known.
  private static func load(
    _ title: String, _ cells: Int, _ text: String, _ importance: Int,
    _ value: @escaping @Sendable (NodeLoad, NodeRates?) -> String?
  ) -> PageColumn<MonitorBoard.Node> {
    PageColumn(
      title: title, text: text, importance: importance, width: cells...cells,
      value: { node in
        node.condition == .up ? node.reading.snapshot.flatMap { value($0.load, node.rates) } : nil
      })
  }
}
