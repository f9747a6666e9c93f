import CStreamRouter
import Foundation
import Testing
import Topology

@testable import StreamRouter

// The short way of packets that look like one that went the long way just now (bpf/shortcut.h).
//
//   outside 10.9.0.9 --> [ relay at 10.9.0.1 ] --va--vb--> 10.9.0.2 (neighbour known)

@Suite(
  .enabled(if: PrivateNetwork.isPossible, "\(PrivateNetwork.obstacle ?? "")"))
struct ShortcutTests {
  private static let frame = Frame(
    from: "10.9.0.9:4000", to: "10.9.0.1:5004", payload: Array("hello once more".utf8))
  private static let redirect: Int32 = 7
  private static let shot: Int32 = 2
  private static let pass: Int32 = -1

  private static func relay(
    _ transport: StreamProtocol = .udp, to destination: String = "10.9.0.2:6000",
    source: String = "10.9.0.1:5004", sources: [String] = ["10.9.0.9"], dscp: UInt8? = nil
  ) -> Relay {
    Relay(
      stream: "short", node: "n", hop: 0, transport: transport, ingress: Endpoint("10.9.0.1:5004")!,
      sources: sources.map { AddressPrefix($0)! },
      sinks: [
        RelaySink(
          kind: .host, name: destination, destination: Endpoint(destination)!, source: Endpoint(source)!)
      ], dscp: dscp)
  }

  private static func set(_ relay: Relay, _ datapath: SandboxDatapath) throws {
    for entry in RelayEntry.entries(for: relay, index: 3, isLocal: Route.isLocal) {
      try datapath.set(entry.value, at: entry.key)
    }
  }

  /// A way is kept on one processor and for 10 ms of the packets' own time: the test stays on its processor and says
  /// the time of each packet, so that a busy machine changes nothing.
  private static func inNetwork(_ body: @escaping @Sendable (SandboxDatapath) throws -> Void) throws {
    try PacketFixtureTests.inNetwork { datapath in
      try #require((0..<1024).contains { sr_thread_begin("shortcut", $0) == 0 })
      try body(datapath)
    }
  }

  private static let start: UInt64 = 1_800_000_000_000_000_000

  private static func run(_ frame: Frame, at ns: UInt64, _ datapath: SandboxDatapath) throws
    -> SandboxDatapath.TestRun
  {
    var context = __sk_buff()
    context.tstamp = start &+ ns
    return try datapath.testRun(frame.bytes, context: context)
  }

  private static let key = sr_relay_key(endpoint: Endpoint("10.9.0.1:5004")!)

  /// The relay leaves the table without a word, so that what is relayed then took the shortcut.
  private static func hide(_ datapath: SandboxDatapath) {
    var key = key
    #expect(bpf_map_delete_elem(datapath.maps.relays, &key) == 0)
  }

  @Test(
    "by the shortcut comes out what comes out by the long way, and is counted alike",
    arguments: [
      (relay(), frame),
      (relay(to: "10.9.0.2:5004"), frame),
      (relay(to: "10.9.0.2:4000", source: "10.9.0.1:5004"), frame),
      (relay(dscp: 46), frame.with { $0.trafficClass = 0x63 }),
      (relay(dscp: 0), frame.with { $0.trafficClass = 0xb8 }),
      (relay(), frame.with { $0.zeroUDPChecksum = true }),
      (relay(), frame.with { $0.ttl = 2 }),
      (relay(), frame.with { $0.padding = 9 }),
      (relay(.rtp), frame.with { $0.payload = rtp(7) }),
      (relay(.rtp), frame.with { $0.payload = rtp(7, payloadType: 8) }),
    ])
  func sameAsTheLongWay(_ relay: Relay, _ frame: Frame) throws {
    try Self.inNetwork { datapath in
      try Self.set(relay, datapath)
      let long = try Self.run(frame, at: 0, datapath)
      #expect(long.verdict == Self.redirect)
      let before = try datapath.counters(at: 3)
      Self.hide(datapath)
      let short = try Self.run(frame, at: 1000, datapath)
      #expect(short.verdict == Self.redirect, "taken")
      #expect(short.packet == long.packet)
      let after = try datapath.counters(at: 3)
      for counter in Counter.relay {
        let first = before.named[counter.name, default: 0]
        let wanted = counter.name == "rtp_duplicates" && relay.transport == .rtp ? 1 : first
        #expect(after.named[counter.name, default: 0] - first == wanted, "\(counter.name)")
      }
      #expect(after.histogram.total == 2)
      #expect(after.last_seen_ns > before.last_seen_ns)
      let node = try datapath.nodeCounters()
      #expect(node.reduce(0, +) == 4, "both packets were seen and relayed")
    }
  }

