/// What the live view shows and how it answers to keys: readings in, keys in, time in; no clock, no terminal.
struct MonitorState: Sendable {
  /// What fills the screen.
  enum Page: Hashable, Sendable {
    case table
    case detail(MonitorRow.ID)
    case nodes
    case node(String)
    case links
    case events
    case columns
    case help

    /// Whether keys select one of its lines.
    var hasCursor: Bool { self == .nodes || self == .columns }
  }

  /// What a key asks of whoever runs the monitor.
  enum Action: Hashable, Sendable {
    case none
    case quit(keepScreen: Bool)
    /// While a recording is played.
    case play(Player.Command)
  }

  /// What becomes of a recording that is made while the view runs.
  enum RecordingState: Hashable, Sendable { case none, running, stopped }

  /// Cells of the terminal.
  struct Size: Hashable, Sendable {
    var columns: Int
    var rows: Int

    /// Below this nothing useful fits.
    static let least = Size(columns: 40, rows: 8)
    var isTooSmall: Bool { columns < Self.least.columns || rows < Self.least.rows }
  }

  private(set) var size: Size
  /// Where `esc` leads back to is always the table.
  private(set) var page = Page.table
  private(set) var order: MonitorOrder
  /// Whether keys go into the filter.
  private(set) var isEditingFilter = false
  /// The rows on show, filtered and in order.
  private(set) var rows: [MonitorRow] = []
  /// Index of the first row on the screen.
  private(set) var top = 0
  /// First line on the screen of all pages but the table.
  private(set) var scroll = 0
  private var selectedID: MonitorRow.ID?
  private(set) var theme: MonitorTheme
  /// What keys act on in the page of nodes, and in that of columns; empty: the first.
  private var cursors: [Page: String] = [:]
  private var live = MonitorBoard()
  private var frozen: MonitorBoard?

  /// What is played; nil: the nodes are read.
  var player: Player?
  var recording = RecordingState.none

  init(size: Size, order: MonitorOrder = MonitorOrder(), theme: MonitorTheme = .standard) {
    self.size = size
    self.theme = theme
    self.order = order
  }

  /// What is on show: the latest readings, or those at the moment of freezing.
  var board: MonitorBoard { frozen ?? live }
  var isFrozen: Bool { frozen != nil }

  /// Index of the selected row; nil where there is none.
  var selected: Int? {
    if rows.isEmpty { return nil }
    return selectedID.flatMap { id in rows.firstIndex { $0.id == id } } ?? 0
  }

  mutating func take(_ readings: [NodeReading], timeNs: UInt64) {
    live.take(readings, timeNs: timeNs)
    if frozen == nil { arrange() }
  }

  /// Shows another moment.
  mutating func show(_ board: MonitorBoard) {
    live = board
    arrange()
  }

  mutating func resize(_ size: Size) {
    self.size = size
    settle()
  }

  mutating func press(_ key: Key) -> Action {
    if key == .control("c") { return .quit(keepScreen: false) }
    if isEditingFilter {
      edit(key)
      return .none
    }
    let choosesColumn = page == .columns && key == .character(" ")
    if player != nil, !choosesColumn, let command = Player.Command(key) { return .play(command) }
    switch key {
    case .character("q"): return .quit(keepScreen: false)
    case .character("Q"): return .quit(keepScreen: true)
    case .character("?"), .character("h"): turn(to: page == .help ? .table : .help)
    case .character("e"): turn(to: page == .events ? .table : .events)
    case .character("n"): turn(to: page == .nodes ? .table : .nodes)
    case .character("l"): turn(to: page == .links ? .table : .links)
    case .character("c"): turn(to: page == .columns ? .table : .columns)
    case .character("t"): theme = theme.next
    case .character(" ") where page == .columns: changeColumns { $0.toggle($1) }
    case .character(" "): freeze()
    case .escape: back()
    default:
      if page == .table {
        pressInTable(key)
      } else if page.hasCursor {
        pressInList(key)
      } else {
        pressInText(key)
      }
    }
    return .none
  }

  private mutating func back() {
    if case .node = page {
      turn(to: .nodes)
    } else if page != .table {
      turn(to: .table)
    } else if !order.filter.isEmpty {
      order.filter = ""
      arrange()
    }
  }

  private mutating func turn(to page: Page) {
    self.page = page
    scroll = 0
    if page.hasCursor { showCursor() }
  }

  private mutating func freeze() {
    frozen = frozen == nil ? live : nil
    arrange()
  }

  private mutating func pressInTable(_ key: Key) {
    switch key {
    case .up, .character("k"): select((selected ?? 0) - 1)
    case .down, .character("j"): select((selected ?? 0) + 1)
    case .pageUp, .control("b"): select((selected ?? 0) - layout.rows)
    case .pageDown, .control("f"): select((selected ?? 0) + layout.rows)
    case .home, .character("g"): select(0)
    case .end, .character("G"): select(rows.count - 1)
    case .enter: if let selected { turn(to: .detail(rows[selected].id)) }
    case .character("/"): isEditingFilter = true
    case .character("<"), .left: moveSort(by: -1)
    case .character(">"), .right: moveSort(by: 1)
    case .character("r"):
      order.isDescending.toggle()
      arrange()
    default: break
    }
  }

