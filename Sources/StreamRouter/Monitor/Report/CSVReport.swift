/// The comma-separated form (RFC 4180, with line feeds): one line for each relay, and one for each node that
/// has none to show, so that a silent node is never just absent.
enum CSVReport {
  private static let nodeColumns = ["time", "nodeState", "staleSeconds", "problem"]

  /// The chosen columns by their keys behind the time; unless some were chosen, all of them and the raw counters.
  static func header(_ choice: ColumnChoice = ColumnChoice()) -> String {
    line(nodeColumns + columns(choice).map(\.key) + counters(choice).map(\.name))
  }

  private static func columns(_ choice: ColumnChoice) -> [MonitorColumn] {
    choice.reported(usual: MonitorColumn.all)
  }

  /// Whoever chose columns wants no others.
  private static func counters(_ choice: ColumnChoice) -> [Counter] { choice.isUsual ? Counter.relay : [] }

  /// The board without the header; what is not known is empty.
  static func body(_ board: MonitorBoard, order: MonitorOrder) -> String {
    let nodes = Dictionary(board.nodes.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let (columns, counters) = (columns(order.columns), counters(order.columns))
    let time = MonitorDocument.text(timeNs: board.timeNs)
    var lines = order.apply(to: board.rows).map { row in
      line(
        (nodes[row.node].map { nodeFields($0, time: time) } ?? [])
          + columns.map { text($0.value(row)) }
          + counters.map { row.relay.counters[$0.name].map(String.init) ?? "" })
    }
    for node in board.nodes where node.reading.snapshot?.relays.isEmpty ?? true {
      lines.append(
        line(
          nodeFields(node, time: time) + columns.map { $0.name == "node" ? node.name : "" }
            + counters.map { _ in "" }))
    }
    return lines.joined()
  }

  private static func nodeFields(_ node: MonitorBoard.Node, time: String) -> [String] {
    [
      time, node.condition.rawValue, node.reading.staleSeconds.map { String($0) } ?? "",
      node.reading.problem ?? "",
    ]
  }

  static func text(_ value: MonitorColumn.Value?) -> String {
    switch value {
    case nil: ""
    case .text(let text): text
    case .integer(let integer): String(integer)
    case .number(let number): String(number)
    }
  }

  static func line(_ fields: [String]) -> String { fields.map(quoted).joined(separator: ",") + "\n" }

  /// RFC 4180 section 2: quotes around what holds a comma, a quote or a line break; quotes within are doubled.
  static func quoted(_ field: String) -> String {
    guard field.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return field }
    return "\"" + field.replacing("\"", with: "\"\"") + "\""
  }
}
