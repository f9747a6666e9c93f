import CStreamRouter
import Foundation
import Testing
import Topology

@testable import StreamRouter

// Packets through BPF_PROG_TEST_RUN: packet in, packet out, verdict, counters.
//
//   outside 10.9.0.9 --> [ relay at 10.9.0.1, fd09::1 ] --va--vb--> 10.9.0.2, fd09::2 (neighbour known)
//                                                                      10.9.0.3, 10.9.0.4, fd09::4 (not known)
//                                                                      10.9.5.0/24 (MTU 600), 10.9.6.0/24 (blackhole)

/// What the drawing shows; `ConnectionTests` adds to it. The far end of the wire is up first: a device that gains its
/// carrier later drops what it is to send until the kernel's link watch comes by.
let packetNetwork = """
  link set lo up
  link add name va address 02:00:00:00:00:01 type veth peer name vb
  link set dev vb address 02:00:00:00:00:02
  addr add 10.9.0.1/24 dev va
  addr add fd09::1/64 dev va nodad
  link set dev vb up
  link set dev va up
  neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev va
  neigh add fd09::2 lladdr 02:00:00:00:00:02 dev va
  route add 10.9.5.0/24 via 10.9.0.2 mtu lock 600
  route add blackhole 10.9.6.0/24

  """

private let shot: Int32 = 2
private let redirect: Int32 = 7
private let pass: Int32 = -1

private func sink(_ destination: String, kind: RelaySink.Kind = .host) -> RelaySink {
  let endpoint = Endpoint(destination)!
  let own = endpoint.address.family == .ipv4 ? "10.9.0.1:5004" : "[fd09::1]:5004"
  return RelaySink(kind: kind, name: destination, destination: endpoint, source: Endpoint(own)!)
}

private func relay(
  _ transport: StreamProtocol = .udp, at ingress: String = "10.9.0.1:5004",
  sources: [String] = ["10.9.0.9"], to sinks: [RelaySink] = [sink("10.9.0.2:6000")], dscp: UInt8? = nil,
  clockRate: UInt32? = nil
) -> Relay {
  Relay(
    stream: "fixture", node: "n", hop: 0, transport: transport, ingress: Endpoint(ingress)!,
    sources: sources.map { AddressPrefix($0)! }, sinks: sinks, dscp: dscp, clockRate: clockRate)
}

private let media = Frame(from: "10.9.0.9:4000", to: "10.9.0.1:5004", payload: Array("hello, relay".utf8))
private let media6 = Frame(from: "[fd09::9]:4000", to: "[fd09::1]:5004", payload: Array("hello, relay".utf8))
private let relay6 = relay(at: "[fd09::1]:5004", sources: ["fd09::/64"], to: [sink("[fd09::2]:6000")])

/// What the relay makes of a frame for the sink 10.9.0.2:6000 or fd09::2 port 6000.
private func forwarded(_ frame: Frame) -> Frame {
  frame.with {
    $0.destinationMAC = [2, 0, 0, 0, 0, 2]
    $0.sourceMAC = [2, 0, 0, 0, 0, 1]
    $0.source = Endpoint($0.isIPv4 ? "10.9.0.1:5004" : "[fd09::1]:5004")!
    $0.destination = Endpoint($0.isIPv4 ? "10.9.0.2:6000" : "[fd09::2]:6000")!
    $0.ttl -= 1
    $0.tags = []
  }
}

/// One packet in, and all that must come of it.
struct PacketFixture: Sendable, CustomTestStringConvertible {
  var name: String
  var relay: Relay
  var input: [UInt8]
  var gso: UInt32 = 0
  var verdict: Int32
  /// nil: not looked at, as for a dropped packet.
  var output: [UInt8]?
  /// Counters of the relay that are not zero afterwards.
  var counters: [String: UInt64] = [:]
  /// Counters of the node that are not zero afterwards, `seen` aside.
  var node: [String: UInt64] = [:]

  var testDescription: String { name }

  init(
    _ name: String, _ relay: Relay, _ input: [UInt8], gso: UInt32 = 0, verdict: Int32, output: [UInt8]? = nil,
    counters: [String: UInt64] = [:], node: [String: UInt64]
  ) {
    self.name = name
    self.relay = relay
    self.input = input
    self.gso = gso
    self.verdict = verdict
    self.output = output
    self.counters = counters.filter { $0.value != 0 }
    self.node = node
  }

