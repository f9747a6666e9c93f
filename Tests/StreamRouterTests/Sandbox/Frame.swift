import Foundation
import Topology

/// An Ethernet frame with UDP in it, built from scratch: addresses, lengths and checksums are computed here and
/// nowhere incrementally, so that a rewritten packet can be compared with one that was made that way.
struct Frame {
  var destinationMAC: [UInt8] = [0, 0, 0, 0, 0, 0]
  var sourceMAC: [UInt8] = [2, 0, 0, 0, 0, 9]
  /// VLAN tags (TPID, TCI), outermost first.
  var tags: [(UInt16, UInt16)] = []
  var source: Endpoint
  var destination: Endpoint
  var ttl: UInt8 = 64
  /// DSCP in the upper six bits, ECN in the lower two.
  var trafficClass: UInt8 = 0
  var ipv4Options: [UInt8] = []
  var fragment: UInt16 = 0
  var ipv4Protocol: UInt8 = 17
  /// IPv6 extension headers as (next header value of the header before, bytes).
  var extensionHeader: (type: UInt8, bytes: [UInt8])?
  var zeroUDPChecksum = false
  var payload: [UInt8]
  /// Bytes of Ethernet padding behind the IP packet.
  var padding = 0

  init(from source: String, to destination: String, payload: [UInt8]) {
    self.source = Endpoint(source)!
    self.destination = Endpoint(destination)!
    self.payload = payload
  }

  func with(_ change: (inout Frame) -> Void) -> Frame {
    var copy = self
    change(&copy)
    return copy
  }

  var isIPv4: Bool { source.address.family == .ipv4 }

  var bytes: [UInt8] {
    var frame = destinationMAC + sourceMAC
    for (type, tag) in tags { frame += Self.big(type) + Self.big(tag) }
    frame += Self.big(isIPv4 ? 0x0800 : 0x86dd)
    let udp = udpBytes
    if isIPv4 {
      var header: [UInt8] = [0x40 | UInt8(5 + ipv4Options.count / 4), trafficClass]
      header += Self.big(UInt16(20 + ipv4Options.count + udp.count)) + [0x12, 0x34]
      header += Self.big(fragment) + [ttl, ipv4Protocol, 0, 0]
      header += Self.address(source.address) + Self.address(destination.address) + ipv4Options
      let sum = Self.checksum(header)
      header[10] = UInt8(sum >> 8)
      header[11] = UInt8(sum & 0xff)
      frame += header
    } else {
      let extra = extensionHeader?.bytes ?? []
      frame += [0x60 | trafficClass >> 4, trafficClass << 4, 0, 0]
      frame += Self.big(UInt16(extra.count + udp.count)) + [extensionHeader?.type ?? 17, ttl]
      frame += Self.address(source.address) + Self.address(destination.address) + extra
    }
    return frame + udp + [UInt8](repeating: 0, count: padding)
  }

  /// Where the UDP header begins.
  var udpOffset: Int {
    14 + 4 * tags.count + (isIPv4 ? 20 + ipv4Options.count : 40 + (extensionHeader?.bytes.count ?? 0))
  }

  private var udpBytes: [UInt8] {
    let length = UInt16(8 + payload.count)
    var udp = Self.big(source.port) + Self.big(destination.port) + Self.big(length) + [0, 0] + payload
    guard !zeroUDPChecksum else { return udp }
    let pseudo =
      Self.address(source.address) + Self.address(destination.address)
      + (isIPv4 ? [0, 17] + Self.big(length) : [0, 0] + Self.big(length) + [0, 0, 0, 17])
    var sum = Self.checksum(pseudo + udp)
    if sum == 0 { sum = 0xffff }  // RFC 768
    udp[6] = UInt8(sum >> 8)
    udp[7] = UInt8(sum & 0xff)
    return udp
  }

  /// RFC 1071.
  static func checksum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for i in stride(from: 0, to: bytes.count, by: 2) {
      sum += UInt32(bytes[i]) << 8 | (i + 1 < bytes.count ? UInt32(bytes[i + 1]) : 0)
    }
    while sum >> 16 != 0 { sum = (sum & 0xffff) + sum >> 16 }
    return ~UInt16(sum)
  }

  static func big(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }

  static func address(_ address: IPAddress) -> [UInt8] {
    let all =
      (0..<8).map { UInt8(truncatingIfNeeded: address.high >> (56 - 8 * UInt64($0))) }
      + (0..<8).map { UInt8(truncatingIfNeeded: address.low >> (56 - 8 * UInt64($0))) }
    return address.family == .ipv4 ? Array(all.suffix(4)) : all
  }
}

/// An RTP packet (RFC 3550 section 5.1).
func rtp(
  _ sequence: UInt16, timestamp: UInt32 = 0, ssrc: UInt32 = 0x5352_0001, payloadType: UInt8 = 96,
  body: [UInt8] = Array("media".utf8)
) -> [UInt8] {
  [0x80, payloadType] + Frame.big(sequence) + Frame.big(UInt16(timestamp >> 16))
    + Frame.big(UInt16(timestamp & 0xffff)) + Frame.big(UInt16(ssrc >> 16)) + Frame.big(UInt16(ssrc & 0xffff))
    + body
}

/// An empty RTCP receiver report (RFC 3550 section 6.4.2).
let rtcpReport: [UInt8] = [0x80, 201, 0, 1, 0x53, 0x52, 0, 1]
