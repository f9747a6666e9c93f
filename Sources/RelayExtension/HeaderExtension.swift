extension Packet {
  /// Where the data of one element of the RTP header extension stand, in the one-byte form that nearly all senders use
  /// (RFC 8285 section 4.2). Nil: there is no such element among the first 8, or the lengths contradict the packet.
  ///
  /// - Parameter id: As negotiated by `a=extmap`, 1 to 14.
  @inline(__always)
  public func headerExtension(_ id: UInt8, of rtp: RTPHeader) -> (offset: Int, length: Int)? {
    guard let header = headerExtension(of: rtp), header.profile == 0xbede else { return nil }
    let end = header.offset &+ 4 &* Int(header.words)
    var offset = header.offset
    for _ in 0..<8 {
      guard offset < end, let first = self[offset] else { return nil }
      // A zero byte is padding between elements. ID 15 ends the extension, and no caller asks for it.
      let length = first == 0 ? 0 : Int(first & 15) &+ 1
      if first >> 4 == id, id != 0 { return offset &+ 1 &+ length <= end ? (offset &+ 1, length) : nil }
      offset &+= 1 &+ length
    }
    return nil
  }

  /// The sender's address, 16 bytes in network order as two integers; IPv4 is mapped (RFC 4291 section 2.5.5.2).
  @inline(__always)
  public var sourceAddress: (high: UInt64, low: UInt64)? {
    guard isIPv6 else {
      guard let word = ipWord(12) else { return nil }
      return (0, 0xffff_0000_0000 | UInt64(word))
    }
    guard let a = ipWord(8), let b = ipWord(12), let c = ipWord(16), let d = ipWord(20) else { return nil }
    return (UInt64(a) << 32 | UInt64(b), UInt64(c) << 32 | UInt64(d))
  }

  /// Four bytes of the fixed IP header in network order.
  @inline(__always)
  public func ipWord(_ offset: Int) -> UInt32? {
    guard let a = ipByte(offset), let b = ipByte(offset &+ 1), let c = ipByte(offset &+ 2),
      let d = ipByte(offset &+ 3)
    else { return nil }
    return UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
  }
}
