/// A UDP datagram of IPv4 as it was on the wire.
struct WireDatagram {
  /// From the IP header to the end of what it says that it holds.
  private let packet: [UInt8]
  private let udp: Int

  /// - Parameter frame: From its Ethernet header. nil where it is no whole UDP datagram of IPv4.
  init?(_ frame: [UInt8]) {
    guard frame.count >= 42, frame[12] == 8, frame[13] == 0, frame[14] >> 4 == 4, frame[23] == 17 else {
      return nil
    }
    let total = Int(frame[16]) << 8 | Int(frame[17])
    udp = Int(frame[14] & 15) * 4
    guard frame.count >= 14 + total, total >= udp + 8, frame[20] & 0x3f == 0, frame[21] == 0 else { return nil }
    packet = Array(frame[14..<14 + total])
  }

  var codePoint: UInt8 { packet[1] >> 2 }
  var timeToLive: UInt8 { packet[8] }
  var source: [UInt8] { Array(packet[12..<16]) }
  var destinationPort: UInt16 { UInt16(packet[udp + 2]) << 8 | UInt16(packet[udp + 3]) }
  var checksum: UInt16 { UInt16(packet[udp + 6]) << 8 | UInt16(packet[udp + 7]) }
  var payload: [UInt8] { Array(packet[(udp + 8)...]) }

  /// Whether the checksums of both headers are what RFC 791 and RFC 768 ask for; 0 for UDP says that there is none.
  var sumsAreRight: Bool {
    let pseudo = packet[12..<20] + [0, 17] + packet[udp + 4..<udp + 6]
    return Self.sum(packet[..<udp]) == 0xffff
      && (checksum == 0 || Self.sum(pseudo + packet[udp...]) == 0xffff)
  }

  /// The ones' complement sum (RFC 1071).
  private static func sum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var sum: UInt32 = 0
    for (place, byte) in bytes.enumerated() { sum += place % 2 == 0 ? UInt32(byte) << 8 : UInt32(byte) }
    while sum > 0xffff { sum = sum >> 16 + sum & 0xffff }
    return sum
  }
}
