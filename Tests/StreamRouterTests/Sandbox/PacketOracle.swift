import CStreamRouter
import JitterStats
import Topology

/// What must become of a frame that the datapath meets, told from the RFCs and the words of the counters alone, byte by
/// byte and with no code of the datapath.
///
/// It knows relays whose sinks are all reachable by a device of `mtu` bytes, and packets that no device has cut or
/// gathered.
struct PacketOracle {
  enum Fate: Equatable {
    /// None of ours: comes out as it went in.
    case passes
    /// Dropped before it counts as arrived.
    case refused(relay: Int, cause: sr_counter)
    /// Arrived and dropped for what is in it.
    case rejected(relay: Int, cause: sr_counter, bytes: Int)
    /// Arrived; for each sink nil, or why it got nothing. `media` is the RTP or RTCP counter.
    case relayed(relay: Int, bytes: Int, media: sr_counter?, sinks: [sr_counter?])
  }

  let relays: [Relay]
  var mtu = 1500

  /// Where things are in a frame that holds a UDP datagram.
  struct Layout {
    var ip: Int
    var udp: Int
    var isIPv4: Bool
    var source: IPAddress
    var destination: Endpoint
    var hops: UInt8
    var isFragment: Bool
    var lengthsHold: Bool
    var udpLength: Int
  }

  func fate(of frame: [UInt8]) -> Fate {
    guard isForUs(frame), let layout = layout(of: frame) else { return .passes }
    guard let (index, isCompanion) = relay(at: layout.destination) else { return .passes }
    let relay = relays[index]
    guard relay.sources.contains(where: { Self.contains($0, layout.source) }) else {
      return .refused(relay: index, cause: SR_DROP_SOURCE)
    }
    guard layout.lengthsHold else { return .refused(relay: index, cause: SR_DROP_MALFORMED) }
    guard !layout.isFragment else { return .refused(relay: index, cause: SR_DROP_FRAGMENT) }
    let payload = Array(frame[(layout.udp + 8)..<(layout.udp + layout.udpLength)])
    var media: sr_counter?
    if relay.transport == .rtp {
      switch payload.withUnsafeBytes({
        isCompanion ? MediaPacket(rtcpPort: $0.bytes) : MediaPacket(rtpPort: $0.bytes)
      }) {
      case .rtp: media = SR_RTP_PACKETS
      case .rtcp: media = SR_RTCP_PACKETS
      case .malformed: return .rejected(relay: index, cause: SR_DROP_MALFORMED, bytes: payload.count)
      case .other: return .rejected(relay: index, cause: SR_DROP_NOT_RTP, bytes: payload.count)
      }
    }
    // What lies behind the datagram goes along.
    let onTheWire = frame.count - layout.ip
    let sinks = relay.sinks.map { sink -> sr_counter? in
      if sink.kind == .local { return nil }
      if onTheWire > mtu { return SR_DROP_MTU }
      return layout.hops <= 1 ? SR_DROP_TTL : nil
    }
    return .relayed(relay: index, bytes: payload.count, media: media, sinks: sinks)
  }

  /// The loopback device of a test run has an address of zeros; group addresses are for everybody.
  private func isForUs(_ frame: [UInt8]) -> Bool { frame[0] & 1 == 1 || frame[..<6].allSatisfy { $0 == 0 } }

  private func relay(at destination: Endpoint) -> (Int, isCompanion: Bool)? {
    for (index, relay) in relays.enumerated() where relay.ingress.address == destination.address {
      if relay.ingress.port == destination.port { return (index, false) }
      if relay.transport == .rtp && relay.ingress.port + 1 == destination.port { return (index, true) }
    }
    return nil
  }

  private static func contains(_ prefix: AddressPrefix, _ address: IPAddress) -> Bool {
    guard prefix.address.family == address.family else { return false }
    return AddressPrefix(address: address, length: prefix.length) == prefix
  }

  /// nil where the frame holds no UDP header at its right place.
  func layout(of frame: [UInt8]) -> Layout? {
    guard frame.count >= 42 else { return nil }
    var ip = 14
    while ip < 22, [0x8100, 0x88a8].contains(frame.word(ip - 2)) { ip += 4 }
    guard let version = frame.word(ip - 2), frame.count > ip else { return nil }
    switch version {
    case 0x0800: return layout4(frame, ip)
    case 0x86dd: return layout6(frame, ip)
    default: return nil
    }
  }

  private func layout4(_ frame: [UInt8], _ ip: Int) -> Layout? {
    let udp = ip + 4 * Int(frame[ip] & 15)
    guard frame[ip] >> 4 == 4, udp - ip >= 20, frame.count >= udp + 8, frame[ip + 9] == 17,
      let total = frame.word(ip + 2), let fragment = frame.word(ip + 6), fragment & 0x1fff == 0
    else { return nil }
    return layout(
      frame, ip: ip, udp: udp, end: ip + total, isFragment: fragment & 0x2000 != 0,
      headerHolds: Frame.checksum(Array(frame[ip..<udp])) == 0, hops: frame[ip + 8], isIPv4: true,
      addresses: (ip + 12, ip + 16))
  }

