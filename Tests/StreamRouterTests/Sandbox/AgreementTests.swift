import CStreamRouter
import Foundation
import JitterStats
import Testing
import Topology

@testable import StreamRouter

// One account, computed twice: by the datapath in the kernel (bpf/measure.h) and by JitterStats, which engine process
// uses. After every packet all counters and the state of the source must be the same number for number.

@Suite(.enabled(if: PrivateNetwork.isPossible, "\(PrivateNetwork.obstacle ?? "")"))
struct AgreementTests {
  /// What the relay is told of the stream; each is fed 8,000 arrivals, some of them GSO packets.
  @Test(
    arguments: [
      (StreamProtocol.rtp, nil), (.rtp, 48_000), (.rtp, 1), (.udp, nil),
    ] as [(StreamProtocol, UInt32?)])
  func kernelAndJitterStatsAgree(_ transport: StreamProtocol, _ clockRate: UInt32?) throws {
    try PacketFixtureTests.inNetwork { datapath in
      let relay = Relay(
        stream: "agreement", node: "n", hop: 0, transport: transport, ingress: Endpoint("10.9.0.1:5004")!,
        sources: [AddressPrefix("10.9.0.9")!],
        sinks: [
          RelaySink(
            kind: .host, name: "sink", destination: Endpoint("10.9.0.2:6000")!,
            source: Endpoint("10.9.0.1:5004")!)
        ], clockRate: clockRate)
      for entry in RelayEntry.entries(for: relay, index: 5, isLocal: Route.isLocal) {
        try datapath.set(entry.value, at: entry.key)
      }
      var script = MediaScript()
      var model = ModelAccount(transport: transport, clockRate: clockRate)
      for step in 0..<8000 {
        var arrival = script.next()
        if transport == .udp { arrival.toCompanion = false }
        model.receive(arrival)
        var context = __sk_buff()
        context.tstamp = arrival.atNs
        if arrival.datagrams.count > 1 {
          context.gso_size = UInt32(arrival.datagrams[0].count)
          context.gso_segs = UInt32(arrival.datagrams.count)
        }
        let frame = Frame(
          from: "10.9.0.9:4000", to: arrival.toCompanion ? "10.9.0.1:5005" : "10.9.0.1:5004",
          payload: Array(arrival.datagrams.joined()))
        _ = try datapath.testRun(frame.bytes, context: context)
        let counters = try datapath.counters(at: 5)
        let flow = try datapath.flow(at: 5)
        let differences = model.differences(from: counters) + model.differences(from: flow)
        // One report says it all: what follows a difference differs too.
        try #require(differences == [], "SR_SEED=\(script.random.seed), step \(step)")
      }
      // The script has what it promises: a test that meets no loss shows nothing about loss.
      if transport == .rtp {
        for counter in [
          SR_RTP_PACKETS, SR_RTCP_PACKETS, SR_RTP_MISSING, SR_RTP_LATE, SR_RTP_DUPLICATES, SR_RTP_RESTARTS,
          SR_DROP_NOT_RTP, SR_DROP_MALFORMED,
        ] { #expect(model[counter] > 0, "SR_SEED=\(script.random.seed), counter \(counter.rawValue)") }
      }
    }
  }
}

/// The account of a relay with one reachable sink as the rules have it, kept by JitterStats.
private struct ModelAccount {
  let transport: StreamProtocol
  let clockRate: UInt32?
  private var values = [UInt64](repeating: 0, count: Counter.relay.count)
  private var flow = FlowAccount()
  private var interarrival = InterarrivalAccount()
  private var lastSeenNs: UInt64 = 0
  private var variations = sr_variations()

  init(transport: StreamProtocol, clockRate: UInt32?) {
    self.transport = transport
    self.clockRate = clockRate
  }

  subscript(_ counter: sr_counter) -> UInt64 {
    get { values[Int(counter.rawValue)] }
    set { values[Int(counter.rawValue)] = newValue }
  }

  mutating func receive(_ arrival: MediaScript.Arrival) {
    let packets = UInt64(arrival.datagrams.count)
    let bytes = UInt64(arrival.datagrams.reduce(0) { $0 + $1.count })
    lastSeenNs = arrival.atNs
    self[SR_PACKETS_IN] += packets
    self[SR_BYTES_IN] += bytes
    if transport == .udp {
      // A GSO packet is one arrival: its datagrams came together.
      interarrival.receive(arrivalNs: arrival.atNs)
      if let change = interarrival.changeNs { sr_variation_add(&variations.ipdv, change, arrival.atNs) }
    } else {
      for datagram in arrival.datagrams {
        if let cause = measure(datagram, arrival) {
          self[cause] += packets
          return
        }
      }
    }
    self[SR_PACKETS_OUT] += packets
    self[SR_BYTES_OUT] += bytes
  }

