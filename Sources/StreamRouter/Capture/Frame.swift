/// Where in a captured Ethernet frame a UDP datagram is. Reads nothing beyond the frame, whatever is in it.
enum Frame {
  /// The payload of the UDP datagram, as offsets into the frame, and its destination port; nil where the frame holds
  /// none or only a later part of one.
  static func udp(_ frame: UnsafeRawBufferPointer) -> (payload: Range<Int>, destinationPort: UInt16)? {
    func word(_ offset: Int) -> Int? {
      offset + 2 <= frame.count ? Int(frame[offset]) << 8 | Int(frame[offset + 1]) : nil
    }
    var offset = 12
    guard var type = word(offset) else { return nil }
    // Up to two VLAN tags (IEEE 802.1Q, 802.1ad).
    for _ in 0..<2 where type == 0x8100 || type == 0x88a8 {
      offset += 4
      guard let inner = word(offset) else { return nil }
      type = inner
    }
    offset += 2
    switch type {
    case 0x0800:
      guard offset + 20 <= frame.count, frame[offset] >> 4 == 4, frame[offset + 9] == 17 else { return nil }
      // Fragments (RFC 791): only a whole datagram is read.
      guard let fragment = word(offset + 6), fragment & 0x3fff == 0 else { return nil }
      offset += max(20, Int(frame[offset] & 0x0f) * 4)
    case 0x86dd:
      guard offset + 40 <= frame.count, frame[offset] >> 4 == 6, frame[offset + 6] == 17 else { return nil }
      offset += 40
    default: return nil
    }
    guard let port = word(offset + 2), let length = word(offset + 4), length >= 8 else { return nil }
    let end = min(frame.count, offset + length)
    return offset + 8 <= end ? (offset + 8..<end, UInt16(port)) : nil
  }
}
