extension Sequence<UInt8> {
  /// Two digits a byte.
  func hex(separator: String = "") -> String {
    map { String(UInt16($0) | 0x100, radix: 16).dropFirst() }.joined(separator: separator)
  }
}
