/// Which columns are shown and in which order: one rule for the live view, tables and comma-separated values.
public struct ColumnChoice: Hashable, Sendable {
  /// Why a choice could not be read.
  public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
    case unknown(String)
    case twice(String)
    /// Names of a list beside names with a sign.
    case mixed(String)
    case none

    public var description: String {
      switch self {
      case .unknown(let name):
        "no column is called '\(name)'; give some of \(MonitorColumn.all.map(\.name).joined(separator: ", "))"
      case .twice(let name): "column '\(name)' is named twice; name it once"
      case .mixed(let name):
        "'\(name)' stands beside names with + or -; give a list, such as stream,node,loss, or changes to the usual "
          + "columns, such as +ipdv,-max"
      case .none: "no column is left; keep at least one"
      }
    }
  }

  /// Names of ``MonitorColumn/all`` in the order in which they stand; nil: those that are usual in each place.
  private(set) var names: [String]?
  /// Those that were asked for by name: where the terminal is narrow they stay longest, the first the longest of all.
  private(set) var wanted: [String] = []

  public init() {}

  /// `stream,node,loss` is a list; `+ipdv,-max` adds to the usual columns and takes from them; `all` is every column.
  public init(_ text: String) throws(Failure) {
    let entries = text.split(separator: ",", omittingEmptySubsequences: false).map {
      String($0.filter { $0 != " " })
    }
    if entries == ["all"] {
      names = MonitorColumn.all.map(\.name)
      return
    }
    let changes = entries.filter { $0.hasPrefix("+") || $0.hasPrefix("-") }
    if !changes.isEmpty, let plain = entries.first(where: { !changes.contains($0) }) { throw .mixed(plain) }
    var shown = changes.isEmpty ? [] : Self.usual
    var seen: Set<String> = []
    for entry in entries {
      let name = changes.isEmpty ? entry : String(entry.dropFirst())
      guard MonitorColumn.all.contains(where: { $0.name == name }) else { throw .unknown(name) }
      guard seen.insert(name).inserted else { throw .twice(name) }
      if entry.hasPrefix("-") {
        shown.removeAll { $0 == name }
      } else {
        if !shown.contains(name) { shown.append(name) }
        wanted.append(name)
      }
    }
    if shown.isEmpty { throw .none }
    names = shown
  }

  /// What the live view has room for in a wide terminal.
  private static let usual = MonitorColumn.all.filter { $0.importance != nil }.map(\.name)

  /// As the option takes it; what was chosen in the live view is written down by it.
  var text: String { shownNames.joined(separator: ",") }

  var isUsual: Bool { names == nil }

  private var shownNames: [String] { names ?? Self.usual }

  /// The columns of the live view and of tables.
  var columns: [MonitorColumn] {
    shownNames.compactMap { name in MonitorColumn.all.first { $0.name == name } }
  }

  /// Those of reports, where nothing is a picture; `usual` is what stands there unless something else was chosen.
  func reported(usual: [MonitorColumn]) -> [MonitorColumn] { (isUsual ? usual : columns).filter(\.isSortable) }

  /// The columns that fit `width` cells, with `gap` cells between two: the least important go first.
  func fitting(_ width: Int, gap: Int) -> [MonitorColumn] {
    let chosen = columns
    let ranks = Dictionary(uniqueKeysWithValues: chosen.map { ($0.name, rank($0)) })
    let ranked = chosen.sorted { ranks[$0.name, default: 0] < ranks[$1.name, default: 0] }
    var left = width + gap
    var kept: Set<String> = []
    for column in ranked {
      left -= column.width.lowerBound + gap
      // The first stays in any case: an empty table says nothing.
      if left < 0, !kept.isEmpty { break }
      kept.insert(column.name)
    }
    return chosen.filter { kept.contains($0.name) }
  }

  private func rank(_ column: MonitorColumn) -> Int {
    wanted.firstIndex(of: column.name) ?? wanted.count + (column.importance ?? 1000)
  }

  // MARK: Changed in the live view

  /// Shows the column, or hides it; the last one stays.
  mutating func toggle(_ name: String) {
    var shown = shownNames
    if let index = shown.firstIndex(of: name) {
      if shown.count == 1 { return }
      shown.remove(at: index)
      wanted.removeAll { $0 == name }
    } else {
      shown.append(name)
      wanted.append(name)
    }
    names = shown
  }

  /// Moves a column that is shown one place to the left (-1) or to the right (1).
  mutating func move(_ name: String, by step: Int) {
    var shown = shownNames
    guard let index = shown.firstIndex(of: name), shown.indices.contains(index + step) else { return }
    shown.swapAt(index, index + step)
    names = shown
  }

  func shows(_ name: String) -> Bool { shownNames.contains(name) }

  /// Every column for the page that chooses: those that are shown in their order, then the others.
  var everyName: [String] { shownNames + MonitorColumn.all.map(\.name).filter { !shows($0) } }
}
