/// The order in which people expect names with numbers: `cam2` before `cam10`.
enum NaturalOrder {
  /// Runs of digits compare as numbers, all else byte by byte. Names that differ only in leading zeros compare
  /// as text, so that the order stays a strict one.
  static func isLess(_ a: String, _ b: String) -> Bool {
    var left = a.utf8[...]
    var right = b.utf8[...]
    while let x = left.first, let y = right.first {
      if isDigit(x), isDigit(y) {
        let (p, q) = (takeNumber(&left), takeNumber(&right))
        if p.count != q.count { return p.count < q.count }
        if !p.elementsEqual(q) { return p.lexicographicallyPrecedes(q) }
      } else if x != y {
        return x < y
      } else {
        left.removeFirst()
        right.removeFirst()
      }
    }
    return left.isEmpty == right.isEmpty ? a < b : left.isEmpty
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  /// The digits at the beginning, without leading zeros.
  private static func takeNumber(_ text: inout Substring.UTF8View) -> Substring.UTF8View.SubSequence {
    let digits = text.prefix(while: isDigit)
    text = text.dropFirst(digits.count)
    return digits.drop { $0 == 0x30 }
  }
}
