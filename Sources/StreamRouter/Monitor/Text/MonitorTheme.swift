/// How each part of the monitor looks, in the codes of SGR (ECMA-48 section 8.3.117).
///
/// State never shows by colour alone: the word stands there as well.
public struct MonitorTheme: Hashable, Sendable {
  /// Why a theme could not be read.
  public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
    case unknown(String)
    case unknownPart(String)
    case noCode(part: String, code: String)

    public var description: String {
      switch self {
      case .unknown(let name):
        "no theme is called '\(name)'; give one of \(MonitorTheme.names.joined(separator: ", ")), or PART=SGR pairs "
          + "such as good=34,bad=1;35"
      case .unknownPart(let part):
        "no part is called '\(part)'; parts are \(StyledLine.Part.allCases.map(\.rawValue).joined(separator: ", "))"
      case .noCode(let part, let code):
        "'\(code)' for \(part) is no SGR code; give numbers with semicolons, such as 1;31 or 38;5;208"
      }
    }
  }

  public let name: String
  private var codes: [StyledLine.Part: String]

  private init(_ name: String, _ codes: [StyledLine.Part: String]) {
    self.name = name
    self.codes = codes
  }

  /// The terminal's own 16 colours.
  public static let standard = MonitorTheme(
    "default",
    [
      .title: "1", .faint: "2", .good: "32", .warning: "33", .bad: "1;31", .graph: "36", .selected: "7",
    ])
  /// Without colour.
  static let mono = MonitorTheme(
    "mono", [.title: "1", .faint: "2", .bad: "1", .selected: "7"])

  /// In the order of the key that goes round them. All but the first and the last take 256 colours.
  static let all = [
    standard,
    MonitorTheme(
      "dark",
      [
        .plain: "38;5;252", .title: "1;38;5;255", .faint: "38;5;245", .good: "38;5;114",
        .warning: "38;5;221", .bad: "1;38;5;203", .graph: "38;5;75", .selected: "48;5;238",
      ]),
    MonitorTheme(
      "light",
      [
        .plain: "38;5;235", .title: "1;38;5;18", .faint: "38;5;242", .good: "38;5;28", .warning: "38;5;130",
        .bad: "1;38;5;160", .graph: "38;5;25", .selected: "48;5;189",
      ]),
    // Blue, orange and vermilion are told apart with every common kind of colour blindness.
    MonitorTheme(
      "safe",
      [
        .title: "1", .faint: "2", .good: "38;5;39", .warning: "38;5;214", .bad: "1;4;38;5;202",
        .graph: "38;5;39", .selected: "7",
      ]),
    mono,
  ]

  /// Names that `--theme` takes.
  public static let names = all.map(\.name)

  /// A name of ``names``, or pairs that change the default: `good=34,bad=1;35`.
  public init(_ text: String) throws(Failure) {
    if let known = Self.all.first(where: { $0.name == text }) {
      self = known
      return
    }
    guard text.contains("=") else { throw .unknown(text) }
    self = MonitorTheme("own", Self.standard.codes)
    for pair in text.split(separator: ",") {
      let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let (part, code) = (String(sides[0]), sides.count > 1 ? String(sides[1]) : "")
      guard let known = StyledLine.Part(rawValue: part) else { throw .unknownPart(part) }
      // It goes to the terminal as it is: nothing but what an SGR sequence may hold.
      let numbers = code.split(separator: ";", omittingEmptySubsequences: false)
      guard code.isEmpty || numbers.allSatisfy({ UInt8($0) != nil }) else {
        throw .noCode(part: part, code: code)
      }
      codes[known] = code
    }
  }

  /// Empty: as the terminal writes by itself.
  func code(_ part: StyledLine.Part) -> String { codes[part] ?? (part == .selected ? "7" : "") }

  /// The one behind it in ``all``; a theme of the user's own is left for the first.
  var next: MonitorTheme {
    Self.all.firstIndex(of: self).map { Self.all[($0 + 1) % Self.all.count] } ?? .standard
  }
}
