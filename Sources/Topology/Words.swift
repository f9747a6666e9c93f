/// The wording of messages: text from the file made safe to print, and the known word nearest to a wrong one.
enum Words {
  /// The text in single quotes, cut to a readable length, with everything that could steer a terminal escaped.
  static func quote(_ text: String) -> String {
    let limit = 60
    let cut = String(text.unicodeScalars.prefix(limit))
    return "'" + harmless(cut) + (text.unicodeScalars.count > limit ? "..." : "") + "'"
  }

  /// The text with everything that could steer a terminal escaped.
  static func harmless(_ text: String) -> String {
    var safe = ""
    for scalar in text.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator:
        safe += "\\u{" + String(scalar.value, radix: 16) + "}"
      default: safe.unicodeScalars.append(scalar)
      }
    }
    return safe
  }

  /// `a node`, `an extension`.
  static func one(_ noun: String) -> String {
    (noun.first.map { "aeiou".contains($0) } == true ? "an " : "a ") + noun
  }

  /// `a, b or c`.
  static func choice(_ words: [String]) -> String {
    guard let last = words.last, words.count > 1 else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " or " + last
  }

  /// What to write instead of a word that is not known: the nearest known one, else all of them. Known words that
  /// are no words, since the file names nodes badly, are left out.
  static func instead(of word: String, known: [String]) -> String {
    let known = known.filter { $0.utf8.count <= 64 && $0.utf8.allSatisfy { (0x21...0x7e).contains($0) } }
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
      let limit = max(1, min(plain.count, other.count) / 3)
      guard abs(plain.count - other.count) <= limit else { continue }
      let distance = distance(plain, other)
      guard distance <= limit, distance < other.count, distance < best?.distance ?? .max else { continue }
      best = (candidate, distance)
    }
    return best?.word
  }

  private static func folded(_ word: String) -> [UInt8] {
    word.lowercased().utf8.filter { $0 != UInt8(ascii: "_") }
  }

  /// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours, one each.
  static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
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
