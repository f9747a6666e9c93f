import CStreamRouter
import Foundation
import Topology

/// What the relay path costs a packet, without any device: BPF_PROG_TEST_RUN in a network namespace of its own.
///
/// A test run repeats on the same packet, so the packet must come out as one that is relayed again: two relays send
/// it to each other, with all that a packet goes through — parse, lookup, source check, measurement, FIB and neighbour
/// lookup, rewriting, checksums, account. Each repetition takes one off the TTL, so a run is 200 of them, and the
/// counters are checked: a run whose packets were not all forwarded is an error, not a figure.
struct RelayPathCost: Sendable {
  var transport: StreamProtocol
  /// How many relays stand in the table; two at least.
  var relays = 2
  /// The last one is the other relay of the pair. Clones for the others are handed to a device that lets go of them at
  /// once, so that they cost what the relay does and no device's queue.
  var sinks = 1
  /// What every packet goes through.
  var extensions: [(object: ExtensionObject, settings: [String: ParameterValue])] = []
  /// Whether the relays keep their account.
  var accounting = true

  /// Repetitions of one run; below the TTL of 255.
  private static let repetitions = 200
  private static let runs = 500

  /// Nanoseconds a packet.
  func measure() throws -> Double {
    try NetworkNamespace.runInNew {
      try Self.setUp(clones: sinks > 1)
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
      for (number, first) in stride(from: 0, to: max(relays, 2), by: 2).enumerated() {
        for (offset, relay) in pair(UInt16(number)).enumerated() {
          // Two relays make a pair; the last one of an odd number is left out.
          let uses = placements.map { sr_extension_use(slot: $0.slot, instance: UInt32(offset)) }
          for entry in RelayEntry.entries(
            for: relay, index: UInt32(first + offset), extensions: uses, isLocal: { _ in false })
          {
            try datapath.set(entry.value, at: entry.key)
          }
        }
      }
      let packet = packet()
      var durations: [Double] = []
      for _ in 0..<Self.runs {
        var context = __sk_buff()
        // As the kernel stamps real packets when the node runs.
        context.tstamp = realtimeNs()
        let run = try datapath.testRun(packet, context: context, repetitions: Int32(Self.repetitions))
        guard run.verdict == 7 else { throw BenchError.nothingArrived("verdict \(run.verdict) in a test run") }
        durations.append(Double(run.durationNs))
      }
      let forwarded = try datapath.counters(at: 0)[SR_PACKETS_OUT] + datapath.counters(at: 1)[SR_PACKETS_OUT]
      // Without the account the verdict of the last repetition alone says that all before it were forwarded.
      guard !accounting || forwarded == UInt64(sinks * Self.runs * Self.repetitions) else {
        throw BenchError.nothingArrived(
          "\(forwarded) of \(sinks * Self.runs * Self.repetitions) packets forwarded in test runs")
      }
      // The kernel tells whole nanoseconds; the mean of the middle half tells more, and no outlier counts.
      let middle = durations.sorted()[durations.count / 4..<durations.count * 3 / 4]
      return middle.reduce(0, +) / Double(middle.count)
    }
  }

  private static func setUp(clones: Bool) throws {
    try NetworkNamespace.configure(
      """
      link set lo up
      link add name va type veth peer name vb
      addr add 10.77.0.1/16 dev va
      link set vb up
      link set va up
      neigh add 10.77.0.2 lladdr 02:00:00:00:00:02 dev va
      neigh add 10.77.0.3 lladdr 02:00:00:00:00:03 dev va

      """)
    if clones {
      // Either lets go of all that is sent: a bridge without ports does too, where the kernel has no dummy devices.
      if (try? NetworkNamespace.configure("link add name vd type dummy\n")) == nil {
        try NetworkNamespace.configure("link add name vd type bridge\n")
      }
      try NetworkNamespace.configure(
        """
        addr add 10.78.0.1/24 dev vd
        link set vd up
        neigh add 10.78.0.2 lladdr 02:00:00:00:00:04 dev vd

        """)
    }
    try SandboxEngine.enableRouteLookup()
  }

  /// Two relays between 10.77.0.2 and 10.77.0.3, each the other's sink; pair 0 is the one that is measured.
  private func pair(_ number: UInt16) -> [Relay] {
    let port = 1024 + 2 * number
    let (a, b) = (IPAddress("10.77.0.2")!, IPAddress("10.77.0.3")!)
    return [(a, b), (b, a)].enumerated().map { index, ends in
      let aside = (1..<sinks).map { RelaySink.aside($0) }
      return Relay(
        stream: "bench-\(number)-\(index)", node: "bench", hop: 0, transport: transport,
        ingress: Endpoint(address: ends.0, port: port), sources: [AddressPrefix(ends.1)],
        sinks: aside + [
          RelaySink(
            kind: .host, name: "bench", destination: Endpoint(address: ends.1, port: port),
            source: Endpoint(address: ends.0, port: port))
        ])
    }
  }

  /// 200 bytes of payload from 10.77.0.3 to 10.77.0.2 port 1024.
  private func packet() -> [UInt8] {
    var payload = [UInt8](repeating: 0x5a, count: 200)
    if transport == .rtp {
      payload.replaceSubrange(0..<12, with: [0x80, 96, 0, 1, 0, 0, 0, 1, 0x53, 0x52, 0, 1])
    }
    return UDPFrame(
      source: Endpoint("10.77.0.3:1024")!, destination: Endpoint("10.77.0.2:1024")!, ttl: 255, datagram: payload
    ).bytes
  }
}

extension RelaySink {
  /// A sink beside the one that sends the packet back.
  fileprivate static func aside(_ number: Int) -> RelaySink {
    let port = UInt16(5000 + 2 * number)
    return RelaySink(
      kind: .host, name: "bench", destination: Endpoint(address: IPAddress("10.78.0.2")!, port: port),
      source: Endpoint(address: IPAddress("10.78.0.1")!, port: port))
  }
}
