import TestSupport
import Foundation
import Topology

/// Frames for some relays as they go over a wire, most of them damaged. `SR_SEED=N swift test` repeats a run.
struct WireMutator {
  private var random = SeededRandom()
  var seed: UInt64 { random.seed }
  private let relays: [Relay]
  private let hardware: [UInt8]

  /// - Parameter hardware: The link-layer address of the device that takes the frames in.
  init(relays: [Relay], to hardware: [UInt8]) {
    self.relays = relays
    self.hardware = hardware
  }

  /// At least an Ethernet header, at most what a device of 1,500 bytes carries.
  mutating func next() -> [UInt8] {
    if number(12) == 0 { return hardware + bytes(8 + number(1480)) }
    var frame = valid()
    if number(4) == 0 { return frame }
    for _ in 0...number(3) { mutate(&frame) }
    if frame.count > 34, frame[12] == 8, frame[13] == 0, number(3) > 0 { Self.mendChecksum(&frame) }
    return Array(frame.prefix(1514))
  }

  private mutating func number(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }

  private mutating func bytes(_ count: Int) -> [UInt8] { random.bytes(count) }

  private mutating func valid() -> [UInt8] {
    let relay = relays[number(relays.count)]
    let port = relay.ingress.port + (relay.transport == .rtp && number(4) == 0 ? 1 : 0)
    let isRTCP = port != relay.ingress.port
    let payload = [0x80, isRTCP ? 201 : 96] + bytes(10 + (number(8) == 0 ? number(1440) : number(200)))
    let udp = Self.big(4000) + Self.big(port) + Self.big(UInt16(8 + payload.count)) + [0, 0] + payload
    let source = Self.bytes(of: relay.sources[0].address)
    let destination = Self.bytes(of: relay.ingress.address)
    var frame = hardware + [2, 0, 0, 0, 0, 9]
    if source.count == 4 {
      frame +=
        [8, 0, 0x45, 0] + Self.big(UInt16(20 + udp.count)) + [0, 0, 0, 0, 64, 17, 0, 0] + source + destination
      frame += udp
      Self.mendChecksum(&frame)
    } else {
      frame +=
        [0x86, 0xdd, 0x60, 0, 0, 0] + Self.big(UInt16(udp.count)) + [17, 64] + source + destination + udp
    }
    return frame
  }

  /// Bits, length of the frame, a header byte, a tag, the length fields, where it goes.
  private mutating func mutate(_ frame: inout [UInt8]) {
    switch number(8) {
    case 0, 1: for _ in 0...number(6) { frame[6 + number(frame.count - 6)] ^= 1 << UInt8(number(8)) }
    case 2: frame.removeLast(number(frame.count - 14))
    case 3: frame += bytes(1 + number(80))
    case 4: if frame.count > 62 { frame[14 + number(48)] = UInt8(number(256)) }
    case 5: frame.insert(contentsOf: [0x81, 0] + bytes(2), at: 12)
    case 6:
      let place = [16, 18, 38, 58][number(4)]
      if frame.count > place + 1 { frame.replaceSubrange(place...(place + 1), with: bytes(2)) }
    default:
      // Past the relay, straight to the sink.
      let sink = Self.bytes(of: relays[number(relays.count)].sinks[0].destination.address)
      let place = sink.count == 4 ? 30 : 38
      if frame.count > place + sink.count { frame.replaceSubrange(place..<(place + sink.count), with: sink) }
    }
    if frame.count < 15 { frame += bytes(15) }
  }

  /// RFC 1071, over the header of an untagged IPv4 packet.
  private static func mendChecksum(_ frame: inout [UInt8]) {
    let end = 14 + 4 * Int(frame[14] & 15)
    guard end >= 34, end <= frame.count else { return }
    frame.replaceSubrange(24...25, with: [0, 0])
    var sum = stride(from: 14, to: end, by: 2).reduce(0) { $0 + Int(frame[$1]) << 8 + Int(frame[$1 + 1]) }
    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
    frame.replaceSubrange(24...25, with: big(~UInt16(sum)))
  }

  private static func big(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }

  private static func bytes(of address: IPAddress) -> [UInt8] {
    let all = [address.high, address.low].flatMap { word in
      (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) }
    }
    return address.family == .ipv4 ? Array(all.suffix(4)) : all
  }

  /// What a frame on the sink's link holds.
  enum Content: Equatable {
    case datagram(from: Endpoint, to: Endpoint)
    /// What a node's own stack says: address resolution, group membership, ICMP.
    case neighbourTalk
    case other

    init(_ frame: [UInt8]) {
      func port(_ place: Int) -> UInt16 { UInt16(frame[place]) << 8 | UInt16(frame[place + 1]) }
      func address(_ place: Int, _ count: Int) -> IPAddress {
        let words = frame[place..<(place + count)].reduce((UInt64(0), UInt64(0))) {
          ($0.0 << 8 | $0.1 >> 56, $0.1 << 8 | UInt64($1))
        }
        return count == 4
          ? IPAddress(high: 0, low: 0xffff_0000_0000 | words.1) : IPAddress(high: words.0, low: words.1)
      }
      switch (port(12), frame.count) {
      case (0x0806, _): self = .neighbourTalk
      case (0x0800, 34...) where [1, 2].contains(frame[23]): self = .neighbourTalk
      case (0x0800, 42...) where frame[23] == 17:
        let udp = 14 + 4 * Int(frame[14] & 15)
        self = .datagram(
          from: Endpoint(address: address(26, 4), port: port(udp)),
          to: Endpoint(address: address(30, 4), port: port(udp + 2)))
      // Hop-by-hop options come with group membership only.
      case (0x86dd, 54...) where [0, 58].contains(frame[20]): self = .neighbourTalk
      case (0x86dd, 62...) where frame[20] == 17:
        self = .datagram(
          from: Endpoint(address: address(22, 16), port: port(54)),
          to: Endpoint(address: address(38, 16), port: port(56)))
      default: self = .other
      }
    }
  }
}
