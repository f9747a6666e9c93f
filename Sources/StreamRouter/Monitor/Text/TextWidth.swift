/// How many terminal cells text takes, and how it is cut to a width.
enum TextWidth {
  /// Cells of a text: 2 for wide characters (Unicode Standard Annex 11, W and F), 0 for marks that stand on
  /// the one before.
  static func cells(_ text: String) -> Int {
    if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
    return text.reduce(0) { $0 + cells($1) }
  }

  static func cells(_ character: Character) -> Int {
    let scalars = character.unicodeScalars
    // The emoji selector and joined emoji make two cells of what may be one alone.
    if scalars.count > 1, scalars.contains(where: { $0.value == 0xfe0f || $0.value == 0x200d }) { return 2 }
    return scalars.reduce(0) { max($0, cells($1)) }
  }

  private static func cells(_ scalar: Unicode.Scalar) -> Int {
    // Most of what is no ASCII are the bars and frames of charts; looking up a category takes long.
    if scalar.isASCII || 0x2500...0x25ff ~= scalar.value { return 1 }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format: return 0
    default: return wide.contains { $0.contains(scalar.value) } ? 2 : 1
    }
  }

  private static let wide: [ClosedRange<UInt32>] = [
    0x1100...0x115f, 0x231a...0x231b, 0x2e80...0x303e, 0x3041...0x33ff, 0x3400...0x4dbf, 0x4e00...0x9fff,
    0xa000...0xa4cf, 0xa960...0xa97f, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f, 0xff00...0xff60,
    0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f680...0x1f6ff, 0x1f900...0x1f9ff, 0x20000...0x3fffd,
  ]

  /// The text without what could move the cursor or change the terminal: control characters become `?`. Names
  /// and messages come from other machines.
  static func clean(_ text: String) -> String {
    if text.utf8.allSatisfy({ 0x20...0x7e ~= $0 }) || !text.unicodeScalars.contains(where: isControl) {
      return text
    }
    return String(text.map { $0.unicodeScalars.contains(where: isControl) ? "?" : $0 })
  }

  /// Category Cc, which Unicode never extends.
  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || 0x7f...0x9f ~= scalar.value
  }

  /// The text in at most `width` cells; what does not fit ends in the mark (`…` or `~`).
  static func cut(_ text: String, to width: Int, mark: Character) -> String {
    if cells(text) <= width { return text }
    return width > 0 ? prefix(text, cells: width - 1) + String(mark) : ""
  }

  /// As much of the text's beginning as `cells` hold; a wide character is never halved.
  static func prefix(_ text: String, cells limit: Int) -> String {
    var result = ""
    var used = 0
    for character in text {
      used += cells(character)
      if used > limit { break }
      result.append(character)
    }
    return result
  }

  /// The text in exactly `width` cells.
  static func fit(_ text: String, to width: Int, mark: Character, alignRight: Bool = false) -> String {
    let text = cut(text, to: width, mark: mark)
    let blanks = String(repeating: " ", count: max(0, width - cells(text)))
    return alignRight ? blanks + text : text + blanks
  }
}
