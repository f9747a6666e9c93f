/// Which rows and columns are shown, and in which order.
struct MonitorOrder: Hashable, Sendable {
  /// A ``MonitorColumn/name``.
  private(set) var column = "stream"
  var isDescending = false
  /// Shown is what contains this text in its stream, node, engine or state, regardless of case; a leading `!`
  /// inverts. Empty shows all.
  var filter = ""
  var columns = ColumnChoice()

  init() {}

  /// `sort` is one of ``MonitorColumn/sortable``; nil: along the way of each stream.
  init(sort: String?, filter: String, columns: ColumnChoice = ColumnChoice()) {
    if let sort { self.sort(by: sort) }
    self.filter = filter
    self.columns = columns
  }

  /// Figures start with the largest, names with the first. A name that is no column leaves the order as it is.
  mutating func sort(by name: String) {
    guard let chosen = MonitorColumn.named(name) else { return }
    column = name
    isDescending = chosen.format != .text && chosen.name != "hop"
  }

  /// The rows that the filter leaves, in order. Rows without a value stand last either way; equal ones follow
  /// the stream's way.
  func apply(to rows: [MonitorRow]) -> [MonitorRow] {
    // A row is large: it is copied once, not at each comparison.
    var places = Array(rows.indices)
    if !filter.isEmpty { places.removeAll { !matches(rows[$0]) } }
    guard let column = MonitorColumn.named(column) else { return places.map { rows[$0] } }
    let values = rows.map(column.value)
    places.sort { a, b in
      switch (values[a], values[b]) {
      case (nil, nil): Self.alongTheWay(rows[a], rows[b])
      case (nil, _): false
      case (_, nil): true
      case (let x?, let y?):
        x == y ? Self.alongTheWay(rows[a], rows[b]) : isDescending ? Self.isLess(y, x) : Self.isLess(x, y)
      }
    }
    return places.map { rows[$0] }
  }

  func matches(_ row: MonitorRow) -> Bool {
    let inverts = filter.hasPrefix("!")
    let wanted = (inverts ? filter.dropFirst() : filter[...]).lowercased()
    if wanted.isEmpty { return true }
    let found = [row.relay.stream, row.node, row.relay.engine.rawValue, row.condition.rawValue]
      .contains { $0.lowercased().contains(wanted) }
    return found != inverts
  }

  private static func alongTheWay(_ a: MonitorRow, _ b: MonitorRow) -> Bool {
    if a.relay.stream != b.relay.stream { return NaturalOrder.isLess(a.relay.stream, b.relay.stream) }
    return (a.relay.hop, a.node) < (b.relay.hop, b.node)
  }

  private static func isLess(_ a: MonitorColumn.Value, _ b: MonitorColumn.Value) -> Bool {
    switch (a, b) {
    case (.text(let a), .text(let b)): NaturalOrder.isLess(a, b)
    case (.integer(let a), .integer(let b)): a < b
    case (.number(let a), .number(let b)): a < b
    default: false
    }
  }
}