  private func layout6(_ frame: [UInt8], _ ip: Int) -> Layout? {
    guard frame[ip] >> 4 == 6, frame.count >= ip + 40, let length = frame.word(ip + 4) else { return nil }
    var udp = ip + 40
    var next = frame[ip + 6]
    var isFragment = false
    if next == 44, frame.count >= udp + 8 {
      guard frame.word(udp + 2)! & 0xfff8 == 0 else { return nil }
      isFragment = true
      next = frame[udp]
      udp += 8
    }
    guard next == 17, frame.count >= udp + 8 else { return nil }
    return layout(
      frame, ip: ip, udp: udp, end: ip + 40 + length, isFragment: isFragment, headerHolds: true,
      hops: frame[ip + 7], isIPv4: false, addresses: (ip + 8, ip + 24))
  }

  private func layout(
    _ frame: [UInt8], ip: Int, udp: Int, end: Int, isFragment: Bool, headerHolds: Bool, hops: UInt8,
    isIPv4: Bool,
    addresses: (source: Int, destination: Int)
  ) -> Layout {
    let udpLength = frame.word(udp + 4)!
    return Layout(
      ip: ip, udp: udp, isIPv4: isIPv4, source: frame.address(addresses.source, isIPv4: isIPv4),
      destination: Endpoint(
        address: frame.address(addresses.destination, isIPv4: isIPv4), port: UInt16(frame.word(udp + 2)!)),
      hops: hops, isFragment: isFragment,
      lengthsHold: headerHolds && udpLength >= 8 && end <= frame.count && udp + udpLength <= end,
      udpLength: udpLength)
  }

  /// What is wrong with the packet that left for the last sink; nil where all is right.
  func fault(of output: [UInt8], from input: [UInt8], relay index: Int, sinks: [sr_counter?]) -> String? {
    let relay = relays[index]
    guard let before = layout(of: input), let last = relay.sinks.last else { return "no datagram went in" }
    let isCompanion = before.destination.port != relay.ingress.port
    let sent = zip(relay.sinks, sinks).filter { ($1 ?? SR_DROP_SEND) == SR_DROP_SEND && $0.kind != .local }
      .map { $0.0 }
    var expected = input
    if relay.sinks[0].kind != .local { expected.removeSubrange(12..<(before.ip - 2)) }
    guard let after = layout(of: output) else { return "no datagram came out" }
    guard output.count == expected.count else { return "\(output.count) bytes came out of \(expected.count)" }

    expected.put(Frame.address(last.destination.address), at: after.ip + (after.isIPv4 ? 16 : 24))
    expected.put(Frame.big(last.destination.port + (isCompanion ? 1 : 0)), at: after.udp + 2)
    if let sender = sent.last {
      // Up the stack goes the source that came in: the kernel takes none of its own from outside.
      if last.kind != .local {
        expected.put(Frame.address(sender.source.address), at: after.ip + (after.isIPv4 ? 12 : 8))
        expected.put(Frame.big(sender.source.port + (isCompanion ? 1 : 0)), at: after.udp)
      }
      expected[after.ip + (after.isIPv4 ? 8 : 7)] -= 1
      expected.put([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], at: 0)
    }
    if let dscp = relay.dscp {
      if after.isIPv4 {
        expected[after.ip + 1] = dscp << 2 | expected[after.ip + 1] & 3
      } else {
        expected[after.ip] = 0x60 | dscp >> 2
        expected[after.ip + 1] = dscp << 6 | expected[after.ip + 1] & 0x3f
      }
    }
    // The checksums may be any that are right.
    if after.isIPv4 { expected.put(Array(output[(after.ip + 10)..<(after.ip + 12)]), at: after.ip + 10) }
    expected.put(Array(output[(after.udp + 6)..<(after.udp + 8)]), at: after.udp + 6)
    if let place = output.indices.first(where: { output[$0] != expected[$0] }) {
      return "byte \(place) is \(output[place]) instead of \(expected[place])"
    }
    guard after.lengthsHold else { return "the IPv4 header checksum is wrong" }
    let wasZero = input.word(before.udp + 6) == 0
    guard (output.word(after.udp + 6) == 0) == wasZero else { return "a zero UDP checksum came or went" }
    if wasZero { return nil }
    // A right checksum stays right, and a wrong one stays exactly as wrong: the relay hides no damage.
    let sums = (Self.datagramSum(input, before), Self.datagramSum(output, after))
    return sums.0 == sums.1 ? nil : "the UDP checksum was off by \(sums.0) and is off by \(sums.1)"
  }

  /// RFC 1071 over pseudo header and datagram: 0 where the checksum is right.
  private static func datagramSum(_ frame: [UInt8], _ layout: Layout) -> UInt16 {
    let addresses =
      layout.isIPv4 ? frame[(layout.ip + 12)..<(layout.ip + 20)] : frame[(layout.ip + 8)..<(layout.ip + 40)]
    let sum = Frame.checksum(
      Array(addresses) + [0, 17] + Frame.big(UInt16(layout.udpLength))
        + frame[layout.udp..<(layout.udp + layout.udpLength)])
    // Both are zero in one's complement.
    return sum == 0xffff ? 0 : sum
  }
}

extension [UInt8] {
  /// Two bytes in network order; nil where they are not there.
  func word(_ place: Int) -> Int? {
    place + 1 < count ? Int(self[place]) << 8 | Int(self[place + 1]) : nil
  }

  func address(_ place: Int, isIPv4: Bool) -> IPAddress {
    func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    return isIPv4
      ? IPAddress(high: 0, low: 0xffff_0000_0000 | number(self[place..<(place + 4)]))
      : IPAddress(high: number(self[place..<(place + 8)]), low: number(self[(place + 8)..<(place + 16)]))
  }

  mutating func put(_ bytes: [UInt8], at place: Int) {
    for (offset, byte) in bytes.enumerated() { self[place + offset] = byte }
  }
}