  /// The cause to drop it for, if any.
  private mutating func measure(_ datagram: [UInt8], _ arrival: MediaScript.Arrival) -> sr_counter? {
    let packet = datagram.withUnsafeBytes {
      arrival.toCompanion ? MediaPacket(rtcpPort: $0.bytes) : MediaPacket(rtpPort: $0.bytes)
    }
    switch packet {
    case .other: return SR_DROP_NOT_RTP
    case .malformed: return SR_DROP_MALFORMED
    case .rtcp: self[SR_RTCP_PACKETS] += 1
    case .rtp(let header):
      let outcome = flow.receive(
        header, arrivalNs: arrival.atNs,
        clockRate: clockRate ?? PayloadClock.rate(payloadType: header.payloadType))
      self[SR_RTP_PACKETS] += 1
      if let variation = flow.current?.variation {
        sr_variation_add(&variations.ipdv, variation.fromLastNs, arrival.atNs)
        sr_variation_add(&variations.pdv, variation.fromQuickestNs, arrival.atNs)
      }
      if outcome.isRestart { self[SR_RTP_RESTARTS] += 1 }
      switch outcome.arrival {
      case .gap(let missing): self[SR_RTP_MISSING] += UInt64(missing)
      case .late: self[SR_RTP_LATE] += 1
      case .duplicate: self[SR_RTP_DUPLICATES] += 1
      case .first, .inOrder, .suspect, .restart: break
      }
    }
    return nil
  }

  func differences(from kernel: sr_counters) -> [String] {
    let theirs = withUnsafeBytes(of: kernel.value) { Array($0.bindMemory(to: UInt64.self)) }
    var differences =
      theirs == values
      ? []
      : Counter.relay.filter { theirs[$0.index] != values[$0.index] }
        .map { "\($0.name): kernel \(theirs[$0.index]), model \(values[$0.index])" }
    if kernel.last_seen_ns < lastSeenNs {
      differences.append("last seen: kernel \(kernel.last_seen_ns), model \(lastSeenNs)")
    }
    return differences
  }

  /// Of the source seen last: each packet shows one, and so all are seen.
  func differences(from kernel: sr_flow) -> [String] {
    let latest = kernel.latest
    var differences: [String] = []
    func compare<T: Equatable>(_ name: String, _ theirs: T, _ ours: T) {
      if theirs != ours { differences.append("\(name): kernel \(theirs), model \(ours)") }
    }
    for (name, theirs, ours) in [
      ("ipdv", kernel.variations.ipdv, variations.ipdv), ("pdv", kernel.variations.pdv, variations.pdv),
    ] {
      compare(name, theirs.histogram, ours.histogram)
    }
    if kernel.sequence & 1 == 1 { differences.append("the kernel kept the flow for itself") }
    guard transport == .rtp else {
      compare("jitter_q4", latest.jitter_q4_ns, interarrival.jitter.q4Ns)
      compare("jitter_max_q4", latest.jitter_max_q4_ns, interarrival.jitter.maxQ4Ns)
      compare("last arrival", latest.last_arrival_ns, interarrival.lastArrivalNs)
      compare("packets", latest.packets, interarrival.packets)
      return differences
    }
    guard let source = flow.current else {
      compare("packets before the first RTP packet", latest.packets, 0)
      return differences
    }
    compare("jitter_q4", latest.jitter_q4_ns, source.jitter.q4Ns)
    compare("jitter_max_q4", latest.jitter_max_q4_ns, source.jitter.maxQ4Ns)
    compare("variation", latest.variation_ns, source.variationNs)
    compare("ssrc", UInt32(bigEndian: latest.ssrc), source.ssrc)
    compare("clock rate", latest.clock_rate, source.clockRate)
    compare("last arrival", latest.last_arrival_ns, source.lastArrivalNs)
    compare("timestamp", latest.timestamp, source.lastTimestamp)
    compare("highest", latest.highest, source.highest)
    compare("window", latest.window.0, UInt64(truncatingIfNeeded: source.window))
    compare("window above", latest.window.1, UInt64(truncatingIfNeeded: source.window >> 64))
    compare("restart", latest.restart_pending == 0 ? nil : latest.restart, source.restart)
    return differences
  }
}
