extension PeriodReport {
  /// Comma-separated values (RFC 4180, with line feeds): a header, one line for each hop, and one for each node of which
  /// nothing is known, so that it is never just absent.
  public func csv() -> String {
    let known = Set(streams.flatMap(\.hops).map(\.row.node))
    let unknown = nodes.filter { !known.contains($0.name) }.map { node in
      CSVReport.line(
        span(node) + csvColumns.map { $0.key == "node" ? node.name : "" } + (columns.isUsual ? ["", ""] : [])
          + counters.map { _ in "" })
    }
    return ([csvHeader] + streams.flatMap(\.hops).map(csv) + unknown).joined()
  }

  /// Whoever chose columns wants no others.
  private var counters: [Counter] { columns.isUsual ? Counter.relay : [] }

  private var csvHeader: String {
    CSVReport.line(
      ["start", "end", "nodeState", "silentSeconds"] + csvColumns.map(\.key)
        + (columns.isUsual ? ["from", "protocol"] : [])
        + counters.map(\.name))
  }

  private func span(_ node: Node?) -> [String] {
    [
      MonitorDocument.text(timeNs: startNs), MonitorDocument.text(timeNs: endNs),
      node?.condition.rawValue ?? "",
      node.map { String($0.silentSeconds) } ?? "",
    ]
  }

  private func csv(_ hop: PeriodHop) -> String {
    CSVReport.line(
      span(nodes.first { $0.name == hop.row.node })
        + csvColumns.map { CSVReport.text($0.value(hop)) }
        + (columns.isUsual ? [hop.from ?? "", hop.row.relay.transport.rawValue] : [])
        + counters.map { hop.row.rates?.counters[$0.name].map(String.init) ?? "" })
  }
}
