import Foundation
import Topology

@testable import StreamRouter

/// An Ethernet frame with TCP in it, built from scratch: addresses, lengths and checksums are computed here and nowhere
/// incrementally, so that a rewritten segment can be compared with one that was made that way.
struct Segment: Equatable {
  struct Flags: OptionSet, Hashable {
    var rawValue: UInt8
    static let fin = Flags(rawValue: 1)
    static let syn = Flags(rawValue: 2)
    static let rst = Flags(rawValue: 4)
    static let ack = Flags(rawValue: 16)
  }

  var destinationMAC: [UInt8] = [0, 0, 0, 0, 0, 0]
  var sourceMAC: [UInt8] = [2, 0, 0, 0, 0, 9]
  var source: Endpoint
  var destination: Endpoint
  var ttl: UInt8 = 64
  /// DSCP in the upper six bits, ECN in the lower two.
  var trafficClass: UInt8 = 0
  var sequence: UInt32 = 1000
  var acknowledged: UInt32 = 0
  var flags: Flags
  /// A multiple of four bytes.
  var options: [UInt8] = []
  var payload: [UInt8] = []
  /// Where the header claims to end, in words; nil: where it does.
  var claimedWords: UInt8?

  init(_ source: String, _ destination: String, _ flags: Flags) {
    self.source = Endpoint(source)!
    self.destination = Endpoint(destination)!
    self.flags = flags
  }

  func with(_ change: (inout Segment) -> Void) -> Segment {
    var copy = self
    change(&copy)
    return copy
  }

  var isIPv4: Bool { source.address.family == .ipv4 }

  static func long(_ value: UInt32) -> [UInt8] {
    Frame.big(UInt16(value >> 16)) + Frame.big(UInt16(value & 0xffff))
  }

  /// From the IP header on.
  var packet: [UInt8] {
    let tcp = tcpBytes
    guard isIPv4 else {
      return [0x60 | trafficClass >> 4, trafficClass << 4, 0, 0] + Frame.big(UInt16(tcp.count)) + [6, ttl]
        + Frame.address(source.address) + Frame.address(destination.address) + tcp
    }
    var header: [UInt8] =
      [0x45, trafficClass] + Frame.big(UInt16(20 + tcp.count)) + [0x12, 0x34, 0x40, 0, ttl, 6]
    header += [0, 0] + Frame.address(source.address) + Frame.address(destination.address)
    let sum = Frame.checksum(header)
    header[10] = UInt8(sum >> 8)
    header[11] = UInt8(sum & 0xff)
    return header + tcp
  }

  var bytes: [UInt8] { destinationMAC + sourceMAC + Frame.big(isIPv4 ? 0x0800 : 0x86dd) + packet }

  private var tcpBytes: [UInt8] {
    let words = UInt8(5 + options.count / 4)
    var tcp = Frame.big(source.port) + Frame.big(destination.port)
    tcp += Self.long(sequence) + Self.long(acknowledged)
    tcp += [(claimedWords ?? words) << 4, flags.rawValue] + Frame.big(512) + [0, 0, 0, 0] + options + payload
    let pseudo = Self.pseudo(source.address, destination.address, transport: 6, length: tcp.count)
    let sum = Frame.checksum(pseudo + tcp)
    tcp[16] = UInt8(sum >> 8)
    tcp[17] = UInt8(sum & 0xff)
    return tcp
  }

  static func pseudo(_ source: IPAddress, _ destination: IPAddress, transport: UInt8, length: Int) -> [UInt8] {
    let addresses = Frame.address(source) + Frame.address(destination)
    return source.family == .ipv4
      ? addresses + [0, transport] + Frame.big(UInt16(length))
      : addresses + [0, 0] + Frame.big(UInt16(length)) + [0, 0, 0, transport]
  }

  /// A frame with an ICMP error (RFC 792, RFC 4443) that quotes this segment, of which `quoted` bytes behind the IP
  /// header.
  func error(
    from router: String, type: UInt8, code: UInt8, word: UInt32 = 0, ttl: UInt8 = 60, quoted: Int = 64,
    sourceMAC: [UInt8] = [2, 0, 0, 0, 0, 7], destinationMAC: [UInt8] = [0, 0, 0, 0, 0, 0]
  ) -> [UInt8] {
    let router = IPAddress(router)!
    let quote = Array(packet.prefix((isIPv4 ? 20 : 40) + quoted))
    var icmp = [type, code, 0, 0] + Self.long(word) + quote
    let cover = isIPv4 ? [] : Self.pseudo(router, source.address, transport: 58, length: icmp.count)
    let sum = Frame.checksum(cover + icmp)
    icmp[2] = UInt8(sum >> 8)
    icmp[3] = UInt8(sum & 0xff)
    let ends = Frame.address(router) + Frame.address(source.address)
    let frame = destinationMAC + sourceMAC
    guard isIPv4 else {
      return frame + [0x86, 0xdd, 0x60, 0, 0, 0] + Frame.big(UInt16(icmp.count)) + [58, ttl] + ends + icmp
    }
    var header: [UInt8] = [0x45, 0] + Frame.big(UInt16(20 + icmp.count)) + [0, 1, 0, 0, ttl, 1, 0, 0] + ends
    let headerSum = Frame.checksum(header)
    header[10] = UInt8(headerSum >> 8)
    header[11] = UInt8(headerSum & 0xff)
    return frame + [8, 0] + header + icmp
  }
}