  /// A packet that arrives, is forwarded to one sink and counted.
  static func forwards(
    _ name: String, _ relay: Relay, _ input: Frame, to output: Frame, gso: UInt32 = 0, packets: UInt64 = 1,
    and counters: [String: UInt64] = [:], verdict: Int32 = redirect
  ) -> PacketFixture {
    let bytes = UInt64(input.payload.count)
    let base = ["packets_in": packets, "bytes_in": bytes, "packets_out": packets, "bytes_out": bytes]
    return PacketFixture(
      name, relay, input.bytes, gso: gso, verdict: verdict, output: output.bytes,
      counters: base.merging(counters) { $1 }, node: ["relayed": 1])
  }

  /// A packet that is dropped before it counts as arrived.
  static func refuses(_ name: String, _ relay: Relay, _ input: [UInt8], cause: String) -> PacketFixture {
    PacketFixture(name, relay, input, verdict: shot, counters: [cause: 1], node: ["relayed": 1])
  }

  /// A packet that arrives and is lost at this hop.
  static func loses(
    _ name: String, _ relay: Relay, _ input: Frame, cause: String, and counters: [String: UInt64] = [:]
  ) -> PacketFixture {
    let base = ["packets_in": 1, "bytes_in": UInt64(input.payload.count), cause: 1]
    return PacketFixture(
      name, relay, input.bytes, verdict: shot, counters: base.merging(counters) { $1 }, node: ["relayed": 1])
  }

  /// A packet that is none of ours and must come out as it went in.
  static func passes(_ name: String, _ input: [UInt8], as reason: String) -> PacketFixture {
    PacketFixture(name, StreamRouterTests.relay(), input, verdict: pass, output: input, node: [reason: 1])
  }
}

private func relay() -> Relay { relay(.udp) }

