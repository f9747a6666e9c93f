import Foundation

/// Where in the author's file a piece of LLVM IR comes from, by its debug metadata: DILocation, DISubprogram,
/// DILexicalBlock and DIFile of LLVM's language reference.
struct DebugPlaces {
  private let lines: [Substring]
  private let nodes: [Substring: Substring]
  private let file: String

  /// - Parameter file: The author's; places in other files are passed over.
  init(_ text: String, file: String) {
    lines = text.split(separator: "\n")
    self.file = file
    var nodes: [Substring: Substring] = [:]
    for line in lines where line.hasPrefix("!") {
      if let equals = line.firstRange(of: " = ") {
        nodes[line[..<equals.lowerBound]] = line[equals.upperBound...]
      }
    }
    self.nodes = nodes
  }

  /// `FILE:LINE:COLUMN` of the first call to one of these functions that the author's file is the reason for.
  func place(ofCallTo functions: [String]) -> String? {
    for line in lines where line.contains("call ") {
      guard functions.contains(where: { line.contains("@\($0)(") || line.contains("@\"\($0)\"(") }),
        let place = reference("!dbg ", in: line).flatMap(place(ofLocation:))
      else { continue }
      return place
    }
    return nil
  }

  /// `FILE:LINE` of a function of the author's.
  func place(ofFunction name: String) -> String? {
    let definition = lines.first {
      $0.hasPrefix("define ") && ($0.contains("@\(name)(") || $0.contains("@\"\(name)\"("))
    }
    guard let program = definition.flatMap({ reference("!dbg ", in: $0) }), isInAuthorsFile(program),
      let line = number("line: ", in: program)
    else { return nil }
    return "\(file):\(line)"
  }

  /// A location in code that was inlined is one of the callee; those of its callers follow.
  private func place(ofLocation id: Substring) -> String? {
    var next: Substring? = id
    while let id = next {
      if let scope = reference("scope: ", in: nodes[id] ?? ""), isInAuthorsFile(scope),
        let line = number("line: ", in: id), line > 0
      {
        return "\(file):\(line)" + (number("column: ", in: id).map { ":\($0)" } ?? "")
      }
      next = reference("inlinedAt: ", in: nodes[id] ?? "")
    }
    return nil
  }

  private func isInAuthorsFile(_ scope: Substring) -> Bool {
    var next: Substring? = scope
    while let id = next {
      let node = nodes[id] ?? ""
      if let named = reference("file: ", in: node) {
        return nodes[named]?.contains("filename: \"\(file)\"") ?? false
      }
      next = reference("scope: ", in: node)
    }
    return false
  }

  /// The node that is named behind a label.
  private func reference(_ label: String, in text: Substring) -> Substring? {
    guard let end = text.firstRange(of: label)?.upperBound, text[end...].hasPrefix("!") else { return nil }
    return text[end...].prefix { $0 == "!" || $0.isNumber }
  }

  private func number(_ label: String, in id: Substring) -> Int? {
    guard let text = nodes[id], let end = text.firstRange(of: label)?.upperBound else { return nil }
    return Int(text[end...].prefix { $0.isNumber })
  }
}
