import CStreamRouter
import Foundation
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// What the datapath does around extensions, packet by packet through BPF_PROG_TEST_RUN: order of a chain, choice of
/// sinks, and each cause to drop a packet that extensions bring with them.
@Suite(
  .serialized, .enabled(if: PrivateNetwork.isPossible, "\(PrivateNetwork.obstacle ?? "")"),
  .enabled(if: (try? ExtensionToolchain.find()) != nil, "needs the Swift toolchain"))
struct ExtensionDatapathTests {
  private static let source = """
    import RelayExtension
    /// Answers as its parameter says.
    @main struct Answer: RelayExtension {
      var answer: UInt8 = 0
      var divisor: UInt32 = 1
      enum Counter: UInt32, RelayCounter { case seen }
      func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
        context.count(.seen, UInt64(100 / divisor))
        switch answer {
        case 0: return .forward
        case 1: return .drop
        case 2: return .only(Sinks(0))
        case 3: return .only(Sinks(1).union(Sinks(2)))
        case 4: return .only(.none)
        default:
          packet.dscp = 46
          return .forward
        }
      }
    }
    """

  private static let network = """
    link set lo up
    link add name va address 02:00:00:00:00:01 type veth peer name vb
    addr add 10.9.0.1/24 dev va
    link set vb up
    link set va up
    neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev va

    """

  private static let media = Frame(
    from: "10.9.0.9:4000", to: "10.9.0.1:5004", payload: Array("hello, relay".utf8))

  private static func relay(sinks: Int) -> Relay {
    Relay(
      stream: "fixture", node: "n", hop: 0, transport: .udp, ingress: Endpoint("10.9.0.1:5004")!,
      sources: [AddressPrefix("10.9.0.9")!],
      sinks: (0..<sinks).map {
        RelaySink(
          kind: .host, name: "s", destination: Endpoint("10.9.0.2:600\($0)")!,
          source: Endpoint("10.9.0.1:5004")!)
      })
  }

  /// One run of a packet through a chain.
  private struct Chain: Sendable {
    /// Parameters of each extension of the chain.
    var settings: [[String: ParameterValue]]
    var sinks = 1
    var gso: UInt32 = 0
    var isHeld = false
    /// Stands in the relay without being linked in.
    var missing: UInt32?
  }

  private struct Outcome: Sendable {
    var verdict: Int32
    var packet: [UInt8]
    var counters: [String: UInt64]
    var accounts: [ExtensionSnapshot]
  }

  private static func run(_ chain: Chain, _ object: ExtensionObject) throws -> Outcome {
    try PrivateNetwork.run(setup: network) {
      try "1\n".write(toFile: "/proc/sys/net/ipv4/conf/lo/forwarding", atomically: false, encoding: .utf8)
      let datapath = try SandboxDatapath(
        pins: nil, capacity: 16, extensions: [ExtensionPlacement(object: object, slot: 7, instances: 4)])
      try datapath.updateSettings()
      let table = try #require(datapath.extensions[7])
      var uses: [sr_extension_use] = []
      for (instance, settings) in chain.settings.enumerated() {
        try table.begin(UInt32(instance), parameters: object.manifest.record(settings))
        uses.append(sr_extension_use(slot: 7, instance: UInt32(instance)))
      }
      if let missing = chain.missing { uses.append(sr_extension_use(slot: missing, instance: 0)) }
      for entry in RelayEntry.entries(
        for: relay(sinks: chain.sinks), index: 3, extensions: uses, isLocal: Route.isLocal)
      {
        try datapath.set(entry.value, at: entry.key)
      }
      if chain.isHeld { try datapath.hold(index: 3) }
      var context = __sk_buff()
      context.gso_size = chain.gso
      context.gso_segs = chain.gso == 0 ? 0 : 3
      let run = try datapath.testRun(media.bytes, context: context)
      return Outcome(
        verdict: run.verdict, packet: run.packet,
        counters: try datapath.counters(at: 3).named.filter { $0.value != 0 && !$0.key.hasPrefix("bytes") },
        accounts: try chain.settings.indices.map {
          ExtensionSnapshot(object, try table.account(UInt32($0)))
        })
    }
  }

  @Test func chains() async throws {
    let object = try await ExtensionWorkbench.shared.build("Answer", source: Self.source)
    let (forward, drop): ([String: ParameterValue], [String: ParameterValue]) = (
      [:], ["answer": .unsigned(1)]
    )

    let both = try Self.run(Chain(settings: [forward, forward]), object)
    #expect(both.verdict == 7)
    #expect(both.counters == ["packets_in": 1, "packets_out": 1])
    #expect(both.accounts.map(\.forwarded) == [1, 1])
    #expect(both.accounts.map { $0.counters["seen"] } == [100, 100])

    // The first one that drops ends the chain.
    let first = try Self.run(Chain(settings: [drop, forward]), object)
    #expect(first.verdict == 2)
    #expect(first.counters == ["packets_in": 1, "drop_extension": 1])
    #expect(first.accounts.map(\.runs) == [1, 0])
    #expect(first.accounts[0].dropped == 1)
    let second = try Self.run(Chain(settings: [forward, drop]), object)
    #expect(second.counters == ["packets_in": 1, "drop_extension": 1])
    #expect(second.accounts.map(\.runs) == [1, 1])

    // The packet itself goes to the last of the sinks that are left; those of a chain are what all of it left.
    let only = try Self.run(Chain(settings: [["answer": .unsigned(2)]], sinks: 3), object)
    #expect(only.counters == ["packets_in": 1, "packets_out": 1])
    #expect(only.packet[36..<38].elementsEqual([0x17, 0x70]), "port 6000")
    let two = try Self.run(Chain(settings: [["answer": .unsigned(3)]], sinks: 3), object)
    #expect(two.counters == ["packets_in": 1, "packets_out": 2])
    #expect(two.packet[36..<38].elementsEqual([0x17, 0x72]), "port 6002")
    let none = try Self.run(
      Chain(settings: [["answer": .unsigned(2)], ["answer": .unsigned(3)]], sinks: 3), object)
    #expect(none.verdict == 2 && none.counters == ["packets_in": 1, "drop_extension": 1])
    let nobody = try Self.run(Chain(settings: [["answer": .unsigned(4)]]), object)
    #expect(nobody.counters == ["packets_in": 1, "drop_extension": 1])

    let marked = try Self.run(Chain(settings: [["answer": .unsigned(9)]]), object)
    #expect(marked.packet[15] == 46 << 2 && marked.verdict == 7)

    // A division by a zero parameter costs the packet and is counted.
    let fault = try Self.run(Chain(settings: [["divisor": .unsigned(0)], forward]), object)
    #expect(fault.verdict == 2)
    #expect(fault.counters == ["packets_in": 1, "drop_fault": 1])
    #expect(fault.accounts.map(\.faults) == [1, 0])

    let missing = try Self.run(Chain(settings: [forward], missing: 9), object)
    #expect(missing.counters == ["packets_in": 1, "drop_fault": 1])
    let train = try Self.run(Chain(settings: [forward], gso: 4), object)
    #expect(train.counters == ["packets_in": 3, "drop_train": 3])
    let held = try Self.run(Chain(settings: [forward], isHeld: true), object)
    #expect(held.counters == ["packets_in": 1, "unmeasured": 1, "drop_busy": 1])
    #expect(held.accounts[0].runs == 0)
  }
}

extension SandboxDatapath {
  /// As if another processor had taken the flow and were gone.
  fileprivate func hold(index: UInt32) throws {
    var flow = try flow(at: index)
    flow.sequence |= 1
    try set(flow, at: index)
  }
}
