import Topology

/// Where in a captured packet a UDP datagram is. Reads nothing beyond the packet, whatever is in it.
struct Frame: Hashable {
  /// Of the datagram's payload, as far as it was captured: offsets into the packet.
  var payload: Range<Int>
  /// Whether all of the payload was captured.
  var isWhole: Bool
  var source: Endpoint
  var destination: Endpoint
  /// Differentiated services code point (RFC 2474), 0 to 63.
  var dscp: UInt8

  /// LINKTYPE_ values of libpcap.
  enum Link {
    static let loopback: UInt16 = 0
    static let ethernet: UInt16 = 1
    static let raw: Set<UInt16> = [12, 14, 101, 228, 229]
    static let cooked: UInt16 = 113
    static let cooked2: UInt16 = 276
  }

  /// nil where the packet holds no UDP datagram, or a part of one in a fragment.
  init?(_ packet: UnsafeRawBufferPointer, linkType: UInt16 = Link.ethernet) {
    func word(_ offset: Int) -> Int? {
      offset + 2 <= packet.count ? Int(packet[offset]) << 8 | Int(packet[offset + 1]) : nil
    }
    var offset: Int
    switch linkType {
    case Link.ethernet:
      offset = 12
      // Up to two VLAN tags (IEEE 802.1Q, 802.1ad).
      for _ in 0..<2 where word(offset) == 0x8100 || word(offset) == 0x88a8 { offset += 4 }
      guard let type = word(offset), type == 0x0800 || type == 0x86dd else { return nil }
      offset += 2
    case Link.cooked: offset = 16
    case Link.cooked2: offset = 20
    case Link.loopback: offset = 4
    case let type where Link.raw.contains(type): offset = 0
    default: return nil
    }
    guard offset < packet.count else { return nil }
    let addresses: (IPAddress, IPAddress)
    // Both versions of IP say which they are.
    switch packet[offset] >> 4 {
    case 4:
      guard offset + 20 <= packet.count, packet[offset + 9] == 17,
        // RFC 791: neither a first part nor a later one.
        let fragment = word(offset + 6), fragment & 0x3fff == 0
      else { return nil }
      dscp = packet[offset + 1] >> 2
      addresses = (Self.v4(packet, offset + 12), Self.v4(packet, offset + 16))
      offset += max(20, Int(packet[offset] & 0x0f) * 4)
    case 6:
      guard offset + 40 <= packet.count, packet[offset + 6] == 17 else { return nil }
      dscp = (packet[offset] & 15) << 2 | packet[offset + 1] >> 6
      addresses = (Self.v6(packet, offset + 8), Self.v6(packet, offset + 24))
      offset += 40
    default: return nil
    }
    guard let from = word(offset), let to = word(offset + 2), let length = word(offset + 4), length >= 8,
      offset + 8 <= packet.count
    else { return nil }
    let end = offset + length
    payload = offset + 8..<min(packet.count, end)
    isWhole = end <= packet.count
    source = Endpoint(address: addresses.0, port: UInt16(from))
    destination = Endpoint(address: addresses.1, port: UInt16(to))
  }

  private static func v4(_ packet: UnsafeRawBufferPointer, _ offset: Int) -> IPAddress {
    let word = packet.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
    return IPAddress(high: 0, low: 0xffff_0000_0000 | UInt64(UInt32(bigEndian: word)))
  }

  private static func v6(_ packet: UnsafeRawBufferPointer, _ offset: Int) -> IPAddress {
    IPAddress(
      high: UInt64(bigEndian: packet.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
      low: UInt64(bigEndian: packet.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)))
  }
}
