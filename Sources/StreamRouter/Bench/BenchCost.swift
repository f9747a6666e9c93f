import CStreamRouter
import Foundation
import Topology

/// What the relay path costs a packet, without any device: BPF_PROG_TEST_RUN in a network namespace of its own.
///
/// A test run repeats on the same packet, so the packet must come out as one that is relayed again: two relays send
/// it to each other, with all that a packet goes through — parse, lookup, source check, measurement, FIB and neighbour
/// lookup, rewriting, checksums, account. Each repetition takes one off the TTL, so a run is 200 of them, and the
/// counters are checked: a run whose packets were not all forwarded is an error, not a figure.
enum BenchCost {
  /// Repetitions of one run; below the TTL of 255.
  private static let repetitions = 200
  private static let runs = 500

  /// - Parameters:
  ///   - relays: How many relays stand in the table.
  ///   - extensions: What every packet goes through.
  ///   - accounting: Whether the relays keep their account.
  static func measure(
    _ transport: StreamProtocol, relays: Int,
    extensions: [(object: ExtensionObject, settings: [String: ParameterValue])] = [], accounting: Bool = true
  ) throws -> BenchResults.Cost {
    try NetworkNamespace.runInNew {
      try setUp()
      let placements = extensions.enumerated().map { place, entry in
        ExtensionPlacement(object: entry.object, slot: UInt32(place), instances: 2)
      }
      let datapath = try SandboxDatapath(
        pins: nil, capacity: max(relays, 16), extensions: placements, accounting: accounting)
      try datapath.updateSettings()
      for (place, entry) in extensions.enumerated() {
        for instance: UInt32 in [0, 1] {
          try datapath.extensions[UInt32(place)]?.begin(
            instance, parameters: entry.object.manifest.record(entry.settings))
        }
      }
      for (index, pair) in stride(from: 0, to: max(relays, 2), by: 2).enumerated() {
        for (offset, relay) in Self.pair(UInt16(index), transport).enumerated() {
          // Two relays make a pair; the last one of an odd number is left out.
          let uses = placements.map { sr_extension_use(slot: $0.slot, instance: UInt32(offset)) }
          for entry in RelayEntry.entries(
            for: relay, index: UInt32(pair + offset), extensions: uses, isLocal: { _ in false })
          {
            try datapath.set(entry.value, at: entry.key)
          }
        }
      }
      let packet = Self.packet(transport)
      var durations: [Double] = []
      for _ in 0..<runs {
        var context = __sk_buff()
        // As the kernel stamps real packets when the node runs.
        context.tstamp = realtimeNs()
        let run = try datapath.testRun(packet, context: context, repetitions: Int32(repetitions))
        guard run.verdict == 7 else { throw BenchError.nothingArrived("verdict \(run.verdict) in a test run") }
        durations.append(Double(run.durationNs))
      }
      let forwarded = try datapath.counters(at: 0)[SR_PACKETS_OUT] + datapath.counters(at: 1)[SR_PACKETS_OUT]
      // Without the account the verdict of the last repetition alone says that all before it were forwarded.
      guard !accounting || forwarded == UInt64(runs * repetitions) else {
        throw BenchError.nothingArrived("\(forwarded) of \(runs * repetitions) packets forwarded in test runs")
      }
      // The kernel tells whole nanoseconds; the mean of the middle half tells more, and no outlier counts.
      let middle = durations.sorted()[durations.count / 4..<durations.count * 3 / 4]
      return BenchResults.Cost(
        what: "\(transport.rawValue), \(relays) relay\(relays == 1 ? "" : "s") in the table"
          + (extensions.isEmpty
            ? "" : ", with " + extensions.map { $0.object.manifest.name }.joined(separator: ", ")),
        nanoseconds: middle.reduce(0, +) / Double(middle.count), accounting: accounting)
    }
  }

  private static func setUp() throws {
    try NetworkNamespace.configure(
      """
      link set lo up
      link add name va type veth peer name vb
      addr add 10.77.0.1/16 dev va
      link set va up
      link set vb up
      neigh add 10.77.0.2 lladdr 02:00:00:00:00:02 dev va
      neigh add 10.77.0.3 lladdr 02:00:00:00:00:03 dev va

      """)
    try SandboxEngine.enableRouteLookup()
  }

  /// Two relays between 10.77.0.2 and 10.77.0.3, each the other's sink; pair 0 is the one that is measured.
  private static func pair(_ number: UInt16, _ transport: StreamProtocol) -> [Relay] {
    let port = 1024 + 2 * number
    let (a, b) = (IPAddress("10.77.0.2")!, IPAddress("10.77.0.3")!)
    return [(a, b), (b, a)].enumerated().map { index, ends in
      Relay(
        stream: "bench-\(number)-\(index)", node: "bench", hop: 0, transport: transport,
        ingress: Endpoint(address: ends.0, port: port), sources: [AddressPrefix(ends.1)],
        sinks: [
          RelaySink(
            kind: .host, name: "bench", destination: Endpoint(address: ends.1, port: port),
            source: Endpoint(address: ends.0, port: port))
        ])
    }
  }

  /// 200 bytes of payload from 10.77.0.3 to 10.77.0.2 port 1024.
  private static func packet(_ transport: StreamProtocol) -> [UInt8] {
    var payload = [UInt8](repeating: 0x5a, count: 200)
    if transport == .rtp {
      payload.replaceSubrange(0..<12, with: [0x80, 96, 0, 1, 0, 0, 0, 1, 0x53, 0x52, 0, 1])
    }
    return UDPFrame(
      source: Endpoint("10.77.0.3:1024")!, destination: Endpoint("10.77.0.2:1024")!, ttl: 255, datagram: payload
    ).bytes
  }
}
