import Foundation

/// The file that an author wrote, to tell where in it something stands that a message is about.
///
/// It is read as text: the compiler says where a program is wrong, but not where a correct program declares what no
/// extension can have.
struct AuthorSource {
  /// As the author named it.
  let file: String
  private let text: [Character]

  init(file: String, text: String) {
    self.file = file
    self.text = Array(text)
  }

  init(file: String) {
    self.init(file: file, text: (try? String(contentsOfFile: file, encoding: .utf8)) ?? "")
  }

  /// `FILE:LINE:COLUMN` of the first of these words that follow each other, or the file where there are none.
  func place(of words: String...) -> String {
    place(at: text.indices.first { matches(words, at: $0) != nil })
  }

  /// A stored property without a default in the type that is declared on a line (from 1) or below it, and its type.
  func undefaultedProperty(below line: Int) -> (place: String, name: String, type: String)? {
    var depth = 0
    var index = start(of: line)
    while index < text.count {
      if text[index] == "{" { depth += 1 }
      if text[index] == "}" {
        depth -= 1
        guard depth > 0 else { return nil }
      }
      if depth == 1, let begin = matches(["var"], at: index) ?? matches(["let"], at: index) {
        let rest = text[begin...].prefix { !"\n;}={".contains($0) }
        let isStored = rest.endIndex == text.count || !"={".contains(text[rest.endIndex])
        let parts = String(rest).split(separator: ":", maxSplits: 1)
        if isStored, parts.count == 2 {
          let words = parts.map { $0.trimmingCharacters(in: .whitespaces) }
          return (place(at: begin), words[0], words[1])
        }
        index = rest.endIndex
        continue
      }
      index += 1
    }
    return nil
  }

  private func place(at index: Int?) -> String {
    guard let index else { return file }
    let before = text[..<index]
    let line = before.count { $0 == "\n" } + 1
    let column = index - (before.lastIndex(of: "\n").map { $0 + 1 } ?? 0) + 1
    return "\(file):\(line):\(column)"
  }

  private func start(of line: Int) -> Int {
    guard line > 1 else { return 0 }
    let ends = text.indices.filter { text[$0] == "\n" }
    return ends.count >= line - 1 ? ends[line - 2] + 1 : text.count
  }

  /// Where the whole words begin that stand behind these ones, if they stand at a place.
  private func matches(_ words: [String], at start: Int) -> Int? {
    func isInWord(_ index: Int) -> Bool {
      text.indices.contains(index) && (text[index].isLetter || text[index].isNumber || text[index] == "_")
    }
    guard !isInWord(start - 1) else { return nil }
    var index = start
    for word in words {
      guard text[index...].starts(with: word), !isInWord(index + word.count) else { return nil }
      index += word.count
      while index < text.count, text[index] == " " { index += 1 }
    }
    return index
  }
}
