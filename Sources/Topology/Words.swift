/// The wording of messages: text from the file made safe to print, and the known word nearest to a wrong one.
enum Words {
  /// The text in single quotes, cut to a readable length, with everything that could steer a terminal escaped.
  static func quote(_ text: String) -> String {
    let limit = 60
    var safe = ""
    for scalar in text.unicodeScalars.prefix(limit) {
      switch scalar.properties.generalCategory {
      case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator:
        safe += "\\u{" + String(scalar.value, radix: 16) + "}"
      default: safe.unicodeScalars.append(scalar)
      }
    }
    return "'" + safe + (text.unicodeScalars.count > limit ? "..." : "") + "'"
  }

  /// `a, b or c`.
  static func choice(_ words: [String]) -> String {
    guard let last = words.last, words.count > 1 else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " or " + last
  }

  /// What to write instead of a word that is not known: the nearest known one, else all of them.
  static func instead(of word: String, known: [String]) -> String {
    if let near = nearest(to: word, in: known) { return "did you mean '\(near)'?" }
    return known.isEmpty ? "there is none to name" : "write " + choice(Array(known.prefix(24)))
  }

  /// The known word at the smallest edit distance, where that is small enough to be a slip: a third of the word,
  /// at least one. Letter case and underscores cost nothing.
  static func nearest(to word: String, in known: [String]) -> String? {
    let plain = folded(word)
    guard !plain.isEmpty, plain.count <= 64 else { return nil }
    var best: (word: String, distance: Int)?
    for candidate in known {
      let other = folded(candidate)
      let distance = distance(plain, other)
      guard distance <= max(1, min(plain.count, other.count) / 3), distance < other.count else { continue }
      if distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.word
  }

  private static func folded(_ word: String) -> [Character] {
    Array(word.lowercased().filter { $0 != "_" })
  }

  /// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours, one each.
  static func distance(_ a: [Character], _ b: [Character]) -> Int {
    var older = [Int]()
    var old = Array(0...b.count)
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var cost = min(row[j] + 1, old[j + 1] + 1, old[j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, older[j - 1] + 1) }
        row.append(cost)
      }
      (older, old) = (old, row)
    }
    return old[b.count]
  }
}
