import CStreamRouter
import Foundation
import Testing
import Topology

@testable import StreamRouter

/// Random and damaged frames through the datapath: what is none of ours stays as it is, nothing leaves that no stream
/// names, and every packet is accounted for once. The network is drawn at ``PacketFixtureTests``.
@Suite(.enabled(if: PrivateNetwork.isPossible, "\(PrivateNetwork.obstacle ?? "")"))
struct FuzzTests {
  private static func sink(_ destination: String, from source: String, kind: RelaySink.Kind = .host)
    -> RelaySink
  {
    RelaySink(
      kind: kind, name: destination, destination: Endpoint(destination)!, source: Endpoint(source)!)
  }

  private static func relay(
    _ transport: StreamProtocol, at ingress: String, sources: [String], to sinks: [RelaySink],
    dscp: UInt8? = nil
  ) -> Relay {
    Relay(
      stream: "fuzz", node: "n", hop: 0, transport: transport, ingress: Endpoint(ingress)!,
      sources: sources.map { AddressPrefix($0)! }, sinks: sinks, dscp: dscp)
  }

  private static let relays = [
    relay(
      .udp, at: "10.9.0.1:5004", sources: ["10.9.0.9", "10.9.0.64/27"],
      to: [sink("10.9.0.2:6000", from: "10.9.0.1:5004")]),
    relay(
      .rtp, at: "10.9.0.1:5010", sources: ["10.9.0.0/24"], to: [sink("10.9.0.2:6010", from: "10.9.0.1:5010")],
      dscp: 46),
    relay(
      .udp, at: "[fd09::1]:5004", sources: ["fd09::/64"], to: [sink("[fd09::2]:6000", from: "[fd09::1]:5004")],
      dscp: 34),
    relay(
      .rtp, at: "[fd09::1]:5010", sources: ["fd09::9"], to: [sink("[fd09::2]:6010", from: "[fd09::1]:5010")]),
    relay(
      .udp, at: "10.9.0.1:5020", sources: ["10.9.0.9"],
      to: [
        sink("10.9.0.2:6020", from: "10.9.0.1:5020"), sink("10.9.0.2:6022", from: "10.9.0.1:5020"),
        sink("10.9.0.2:6024", from: "10.9.0.1:5020"),
      ]),
    relay(
      .rtp, at: "10.9.0.1:5030", sources: ["10.9.0.9"],
      to: [
        sink("10.9.0.2:6030", from: "10.9.0.1:5030"),
        sink("10.9.0.1:7030", from: "10.9.0.1:5030", kind: .local),
      ]),
    relay(
      .udp, at: "[fd09::1]:5040", sources: ["fd09::9"],
      to: [sink("[fd09::1]:7040", from: "[fd09::1]:5040", kind: .local)]),
  ]

  /// SR_FRAMES is for where a packet takes long, as in an emulated guest.
  private static let frameCount =
    ProcessInfo.processInfo.environment["SR_FRAMES"].flatMap { Int($0) } ?? 100_000

  @Test func randomFrames() throws {
    try PacketFixtureTests.inNetwork { datapath in
      for (index, relay) in Self.relays.enumerated() {
        for entry in RelayEntry.entries(for: relay, index: UInt32(index), isLocal: Route.isLocal) {
          try datapath.set(entry.value, at: entry.key)
        }
      }
      let oracle = PacketOracle(relays: Self.relays)
      var mutator = FrameMutator(relays: Self.relays, others: ["10.9.0.7", "10.9.6.1", "fd09::7", "192.0.2.1"])
      var tally = FuzzTally(relays: Self.relays.count)
      for number in 0..<Self.frameCount {
        let frame = mutator.next()
        let fate = oracle.fate(of: frame)
        let run: SandboxDatapath.TestRun
        do {
          run = try datapath.testRun(frame)
        } catch {
          // A test run takes no frame that is shorter than what its Ethernet type promises.
          let header = [0x0800: 20, 0x86dd: 40][frame.word(12)!] ?? 1
          try #require(frame.count < 14 + header, "SR_SEED=\(mutator.random.seed), frame \(number): \(error)")
          continue
        }
        tally.add(fate)
        let fault = Self.fault(of: run, on: frame, fate: fate, oracle: oracle)
        try #require(fault == nil, "SR_SEED=\(mutator.random.seed), frame \(number): \(fate), \(frame)")
        if number % 1000 == 999 || number == Self.frameCount - 1 {
          let differences = try tally.differences(from: datapath)
          try #require(differences == [], "SR_SEED=\(mutator.random.seed), up to frame \(number)")
        }
      }
      #expect(tally.seen > UInt64(Self.frameCount) * 95 / 100, "SR_SEED=\(mutator.random.seed)")
      // Damage that always ends before the lookup would show nothing about the relays.
      for (fate, count) in tally.fates {
        #expect(count > Self.frameCount / 200, "SR_SEED=\(mutator.random.seed), \(fate)")
      }
    }
  }