  // MARK: Pages with a cursor

  /// What the cursor of a page goes over.
  private var entries: [String] {
    page == .nodes ? board.nodes.map(\.name) : page == .columns ? order.columns.everyName : []
  }

  /// What keys act on in the page on show; nil where it has no cursor, or nothing to act on.
  var cursor: String? {
    let entries = self.entries
    return cursors[page].flatMap { entries.contains($0) ? $0 : nil } ?? entries.first
  }

  private mutating func pressInList(_ key: Key) {
    let entries = self.entries
    let place = cursor.flatMap(entries.firstIndex) ?? 0
    let screen = max(1, MonitorView.textRows(size) - 1)
    let target: Int? =
      switch key {
      case .up, .character("k"): place - 1
      case .down, .character("j"): place + 1
      case .pageUp, .control("b"): place - screen
      case .pageDown, .control("f"): place + screen
      case .home, .character("g"): 0
      case .end, .character("G"): entries.count - 1
      default: nil
      }
    if let target, !entries.isEmpty {
      cursors[page] = entries[max(0, min(entries.count - 1, target))]
    } else if page == .columns {
      pressInColumns(key)
    } else if key == .enter, let cursor {
      turn(to: .node(cursor))
      return
    }
    showCursor()
  }

  private mutating func pressInColumns(_ key: Key) {
    switch key {
    case .character("J"): changeColumns { $0.move($1, by: 1) }
    case .character("K"): changeColumns { $0.move($1, by: -1) }
    case .character("d"): changeColumns { choice, _ in choice = ColumnChoice() }
    case .enter: turn(to: .table)
    default: break
    }
  }

  private mutating func changeColumns(_ change: (inout ColumnChoice, String) -> Void) {
    guard let cursor else { return }
    // The list is in the order of the choice: the cursor stays on its column.
    cursors[.columns] = cursor
    change(&order.columns, cursor)
    settle()
    if page.hasCursor { showCursor() }
  }

  /// Scrolls so that the line with the cursor is on the screen.
  private mutating func showCursor() {
    let rows = MonitorView.textRows(size)
    let line = MonitorView.cursorLine(self) ?? 0
    scroll = max(line - rows + 1, min(scroll, line <= 1 ? 0 : line))
    scroll = max(0, min(scroll, MonitorView.textLength(self) - rows))
  }

  /// To the stream's next hop (1), or to the one before (-1), round and round.
  private mutating func moveAlongPath(by step: Int) {
    guard case .detail(let id) = page else { return }
    let hops = StreamPath(stream: id.stream, rows: board.rows).hops
    guard let place = hops.firstIndex(of: id) else { return }
    let next = hops[(place + step + hops.count) % hops.count]
    page = .detail(next)
    if rows.contains(where: { $0.id == next }) { selectedID = next }
    settle()
  }

  /// Keys of the pages detail, node, links, events and help.
  private mutating func pressInText(_ key: Key) {
    switch key {
    case .right, .tab, .character(">"): moveAlongPath(by: 1)
    case .left, .character("<"): moveAlongPath(by: -1)
    case .up, .character("k"): scroll -= 1
    case .down, .character("j"): scroll += 1
    case .pageUp, .control("b"): scroll -= size.rows - 3
    case .pageDown, .control("f"): scroll += size.rows - 3
    case .home, .character("g"): scroll = 0
    case .end, .character("G"): scroll = .max
    case .enter: back()
    default: break
    }
    scroll = max(0, min(scroll, MonitorView.textLength(self) - MonitorView.textRows(size)))
  }

  private mutating func edit(_ key: Key) {
    switch key {
    case .enter: isEditingFilter = false
    case .escape:
      isEditingFilter = false
      order.filter = ""
    case .backspace:
      if order.filter.isEmpty { isEditingFilter = false } else { order.filter.removeLast() }
    case .character(let character) where order.filter.count < 64: order.filter.append(character)
    default: break
    }
    arrange()
  }

  /// Goes round the columns on show, in their order.
  private mutating func moveSort(by step: Int) {
    let names = layout.columns.filter(\.isSortable).map(\.name)
    let now = names.firstIndex(of: order.column) ?? 0
    order.sort(by: names[(now + step + names.count) % names.count])
    arrange()
  }

  private mutating func select(_ index: Int) {
    guard !rows.isEmpty else { return }
    selectedID = rows[max(0, min(rows.count - 1, index))].id
    settle()
  }

  private mutating func arrange() {
    rows = order.apply(to: board.rows)
    settle()
  }

  /// Keeps the selection on the screen, and no blank below the last row.
  private mutating func settle() {
    let visible = layout.rows
    let selected = self.selected ?? 0
    top = max(selected - visible + 1, min(top, selected))
    top = max(0, min(top, rows.count - visible))
  }

  /// Where things stand on the screen.
  var layout: MonitorLayout {
    MonitorLayout(size: size, nodes: board.nodes.count, relays: rows.count, choice: order.columns)
  }
}
