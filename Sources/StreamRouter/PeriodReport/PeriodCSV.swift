extension PeriodReport {
  /// Comma-separated values (RFC 4180, with line feeds): a header, one line for each hop, and one for each node of which
  /// nothing is known, so that it is never just absent.
  public func csv() -> String {
    let known = Set(streams.flatMap(\.hops).map(\.row.node))
    let unknown = nodes.filter { !known.contains($0.name) }.map { node in
      CSVReport.line(
        span(node) + PeriodHop.columns.map { $0.key == "node" ? node.name : "" } + ["", ""]
          + Counter.relay.map { _ in "" })
    }
    return ([Self.csvHeader] + streams.flatMap(\.hops).map(csv) + unknown).joined()
  }

  static var csvHeader: String {
    CSVReport.line(
      ["start", "end", "nodeState", "silentSeconds"] + PeriodHop.columns.map(\.key) + ["from", "protocol"]
        + Counter.relay.map(\.name))
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
        + PeriodHop.columns.map { CSVReport.text($0.value(hop)) }
        + [hop.from ?? "", hop.row.relay.transport.rawValue]
        + Counter.relay.map { hop.row.rates?.counters[$0.name].map(String.init) ?? "" })
  }
}
