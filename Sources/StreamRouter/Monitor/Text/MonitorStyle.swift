/// What the terminal can show, colours and characters beyond ASCII, and in which theme.
public struct MonitorStyle: Hashable, Sendable {
  /// What the user asked for with `--color`.
  public enum Colour: String, Sendable, CaseIterable {
    case auto, always, never
  }

  public var colour: Bool
  public var unicode: Bool
  public var theme: MonitorTheme

  public init(colour: Bool, unicode: Bool, theme: MonitorTheme = .standard) {
    self.colour = colour
    self.unicode = unicode
    self.theme = theme
  }

  /// Without colours, whatever the theme: bold, faint and reverse are none.
  var shownTheme: MonitorTheme { colour ? theme : .mono }

  /// Decides from the environment: a non-empty NO_COLOR (no-color.org) or `TERM=dumb` means no colour unless
  /// `always` was asked for; the first of LC_ALL, LC_CTYPE and LANG that is not empty says whether the
  /// locale is UTF-8.
  public init(
    environment: [String: String], isTerminal: Bool, colour choice: Colour = .auto, ascii: Bool = false,
    theme: MonitorTheme = .standard
  ) {
    self.theme = theme
    func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    switch choice {
    case .always: colour = true
    case .never: colour = false
    case .auto: colour = isTerminal && value("NO_COLOR") == nil && !Self.isDumb(environment)
    }
    let locale = (value("LC_ALL") ?? value("LC_CTYPE") ?? value("LANG") ?? "").lowercased()
    unicode = !ascii && (locale.contains("utf-8") || locale.contains("utf8"))
  }

  /// Whether the terminal cannot move its cursor, so that no live view is possible.
  public static func isDumb(_ environment: [String: String]) -> Bool {
    let terminal = environment["TERM"] ?? ""
    return terminal.isEmpty || terminal == "dumb"
  }

  /// What a text that was cut ends in.
  var cutMark: Character { unicode ? "…" : "~" }
}
