import SandboxChannel

/// What test packets hold: who sent them, which number they have, and bytes that follow from both, so that one that was
/// written anew, or not all of it, shows.
enum PacketContent {
  static let headerBytes = 16

  static func fill(_ bytes: UnsafeMutableRawBufferPointer, thread: Int, number: UInt64, length: Int) {
    bytes.storeBytes(of: UInt64(thread), as: UInt64.self)
    bytes.storeBytes(of: number, toByteOffset: 8, as: UInt64.self)
    var value = seed(thread, number)
    for offset in stride(from: headerBytes, to: length, by: 8) {
      bytes.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
      value = value &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    }
  }

  /// Thread and number; nil where the bytes are not what they should be.
  static func read(_ bytes: UnsafeRawBufferPointer) -> (thread: Int, number: UInt64)? {
    guard bytes.count >= headerBytes else { return nil }
    let thread = bytes.load(as: UInt64.self)
    let number = bytes.load(fromByteOffset: 8, as: UInt64.self)
    guard thread < 4 else { return nil }
    var value = seed(Int(thread), number)
    for offset in stride(from: headerBytes, to: bytes.count, by: 8) {
      guard bytes.load(fromByteOffset: offset, as: UInt64.self) == value else { return nil }
      value = value &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    }
    return (Int(thread), number)
  }

  private static func seed(_ thread: Int, _ number: UInt64) -> UInt64 { number &* 31 &+ UInt64(thread) &+ 1 }
}
