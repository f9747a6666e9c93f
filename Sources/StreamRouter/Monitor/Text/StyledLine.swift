/// One line of a frame: pieces of text, each with the part it plays. How a part looks is decided here alone.
struct StyledLine: Hashable, Sendable {
  /// The part that a piece of text plays.
  enum Part: String, Hashable, Sendable, CaseIterable {
    case plain, title, faint, good, warning, bad
    /// Bars and curves.
    case graph
    /// The line that keys act on; not for pieces.
    case selected
  }

  struct Piece: Hashable, Sendable {
    var text: String
    var part: Part
  }

  private(set) var pieces: [Piece] = []
  /// Keys act on this line.
  var isSelected = false

  init() {}

  init(_ text: String, _ part: Part = .plain) { append(text, part) }

  mutating func append(_ text: String, _ part: Part = .plain) {
    if !text.isEmpty { pieces.append(Piece(text: TextWidth.clean(text), part: part)) }
  }

  var text: String { pieces.map(\.text).joined() }
  var cells: Int { pieces.reduce(0) { $0 + TextWidth.cells($1.text) } }

  /// The line in at most `width` cells.
  func cut(to width: Int, mark: Character) -> StyledLine {
    guard cells > width else { return self }
    var line = StyledLine()
    line.isSelected = isSelected
    var left = width - 1
    for piece in pieces where left > 0 {
      let part = TextWidth.prefix(piece.text, cells: left)
      line.append(part, piece.part)
      left = part == piece.text ? left - TextWidth.cells(part) : 0
    }
    if width > 0 { line.append(String(mark), .faint) }
    return line
  }

  /// The line with SGR sequences (ECMA-48 section 8.3.117), as the style's theme has them.
  func rendered(_ style: MonitorStyle) -> String {
    let theme = style.shownTheme
    let ground = isSelected ? "\u{1b}[\(theme.code(.selected))m" : ""
    var result = ground
    for piece in pieces {
      let code = theme.code(piece.part)
      result += code.isEmpty ? piece.text : "\u{1b}[\(code)m\(piece.text)\u{1b}[0m" + ground
    }
    return isSelected ? result + "\u{1b}[0m" : result
  }
}

extension StyledLine {
  /// The line with blanks up to `width` cells.
  func filled(to width: Int) -> StyledLine {
    var line = self
    line.append(String(repeating: " ", count: max(0, width - cells)))
    return line
  }

  func joined(with other: StyledLine) -> StyledLine {
    var line = self
    for piece in other.pieces { line.append(piece.text, piece.part) }
    return line
  }
}