private let fixtures: [PacketFixture] = [
  // Forwarding
  .forwards("UDP over IPv4", relay(), media, to: forwarded(media)),
  .forwards("UDP over IPv6", relay6, media6, to: forwarded(media6)),
  .forwards(
    "a zero UDP checksum stays zero", relay(), media.with { $0.zeroUDPChecksum = true },
    to: forwarded(media).with { $0.zeroUDPChecksum = true }),
  .forwards(
    "IPv4 options are kept", relay(), media.with { $0.ipv4Options = [1, 1, 1, 1, 1, 1, 1, 0] },
    to: forwarded(media).with { $0.ipv4Options = [1, 1, 1, 1, 1, 1, 1, 0] }),
  .forwards(
    "Ethernet padding", relay(), media.with { $0.padding = 6 }, to: forwarded(media).with { $0.padding = 6 }),
  .forwards(
    "an odd payload", relay(), media.with { $0.payload.append(7) },
    to: forwarded(media).with { $0.payload.append(7) }),
  .forwards(
    "an empty payload", relay(), media.with { $0.payload = [] }, to: forwarded(media).with { $0.payload = [] }),
  .forwards(
    "an 802.1Q tag comes off", relay(), media.with { $0.tags = [(0x8100, 100)] }, to: forwarded(media)),
  .forwards(
    "802.1ad around 802.1Q comes off", relay(), media.with { $0.tags = [(0x88a8, 7), (0x8100, 100)] },
    to: forwarded(media)),
  .forwards(
    "a tag over IPv6 comes off", relay6, media6.with { $0.tags = [(0x8100, 100)] }, to: forwarded(media6)),
  .forwards(
    "DSCP is written and ECN kept, IPv4", relay(dscp: 46), media.with { $0.trafficClass = 0b0000_0101 },
    to: forwarded(media).with { $0.trafficClass = 46 << 2 | 1 }),
  .forwards(
    "DSCP is written and ECN kept, IPv6",
    Relay(
      stream: "fixture", node: "n", hop: 0, transport: .udp, ingress: relay6.ingress, sources: relay6.sources,
      sinks: relay6.sinks, dscp: 34), media6.with { $0.trafficClass = 2 },
    to: forwarded(media6).with { $0.trafficClass = 34 << 2 | 2 }),
  .forwards(
    "a source within a prefix", relay(sources: ["192.0.2.1", "10.9.0.8/29"]), media, to: forwarded(media)),
  .forwards(
    "a sixteenth source",
    relay(sources: (1...15).map { "192.0.2.\($0)" } + ["10.9.0.9"]), media, to: forwarded(media)),
  .forwards(
    "RTP", relay(.rtp), media.with { $0.payload = rtp(7) },
    to: forwarded(media).with { $0.payload = rtp(7) }, and: ["rtp_packets": 1]),
  .forwards(
    "RTP over IPv6",
    Relay(
      stream: "fixture", node: "n", hop: 0, transport: .rtp, ingress: relay6.ingress, sources: relay6.sources,
      sinks: relay6.sinks), media6.with { $0.payload = rtp(7) },
    to: forwarded(media6).with { $0.payload = rtp(7) }, and: ["rtp_packets": 1]),
  .forwards(
    "RTCP on the RTP port", relay(.rtp), media.with { $0.payload = rtcpReport },
    to: forwarded(media).with { $0.payload = rtcpReport }, and: ["rtcp_packets": 1]),
  .forwards(
    "RTCP on the next port", relay(.rtp),
    media.with {
      $0.destination.port = 5005
      $0.payload = rtcpReport
    },
    to: forwarded(media).with {
      $0.source.port = 5005
      $0.destination.port = 6001
      $0.payload = rtcpReport
    }, and: ["rtcp_packets": 1]),
  .forwards(
    "to a sink on this node, the source as it came",
    relay(to: [sink("10.9.0.1:7000", kind: .local)]), media,
    to: media.with { $0.destination = Endpoint("10.9.0.1:7000")! }, verdict: pass),
  .forwards(
    "a GSO packet of four datagrams", relay(.rtp),
    media.with {
      $0.payload = (1...4).flatMap { rtp(UInt16($0), body: [UInt8](repeating: UInt8($0), count: 88)) }
    },
    to: forwarded(media).with {
      $0.payload = (1...4).flatMap { rtp(UInt16($0), body: [UInt8](repeating: UInt8($0), count: 88)) }
    }, gso: 100, packets: 4, and: ["rtp_packets": 4]),
  PacketFixture(
    "a neighbour that is not known yet: the kernel resolves it", relay(to: [sink("10.9.0.3:6000")]),
    media.bytes,
    verdict: redirect,
    counters: ["packets_in": 1, "bytes_in": 12, "packets_out": 1, "bytes_out": 12], node: ["relayed": 1]),

  // Each cause of loss
  .refuses(
    "a source that no stream names", relay(sources: ["10.9.0.10", "192.0.2.0/24"]), media.bytes,
    cause: "drop_source"),
  .refuses(
    "an IPv6 source that no stream names", relay6, media6.with { $0.source = Endpoint("[fd08::9]:1")! }.bytes,
    cause: "drop_source"),
  .refuses(
    "a UDP length beyond the packet", relay(),
    media.bytes.replacing(at: media.udpOffset + 4, with: [0, 200]), cause: "drop_malformed"),
  .refuses(
    "a UDP length below 8", relay(), media.bytes.replacing(at: media.udpOffset + 4, with: [0, 7]),
    cause: "drop_malformed"),
  .refuses(
    "a wrong IPv4 header checksum", relay(), media.bytes.replacing(at: 24, with: [0xde, 0xad]),
    cause: "drop_malformed"),
  .refuses(
    "an IPv6 payload length beyond the packet", relay6, media6.bytes.replacing(at: 18, with: [1, 0]),
    cause: "drop_malformed"),
  .refuses(
    "the first fragment, IPv4", relay(), media.with { $0.fragment = 0x2000 }.bytes, cause: "drop_fragment"),
  .refuses(
    "the first fragment, IPv6", relay6,
    media6.with { $0.extensionHeader = (44, [17, 0, 0, 1, 0, 0, 0, 1]) }.bytes, cause: "drop_fragment"),
  .loses(
    "RTP version 1", relay(.rtp), media.with { $0.payload = [0x40] + rtp(1).dropFirst() }, cause: "drop_not_rtp"
  ),
  .loses(
    "STUN on an RTP port", relay(.rtp), media.with { $0.payload = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42] },
    cause: "drop_not_rtp"),
  .loses(
    "too short for RTP or RTCP", relay(.rtp), media.with { $0.payload = [0x80, 96, 0] }, cause: "drop_not_rtp"),
  .loses(
    "more CSRCs than bytes", relay(.rtp), media.with { $0.payload = [0x8f] + rtp(1).dropFirst() },
    cause: "drop_malformed"),
  .loses(
    "RTP on the RTCP port", relay(.rtp),
    media.with {
      $0.destination.port = 5005
      $0.payload = rtp(1)
    }, cause: "drop_not_rtp"),
  .loses("TTL 1", relay(), media.with { $0.ttl = 1 }, cause: "drop_ttl"),
  .loses("TTL 0", relay(), media.with { $0.ttl = 0 }, cause: "drop_ttl"),
  .loses("hop limit 1", relay6, media6.with { $0.ttl = 1 }, cause: "drop_ttl"),
  .loses("a blackhole route", relay(to: [sink("10.9.6.1:6000")]), media, cause: "drop_route"),
  .loses("no route", relay(to: [sink("203.0.113.1:6000")]), media, cause: "drop_route"),
  .loses(
    "larger than the route's MTU", relay(to: [sink("10.9.5.1:6000")]),
    media.with { $0.payload = [UInt8](repeating: 1, count: 573) }, cause: "drop_mtu"),

  // What is none of ours
  .passes("another port", media.with { $0.destination.port = 5005 }.bytes, as: "passed_unknown"),
  .passes(
    "another address", media.with { $0.destination = Endpoint("10.9.0.7:5004")! }.bytes, as: "passed_unknown"),
  .passes(
    "for another machine", media.with { $0.destinationMAC = [2, 9, 9, 9, 9, 9] }.bytes, as: "passed_unknown"),
  .passes("ARP", media.bytes.replacing(at: 12, with: [0x08, 0x06]), as: "passed_not_ip"),
  .passes("TCP", media.with { $0.ipv4Protocol = 6 }.bytes, as: "passed_not_udp"),
  .passes(
    "an IPv6 hop-by-hop header", media6.with { $0.extensionHeader = (0, [17, 0, 1, 4, 0, 0, 0, 0]) }.bytes,
    as: "passed_not_udp"),
  .passes("a later fragment, IPv4", media.with { $0.fragment = 0x0010 }.bytes, as: "passed_fragment"),
  .passes(
    "a later fragment, IPv6", media6.with { $0.extensionHeader = (44, [17, 0, 0, 16, 0, 0, 0, 1]) }.bytes,
    as: "passed_fragment"),
  .passes("a header length below 5", media.bytes.replacing(at: 14, with: [0x44]), as: "passed_short"),
  .passes("IPv4 said, IPv6 inside", media.bytes.replacing(at: 14, with: [0x65]), as: "passed_short"),
  .passes("a frame shorter than its headers", Array(media.bytes.prefix(36)), as: "passed_short"),
]

