/// Text within HTML that is XML as well. What is escaped is never markup, wherever it comes from.
enum HTMLText {
  /// For elements and for attributes in double quotes. Characters that XML 1.0 (section 2.2) does not know, and others
  /// that could turn the text about, become `?`.
  static func escape(_ text: String) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      case "\t", "\n", "\r": result += " "
      // Controls, directions of writing (Unicode Standard Annex 9), what is no character.
      case "\u{0}"..."\u{1f}", "\u{7f}"..."\u{9f}", "\u{200e}"..."\u{200f}", "\u{2028}"..."\u{202e}",
        "\u{2066}"..."\u{2069}", "\u{fffe}"..."\u{ffff}":
        result += "?"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  static func element(_ name: String, _ text: String, _ attributes: String = "") -> String {
    "<\(name)\(attributes.isEmpty ? "" : " " + attributes)>\(escape(text))</\(name)>"
  }

  /// A table of texts, its figures to the right.
  ///
  /// - Parameter figuresFrom: The first column of figures.
  static func table(caption: String, _ head: [String], _ rows: [[String]], figuresFrom: Int) -> String {
    func cell(_ name: String, _ index: Int, _ text: String, _ more: String = "") -> String {
      element(name, text, more + (index >= figuresFrom ? (more.isEmpty ? "" : " ") + "class=\"figure\"" : ""))
    }
    var html = "<div class=\"wide\"><table>" + element("caption", caption) + "\n<thead><tr>"
    html += head.enumerated().map { cell("th", $0.offset, $0.element, "scope=\"col\"") }.joined()
    html += "</tr></thead>\n<tbody>\n"
    for row in rows {
      html += "<tr>" + row.enumerated().map { cell("td", $0.offset, $0.element) }.joined() + "</tr>\n"
    }
    return html + "</tbody></table></div>\n"
  }
}

/// How one hop is drawn in all charts of its stream: by its place, in a colour and a dash of its own.
enum HTMLLine {
  /// So many differ from each other.
  static let most = 24
  static let colours = 8
  private static let dashes = ["", "7 3", "2 3", "9 3 2 3", "14 4", "5 2 1 2 1 2"]

  static func colour(_ index: Int) -> String { "var(--line\(index % colours))" }

  static func attributes(_ index: Int) -> String {
    let dash = dashes[index % dashes.count]
    return "stroke=\"\(colour(index))\"" + (dash.isEmpty ? "" : " stroke-dasharray=\"\(dash)\"")
  }

  /// The hop's name beside a piece of its line.
  static func legend(_ names: [String]) -> String {
    let items = names.enumerated().map { index, name in
      "<li><svg width=\"34\" height=\"10\" aria-hidden=\"true\"><line x1=\"1\" y1=\"5\" x2=\"33\" y2=\"5\" "
        + "class=\"line\" \(attributes(index))/></svg> \(HTMLText.escape(name))</li>"
    }
    return "<ul class=\"legend\">" + items.joined() + "</ul>\n"
  }
}
