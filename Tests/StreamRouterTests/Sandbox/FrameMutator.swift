import TestSupport
import Topology

/// Frames that nobody should send: valid ones for some relays, damaged in up to four places, and pure noise.
struct FrameMutator {
  var random = SeededRandom()
  private let relays: [Relay]
  /// Addresses and ports that may do harm when they stand in the wrong place.
  private let addresses: [IPAddress]
  private let ports: [UInt16]

  init(relays: [Relay], others: [String]) {
    self.relays = relays
    addresses =
      relays.flatMap { [$0.ingress.address] + $0.sinks.map(\.destination.address) + $0.sources.map(\.address) }
      + others.map { IPAddress($0)! }
    ports = relays.flatMap { [$0.ingress.port, $0.ingress.port + 1] + $0.sinks.map(\.destination.port) }
  }

  mutating func next() -> [UInt8] {
    if random.once(in: 12) { return random.bytes(.random(in: 14...1600, using: &random)) }
    var frame = valid()
    if random.once(in: 6) { return frame }
    for _ in 0..<Int.random(in: 1...4, using: &random) { mutate(&frame) }
    if !random.once(in: 3) { Self.mendIPv4Checksum(&frame) }
    return frame
  }

  private mutating func valid() -> [UInt8] {
    let relay = relays.randomElement(using: &random)!
    var frame = Frame(from: "10.9.0.9:4000", to: "10.9.0.1:5004", payload: [])
    frame.destination = relay.ingress
    if relay.transport == .rtp && random.once(in: 4) { frame.destination.port += 1 }
    frame.source = Endpoint(address: source(of: relay), port: .random(in: 1 ... .max, using: &random))
    switch Int.random(in: 0..<8, using: &random) {
    case 0: frame.payload = random.bytes(.random(in: 0...64, using: &random))
    case 1: frame.payload = random.bytes(.random(in: 1400...1540, using: &random))
    case 2: frame.payload = rtcpReport
    default:
      frame.payload = rtp(
        UInt16(random.next() & 0xffff), body: random.bytes(.random(in: 0...160, using: &random)))
    }
    if random.once(in: 4) {
      frame.tags = (0..<Int.random(in: 1...3, using: &random)).map { _ in
        ([0x8100, 0x88a8].randomElement(using: &random)!, UInt16(random.next() & 0xffff))
      }
    }
    if random.once(in: 8) { frame.ipv4Options = random.bytes(4 * Int.random(in: 1...10, using: &random)) }
    if random.once(in: 8) { frame.zeroUDPChecksum = true }
    if random.once(in: 8) { frame.padding = .random(in: 1...18, using: &random) }
    frame.trafficClass = UInt8(random.next() & 0xff)
    if !frame.isIPv4 {
      frame.ipv4Options = []
      if random.once(in: 8) { frame.extensionHeader = (44, [17, 0] + random.bytes(6)) }
      if random.once(in: 16) { frame.extensionHeader = (0, [17, 0, 1, 4, 0, 0, 0, 0]) }
    }
    return frame.bytes
  }

  /// An allowed one, the edge of a prefix or the address just outside.
  private mutating func source(of relay: Relay) -> IPAddress {
    let prefix = relay.sources.randomElement(using: &random)!
    let width = (prefix.address.family == .ipv4 ? 32 : 128) - prefix.length
    let last = width >= 63 ? UInt64.max >> 1 : (1 << UInt64(width)) - 1
    let step: UInt64 = [0, last / 2, last, last &+ 1, .max].randomElement(using: &random)!
    return IPAddress(high: prefix.address.high, low: prefix.address.low &+ (random.once(in: 2) ? 0 : step))
      .keeping(prefix.address.family)
  }

  private mutating func mutate(_ frame: inout [UInt8]) {
    guard frame.count >= 42 else { return }
    let ip = Self.ipOffset(frame)
    let isIPv4 = frame.word(ip - 2) == 0x0800
    let udp = min(ip + (isIPv4 && ip < frame.count ? 4 * Int(frame[ip] & 15) : 40), frame.count)
    func fits(_ place: Int, _ count: Int) -> Bool { place + count <= frame.count }
    // Bits, length of the frame, length fields, ports, addresses, tags; fragment bits (in IPv6 next header and hop
    // limit), version, hops, protocol, link-layer address; the RTP header.
    switch Int.random(in: 0..<16, using: &random) {
    case 0, 1:
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        frame[.random(in: frame.indices, using: &random)] ^= 1 << UInt8.random(in: 0...7, using: &random)
      }
    case 2: frame.removeLast(.random(in: 0...(frame.count - 14), using: &random))
    case 3: frame += random.bytes(.random(in: 1...max(1, 1600 - frame.count), using: &random))
    case 4, 5:
      let place = [isIPv4 ? ip + 2 : ip + 4, udp + 4].randomElement(using: &random)!
      guard fits(place, 2) else { return }
      let near = UInt16(truncatingIfNeeded: frame.word(place)! + .random(in: -9...9, using: &random))
      frame.put(
        Frame.big([near, 0, 7, 8, 0xffff, UInt16(random.next() & 0x7ff)].randomElement(using: &random)!),
        at: place)
    case 6:
      let place = udp + [0, 2].randomElement(using: &random)!
      if fits(place, 2) { frame.put(Frame.big(ports.randomElement(using: &random)!), at: place) }
    case 7, 8:
      let address = Frame.address(addresses.randomElement(using: &random)!)
      guard (address.count == 4) == isIPv4 else { return }
      let place = ip + (isIPv4 ? 12 : 8) + (random.once(in: 2) ? address.count : 0)
      if fits(place, address.count) { frame.put(address, at: place) }
    case 9:
      frame.insert(contentsOf: [0x81, 0x00] + random.bytes(2), at: 12)
    case 10: if fits(ip + 6, 2) { frame.put(random.bytes(2), at: ip + 6) }
    case 11: if fits(ip, 1) { frame[ip] = UInt8(random.next() & 0xff) }
    case 12:
      if fits(ip + 9, 1) { frame[ip + (isIPv4 ? 8 : 7)] = [0, 1, 2, 255].randomElement(using: &random)! }
    case 13: if fits(ip + 9, 1) { frame[ip + (isIPv4 ? 9 : 6)] = UInt8(random.next() & 0xff) }
    case 14:
      frame.put(
        [[1, 0, 0x5e, 1, 2, 3], [2, 9, 9, 9, 9, 9], [0, 0, 0, 0, 0, 0]].randomElement(using: &random)!, at: 0)
    default: if fits(udp + 8, 12) { frame.put(random.bytes(12), at: udp + 8) }
    }
  }

  private static func ipOffset(_ frame: [UInt8]) -> Int {
    var ip = 14
    while let type = frame.word(ip - 2), type == 0x8100 || type == 0x88a8 { ip += 4 }
    return ip
  }

  private static func mendIPv4Checksum(_ frame: inout [UInt8]) {
    let ip = ipOffset(frame)
    guard frame.word(ip - 2) == 0x0800, ip < frame.count else { return }
    let end = ip + 4 * Int(frame[ip] & 15)
    guard end - ip >= 20, end <= frame.count else { return }
    frame.put([0, 0], at: ip + 10)
    frame.put(Frame.big(Frame.checksum(Array(frame[ip..<end]))), at: ip + 10)
  }
}

extension IPAddress {
  /// The address itself, or where arithmetic left the family, the family's first.
  fileprivate func keeping(_ wanted: Family) -> IPAddress {
    family == wanted ? self : IPAddress(wanted == .ipv4 ? "10.9.0.9" : "fd09::9")!
  }
}