extension [UInt8] {
  fileprivate func replacing(at offset: Int, with bytes: [UInt8]) -> [UInt8] {
    Array(self[..<offset]) + bytes + Array(self[(offset + bytes.count)...])
  }
}

@Suite(
  .enabled(if: PrivateNetwork.isPossible, "\(PrivateNetwork.obstacle ?? "")"))
struct PacketFixtureTests {
  @Test(arguments: fixtures)
  func fixture(_ fixture: PacketFixture) throws {
    try Self.inNetwork { datapath in
      for entry in RelayEntry.entries(for: fixture.relay, index: 3, isLocal: Route.isLocal) {
        try datapath.set(entry.value, at: entry.key)
      }
      var context = __sk_buff()
      context.gso_size = fixture.gso
      context.gso_segs = fixture.gso == 0 ? 0 : 4
      let run = try datapath.testRun(fixture.input, context: context)
      #expect(run.verdict == fixture.verdict)
      if let output = fixture.output { #expect(run.packet == output) }
      let counters = try datapath.counters(at: 3)
      #expect(counters.named.filter { $0.value != 0 } == fixture.counters)
      let node = try datapath.nodeCounters()
      var expected = fixture.node
      expected["seen"] = 1
      #expect(
        Dictionary(uniqueKeysWithValues: Counter.node.map { ($0.name, node[$0.index]) }).filter {
          $0.value != 0
        }
          == expected)
      let forwardedHere = fixture.counters["packets_out"] ?? 0
      #expect(counters.histogram.total == forwardedHere, "the residence of each packet that went on is known")
    }
  }

