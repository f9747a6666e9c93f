import Topology

/// An Ethernet frame with one UDP datagram, built from scratch: lengths and checksums are computed here and nowhere
/// incrementally, so that what a datapath has rewritten can be compared with it.
struct UDPFrame: Hashable {
  var destinationMAC: [UInt8] = [0, 0, 0, 0, 0, 0]
  var sourceMAC: [UInt8] = [0, 0, 0, 0, 0, 0]
  var source: Endpoint
  var destination: Endpoint
  var ttl: UInt8 = 64
  var dscp: UInt8 = 0
  var datagram: [UInt8]

  private var isIPv4: Bool { source.address.family == .ipv4 }
  /// Where the UDP header begins.
  var udpOffset: Int { isIPv4 ? 34 : 54 }

  var bytes: [UInt8] {
    let addresses = Self.address(source.address) + Self.address(destination.address)
    let length = Self.big(UInt16(8 + datagram.count))
    var udp = Self.big(source.port) + Self.big(destination.port) + length + [0, 0] + datagram
    // The pseudo-headers of RFC 768 and RFC 8200 section 8.1 have the same sum.
    let sum = Self.checksum(addresses + [0, 17] + length + udp)
    udp.replaceSubrange(6..<8, with: Self.big(sum == 0 ? 0xffff : sum))
    var ip: [UInt8]
    if isIPv4 {
      ip = [0x45, dscp << 2] + Self.big(UInt16(20 + udp.count)) + [0, 0, 0, 0, ttl, 17, 0, 0] + addresses
      ip.replaceSubrange(10..<12, with: Self.big(Self.checksum(ip)))
    } else {
      ip = [0x60 | dscp >> 2, dscp << 6, 0, 0] + Self.big(UInt16(udp.count)) + [17, ttl] + addresses
    }
    return destinationMAC + sourceMAC + (isIPv4 ? [0x08, 0x00] : [0x86, 0xdd]) + ip + udp
  }

  /// RFC 1071.
  private static func checksum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for at in stride(from: 0, to: bytes.count, by: 2) {
      sum += UInt32(bytes[at]) << 8 | (at + 1 < bytes.count ? UInt32(bytes[at + 1]) : 0)
    }
    while sum >> 16 != 0 { sum = sum & 0xffff + sum >> 16 }
    return ~UInt16(sum)
  }

  /// In network order.
  static func big(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
  }

  private static func address(_ address: IPAddress) -> [UInt8] {
    let all = big(address.high) + big(address.low)
    return address.family == .ipv4 ? Array(all.suffix(4)) : all
  }
}