  @Test func sequenceNumbersAreFollowed() throws {
    try Self.inNetwork { datapath in
      try Self.set(Self.relay(.rtp), datapath)
      for sequence in [1, 2, 5, 4, 5, 6] as [UInt16] {
        let run = try datapath.testRun(Self.frame.with { $0.payload = rtp(sequence) }.bytes)
        #expect(run.verdict == Self.redirect)
      }
      let counters = try datapath.counters(at: 3)
      #expect(counters[SR_RTP_PACKETS] == 6)
      #expect(counters[SR_RTP_MISSING] == 2)
      #expect(counters[SR_RTP_LATE] == 1)
      #expect(counters[SR_RTP_DUPLICATES] == 1)
      #expect(try datapath.flow(at: 3).variations.ipdv.sum_ns > 0)
    }
  }

  @Test func rtcpTakesNone() throws {
    try Self.inNetwork { datapath in
      try Self.set(Self.relay(.rtp), datapath)
      let report = Self.frame.with {
        $0.destination.port += 1
        $0.payload = rtcpReport
      }
      for _ in 0..<3 { #expect(try datapath.testRun(report.bytes).verdict == Self.redirect) }
      #expect(try datapath.counters(at: 3)[SR_RTCP_PACKETS] == 3)
      #expect(try datapath.flow(at: 3).source.0.packets == 0)
    }
  }

  @Test func aChangedRelayIsObeyedAtOnce() throws {
    try Self.inNetwork { datapath in
      try Self.set(Self.relay(), datapath)
      _ = try datapath.testRun(Self.frame.bytes)
      try Self.set(Self.relay(to: "10.9.0.2:7000"), datapath)
      #expect(try datapath.testRun(Self.frame.bytes).packet[36..<38] == [0x1b, 0x58])
      try Self.set(Self.relay(sources: ["10.9.0.8"]), datapath)
      #expect(try datapath.testRun(Self.frame.bytes).verdict == Self.shot)
      #expect(try datapath.counters(at: 3)[SR_DROP_SOURCE] == 1)
      try Self.set(Self.relay(), datapath)
      #expect(try datapath.testRun(Self.frame.bytes).verdict == Self.redirect)
      try datapath.removeRelay(at: Self.key)
      #expect(try datapath.testRun(Self.frame.bytes).verdict == Self.pass)
    }
  }

  @Test("another source, port or address takes no other one's shortcut")
  func othersGoTheLongWay() throws {
    try Self.inNetwork { datapath in
      try Self.set(Self.relay(), datapath)
      _ = try Self.run(Self.frame, at: 0, datapath)
      Self.hide(datapath)
      #expect(try Self.run(Self.frame, at: 1000, datapath).verdict == Self.redirect)
      for other in [
        Self.frame.with { $0.source = Endpoint("10.9.0.7:4000")! },
        Self.frame.with { $0.source = Endpoint("10.9.0.9:4001")! },
        Self.frame.with { $0.destination = Endpoint("10.9.0.1:5005")! },
        Self.frame.with { $0.destination = Endpoint("10.9.0.2:5004")! },
        Self.frame.with { $0.tags = [(0x8100, 7)] },
      ] {
        #expect(try Self.run(other, at: 2000, datapath).verdict == Self.pass)
      }
    }
  }

  /// A route is obeyed 10 ms later, by the shortcut as by the long way. Time stamps of packets are the clock here.
  @Test func itEndsWithTheRoute() throws {
    try Self.inNetwork { datapath in
      try Self.set(Self.relay(), datapath)
      func verdict(at ns: UInt64) throws -> Int32 { try Self.run(Self.frame, at: ns, datapath).verdict }
      #expect(try verdict(at: 0) == Self.redirect)
      Self.hide(datapath)
      #expect(try verdict(at: 9_999_999) == Self.redirect)
      #expect(try verdict(at: 10_000_001) == Self.pass)
      #expect(try verdict(at: 0) == Self.redirect)
      // A clock that was set back.
      #expect(try verdict(at: 0 &- 1) == Self.pass)
    }
  }
}
