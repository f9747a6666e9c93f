import Testing
import Topology

@testable import StreamRouter

/// Readings made by hand, for all tests of the monitor.
enum MonitorSample {
  /// 2026-03-14 15:09:26 UTC.
  static let startNs: UInt64 = 1_773_500_966_000_000_000

  /// Counters after `seconds` of 500 packets a second of 1,200 bytes; `lost` of them missing in all.
  static func relay(
    _ stream: String, hop: Int, seconds: Int, packetsPerSecond: UInt64 = 500, lost: UInt64 = 0,
    dropped: UInt64 = 0,
    jitterSeconds: Double = 0.000_12, engine: EngineChoice = .sandbox, transport: StreamProtocol = .rtp,
    residenceNs: UInt64 = 9_000, next: String? = "next"
  ) -> RelaySnapshot {
    let packets = UInt64(seconds) * packetsPerSecond - lost
    var histogram = ResidenceHistogram()
    histogram.counts[bucket(residenceNs)] = packets
    histogram.maxNs = packets > 0 ? residenceNs : 0
    histogram.sumNs = packets * residenceNs
    var counters = Dictionary(uniqueKeysWithValues: Counter.relay.map { ($0.name, UInt64(0)) })
    counters["packets_in"] = packets
    counters["bytes_in"] = packets * 1200
    counters["packets_out"] = packets - dropped
    counters["bytes_out"] = (packets - dropped) * 1200
    counters["rtp_packets"] = transport == .rtp ? packets : 0
    counters["rtp_missing"] = lost
    counters["drop_neighbour"] = dropped
    return RelaySnapshot(
      stream: stream, hop: hop, transport: transport,
      ingress: Endpoint("10.0.\(hop).1:5004")!,
      sinks: [
        RelaySink(
          kind: next == nil ? .host : .node, name: next ?? "10.0.\(hop + 1).1:5004",
          destination: Endpoint("10.0.\(hop + 1).1:5004")!,
          source: Endpoint("10.0.\(hop).1:5004")!)
      ],
      engine: engine,
      engineReason: engine == .process ? "engine sandbox needs CAP_BPF; run the node as root" : nil,
      counters: counters, jitterSeconds: jitterSeconds * Double(1 + seconds % 9) / 10,
      jitterMaxSeconds: jitterSeconds * 2,
      ssrc: transport == .rtp ? 0xcafe : nil, residence: histogram,
      lastSeenNs: packets > 0 ? startNs + UInt64(seconds) * 1_000_000_000 - 40_000_000 : 0)
  }

  private static func bucket(_ ns: UInt64) -> Int {
    (0..<ResidenceHistogram.bucketCount).first { ResidenceHistogram.upperBoundNs(bucket: $0) > ns } ?? 0
  }

  static func node(_ name: String, seconds: Int, softirq: Double = 0.125, relays: [RelaySnapshot])
    -> NodeReading
  {
    NodeReading(
      node: name,
      snapshot: NodeSnapshot(
        topology: "studio", node: name, timeNs: startNs + UInt64(seconds) * 1_000_000_000, pid: 4711,
        startedNs: startNs,
        load: NodeLoad(
          runnableThreads: 3, processors: 2, softirqSeconds: Double(seconds) * 2 * softirq,
          totalSeconds: Double(seconds) * 2),
        datapath: ["seen": UInt64(seconds) * 1000], relays: relays))
  }