  /// Each fixture once more, after an ordinary packet of the same source: what is out of the ordinary finds no shortcut.
  @Test(arguments: fixtures)
  func fixtureAfterAnother(_ fixture: PacketFixture) throws {
    try Self.inNetwork { datapath in
      for entry in RelayEntry.entries(for: fixture.relay, index: 3, isLocal: Route.isLocal) {
        try datapath.set(entry.value, at: entry.key)
      }
      let ordinary = media.with { if fixture.relay.transport == .rtp { $0.payload = rtp(9) } }
      _ = try datapath.testRun(ordinary.bytes)
      let before = try datapath.counters(at: 3)
      var context = __sk_buff()
      context.gso_size = fixture.gso
      context.gso_segs = fixture.gso == 0 ? 0 : 4
      let run = try datapath.testRun(fixture.input, context: context)
      #expect(run.verdict == fixture.verdict)
      if let output = fixture.output { #expect(run.packet == output) }
      let counters = try datapath.counters(at: 3)
      for counter in Counter.relay where counter.kind != .rtp {
        let added = counters.named[counter.name, default: 0] - before.named[counter.name, default: 0]
        #expect(added == fixture.counters[counter.name, default: 0], "\(counter.name)")
      }
    }
  }

  /// Fan-out: three sinks, the first two by copies that really leave by the device, the last by the packet itself.
  @Test func fanOut() throws {
    try Self.inNetwork { datapath in
      let sinks = [sink("10.9.0.2:6000"), sink("10.9.0.2:6002"), sink("10.9.0.2:6004")]
      for entry in RelayEntry.entries(for: relay(to: sinks), index: 0, isLocal: Route.isLocal) {
        try datapath.set(entry.value, at: entry.key)
      }
      let capture = try PacketCapture(device: "vb")
      let run = try datapath.testRun(media.bytes)
      #expect(run.verdict == redirect)
      #expect(run.packet == forwarded(media).with { $0.destination.port = 6004 }.bytes)
      let copies = capture.frames(count: 2) { $0.count > 37 && $0[23] == 17 }
      #expect(copies == [forwarded(media).bytes, forwarded(media).with { $0.destination.port = 6002 }.bytes])
      let counters = try datapath.counters(at: 0)
      #expect(counters[SR_PACKETS_IN] == 1)
      #expect(counters[SR_PACKETS_OUT] == 3)
      #expect(counters[SR_BYTES_OUT] == 3 * 12)
    }
  }

  /// A sink that cannot be reached costs the others nothing; a copy does not wait for a neighbour.
  @Test func fanOutWithFailures() throws {
    try Self.inNetwork { datapath in
      let sinks = [
        sink("10.9.0.4:6000"), sink("10.9.6.1:6000"), sink("10.9.0.2:6000"),
        sink("10.9.0.1:7000", kind: .local),
      ]
      for entry in RelayEntry.entries(for: relay(to: sinks), index: 0, isLocal: Route.isLocal) {
        try datapath.set(entry.value, at: entry.key)
      }
      let capture = try PacketCapture(device: "vb")
      let run = try datapath.testRun(media.bytes)
      #expect(run.verdict == pass)
      #expect(capture.frames(count: 1) { $0.count > 37 && $0[23] == 17 } == [forwarded(media).bytes])
      // Up the stack goes the source that came in: the kernel would refuse its own.
      #expect(
        run.packet.dropFirst(12)
          == media.with {
            $0.destination = Endpoint("10.9.0.1:7000")!
            $0.ttl -= 1
          }.bytes.dropFirst(12))
      let counters = try datapath.counters(at: 0)
      #expect(counters[SR_PACKETS_OUT] == 2)
      #expect(counters[SR_DROP_NEIGHBOUR] == 1)
      #expect(counters[SR_DROP_ROUTE] == 1)
    }
  }

  /// A TTL that is used up stops the copies that leave the node, and leaves the headers whole for the one that stays.
  @Test func usedUpTTLStillReachesTheLocalSink() throws {
    try Self.inNetwork { datapath in
      let sinks = [sink("10.9.0.2:6000"), sink("10.9.0.1:7000", kind: .local)]
      for entry in RelayEntry.entries(for: relay(to: sinks), index: 0, isLocal: Route.isLocal) {
        try datapath.set(entry.value, at: entry.key)
      }
      let last = media.with { $0.ttl = 1 }
      let run = try datapath.testRun(last.bytes)
      #expect(run.verdict == pass)
      #expect(run.packet == last.with { $0.destination = Endpoint("10.9.0.1:7000")! }.bytes)
      let counters = try datapath.counters(at: 0)
      #expect(counters[SR_DROP_TTL] == 1)
      #expect(counters[SR_PACKETS_OUT] == 1)
    }
  }

  static func inNetwork(_ body: @escaping @Sendable (SandboxDatapath) throws -> Void) throws {
    try PrivateNetwork.run(setup: packetNetwork) {
      for family in ["ipv4", "ipv6"] {
        try "1\n".write(
          toFile: "/proc/sys/net/\(family)/conf/lo/forwarding", atomically: false,
          encoding: .utf8)
      }
      try DatapathPool.lend { datapath in
        try datapath.updateSettings()
        try body(datapath)
      }
    }
  }
}