  /// The table holds IPv4 addresses in IPv6's mapped form (RFC 4291 section 2.5.5.2). A packet of IPv6 that carries
  /// that form is no packet to the IPv4 address, and no relay's.
  @Test func mappedAddressesInIPv6AreNotOurs() throws {
    try PacketFixtureTests.inNetwork { datapath in
      for entry in RelayEntry.entries(for: Self.relays[0], index: 0, isLocal: Route.isLocal) {
        try datapath.set(entry.value, at: entry.key)
      }
      var frame = Frame(from: "[fd09::9]:4000", to: "[fd09::1]:5004", payload: [1, 2, 3, 4]).bytes
      frame.put([UInt8](repeating: 0, count: 10) + [0xff, 0xff, 10, 9, 0, 9], at: 22)
      frame.put([UInt8](repeating: 0, count: 10) + [0xff, 0xff, 10, 9, 0, 1], at: 38)
      let run = try datapath.testRun(frame)
      let counted = try datapath.counters(at: 0).named.filter { $0.value != 0 }
      #expect(run.verdict == -1)
      #expect(run.packet == frame)
      #expect(counted == [:])
    }
  }

  /// Bytes behind the datagram that no device of the sink's MTU can carry: the packet is cut or counted as lost.
  @Test func aFrameTooLongForTheDeviceIsNotSent() throws {
    try PacketFixtureTests.inNetwork { datapath in
      for entry in RelayEntry.entries(for: Self.relays[0], index: 0, isLocal: Route.isLocal) {
        try datapath.set(entry.value, at: entry.key)
      }
      let frame = Frame(from: "10.9.0.9:4000", to: "10.9.0.1:5004", payload: [1, 2]).with { $0.padding = 1600 }
      let run = try datapath.testRun(frame.bytes)
      let isSent = try datapath.counters(at: 0)[SR_PACKETS_OUT] > 0
      #expect(!isSent || run.packet.count <= 1514)
    }
  }

  /// What the datapath did wrong with one frame; nil where all is right.
  private static func fault(
    of run: SandboxDatapath.TestRun, on frame: [UInt8], fate: PacketOracle.Fate, oracle: PacketOracle
  ) -> String? {
    let pass: Int32 = -1
    let shot: Int32 = 2
    let redirect: Int32 = 7
    switch fate {
    case .passes:
      if run.verdict != pass { return "verdict \(run.verdict) on a packet that is none of ours" }
      return run.packet == frame ? nil : "a packet that is none of ours was changed"
    case .refused, .rejected:
      return run.verdict == shot ? nil : "verdict \(run.verdict) on a packet to drop"
    case .relayed(let relay, _, _, let sinks):
      let isSent = sinks.last! == nil
      let verdict = !isSent ? shot : oracle.relays[relay].sinks.last!.kind == .local ? pass : redirect
      if run.verdict != verdict { return "verdict \(run.verdict) instead of \(verdict)" }
      return isSent ? oracle.fault(of: run.packet, from: frame, relay: relay, sinks: sinks) : nil
    }
  }
}

/// What the counters must say after a number of frames.
private struct FuzzTally {
  private(set) var seen: UInt64 = 0
  private var relayed: UInt64 = 0
  private var values: [[UInt64]]
  /// How often each fate was met.
  private(set) var fates = ["passes": 0, "refused": 0, "rejected": 0, "sent": 0, "not sent": 0]

  init(relays: Int) {
    values = Array(repeating: Array(repeating: 0, count: Counter.relay.count), count: relays)
  }

  mutating func add(_ fate: PacketOracle.Fate) {
    seen += 1
    if fate != .passes { relayed += 1 }
    switch fate {
    case .passes: fates["passes"]! += 1
    case .refused(let relay, let cause):
      fates["refused"]! += 1
      count(cause, relay)
    case .rejected(let relay, let cause, let bytes):
      fates["rejected"]! += 1
      count(SR_PACKETS_IN, relay)
      count(SR_BYTES_IN, relay, bytes)
      count(cause, relay)
    case .relayed(let relay, let bytes, let media, let sinks):
      count(SR_PACKETS_IN, relay)
      count(SR_BYTES_IN, relay, bytes)
      if let media { count(media, relay) }
      for cause in sinks {
        fates[cause == nil ? "sent" : "not sent"]! += 1
        count(cause ?? SR_PACKETS_OUT, relay)
        if cause == nil { count(SR_BYTES_OUT, relay, bytes) }
      }
    }
  }

  private mutating func count(_ counter: sr_counter, _ relay: Int, _ amount: Int = 1) {
    values[relay][Int(counter.rawValue)] += UInt64(amount)
  }

  func differences(from datapath: SandboxDatapath) throws -> [String] {
    var differences: [String] = []
    let node = try datapath.nodeCounters()
    let named = Dictionary(uniqueKeysWithValues: Counter.node.map { ($0.name, node[$0.index]) })
    if named["seen"] != seen { differences.append("seen \(named["seen"]!) of \(seen)") }
    if named["relayed"] != relayed { differences.append("relayed \(named["relayed"]!) of \(relayed)") }
    // Each packet is relayed or passed on for one reason.
    let told = named.filter { $0.key != "seen" }.values.reduce(0, +)
    if told != seen { differences.append("\(told) of \(seen) are accounted for: \(named)") }
    // What the sequence numbers of random packets tell is for AgreementTests.
    let sequences = [SR_RTP_MISSING, SR_RTP_LATE, SR_RTP_DUPLICATES, SR_RTP_RESTARTS].map { Int($0.rawValue) }
    for relay in values.indices {
      let counters = try datapath.counters(at: UInt32(relay))
      let theirs = withUnsafeBytes(of: counters.value) { Array($0.bindMemory(to: UInt64.self)) }
      for counter in Counter.relay where !sequences.contains(counter.index) {
        let (found, wanted) = (theirs[counter.index], values[relay][counter.index])
        if found != wanted { differences.append("relay \(relay): \(counter.name) is \(found), not \(wanted)") }
      }
    }
    return differences
  }
}