  /// Three nodes after `seconds`: cam1 over all of them with loss on the way, telemetry on the first two, and
  /// a node "spare" that never answered.
  static func readings(seconds: Int) -> [NodeReading] {
    let isLater = seconds > 44
    return [
      node(
        "camera", seconds: seconds,
        relays: [
          relay("cam1", hop: 0, seconds: seconds, next: "edge"),
          relay(
            "telemetry", hop: 0, seconds: seconds, packetsPerSecond: 20_000, jitterSeconds: 0.003_52,
            transport: .udp, residenceNs: 450_000, next: "edge"),
        ]),
      node(
        "edge", seconds: seconds, softirq: 0.031,
        relays: [
          relay(
            "cam1", hop: 1, seconds: seconds, lost: isLater ? 12 : 0, jitterSeconds: 0.000_480,
            next: "studio-main"),
          relay(
            "telemetry", hop: 1, seconds: seconds, packetsPerSecond: 20_000, dropped: isLater ? 7 : 0,
            jitterSeconds: 0.004_1, engine: .process, transport: .udp, residenceNs: 3_400_000,
            next: nil),
        ]),
      node(
        "studio-main", seconds: seconds,
        relays: [
          relay("cam1", hop: 2, seconds: seconds, jitterSeconds: 0.000_9, next: nil)
        ]),
      NodeReading(node: "spare", snapshot: nil, problem: "connection refused"),
    ]
  }

  /// One stream over three nodes: the link to the second loses and adds, the second adds most, and sends to a host too.
  static func hurtReadings(seconds: Int) -> [NodeReading] {
    func hop(_ name: String, _ hop: Int, spreadNs: UInt64, ipdvNs: UInt64, lost: UInt64 = 0, next: String?)
      -> NodeReading
    {
      var found = relay("cam", hop: hop, seconds: seconds, lost: lost * UInt64(seconds), next: next)
      let packets = found.residence.counts.reduce(0, +)
      found.residence.counts[bucket(9_000 + spreadNs)] += packets / 20
      found.residence.maxNs = 9_000 + spreadNs
      found.ipdv.durations.counts[bucket(ipdvNs)] = packets
      found.ipdv.durations.maxNs = ipdvNs
      return node(name, seconds: seconds, relays: [found])
    }
    var readings = [
      hop("camera", 0, spreadNs: 1000, ipdvNs: 50_000, next: "edge"),
      hop("edge", 1, spreadNs: 4_000_000, ipdvNs: 400_000, lost: 3, next: "studio"),
      hop("studio", 2, spreadNs: 0, ipdvNs: 4_000_000, lost: 3, next: nil),
    ]
    readings[1].snapshot?.relays[0].sinks.insert(
      RelaySink(
        kind: .host, name: "10.0.9.9:7000", destination: Endpoint("10.0.9.9:7000")!,
        source: Endpoint("10.0.1.1:5004")!), at: 0)
    return readings
  }

  /// Three quarters of a minute of readings, one a second.
  static func state(columns: Int, rows: Int, seconds: ClosedRange<Int> = 0...45) -> MonitorState {
    var state = MonitorState(size: .init(columns: columns, rows: rows))
    for second in seconds { state.take(readings(seconds: second), timeNs: time(second)) }
    return state
  }

  static func board() -> MonitorBoard {
    var board = MonitorBoard()
    for second in 0...45 { board.take(readings(seconds: second), timeNs: time(second)) }
    return board
  }

  static func time(_ second: Int) -> UInt64 { startNs + UInt64(second) * 1_000_000_000 }

  static let plain = MonitorStyle(colour: false, unicode: true)

  static func text(_ state: MonitorState, style: MonitorStyle = plain) -> String {
    trimmed(MonitorView(state: state, style: style).frame().map(\.text).joined(separator: "\n"))
  }

  /// Without the blanks at the end of lines, which editors take away.
  static func trimmed(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false)
      .map { String($0.reversed().drop { $0 == " " }.reversed()) }.joined(separator: "\n")
  }
}

@Suite struct MonitorSampleTests {
  /// The other tests rest on these figures.
  @Test func figuresAreAsDesigned() throws {
    let rows = MonitorSample.board().rows
    #expect(rows.map(\.condition) == [.ok, .ok, .loss, .drop, .ok])
    #expect(rows.map { $0.rates?.packetsPerSecond } == [500, 20_000, 488, 20_000, 500])
    #expect(rows[2].rates?.rtpLost == 12)
    #expect(rows[3].rates?.dropped == 7)
  }
}
