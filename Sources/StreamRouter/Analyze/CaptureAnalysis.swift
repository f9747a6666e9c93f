import JitterStats
import Topology

/// Finds the RTP streams of a capture, and accounts for each: flows by their pair of socket addresses, then by SSRC.
/// Of bounded memory, whatever is in the file.
public struct CaptureAnalysis {
  public struct Settings: Sendable {
    public var file: String
    /// pcap-filter(7).
    public var filter = ""
    public var rates = PayloadRates()

    public init(file: String) { self.file = file }
  }

  /// A pair of socket addresses.
  struct Flow: Hashable {
    var source: Endpoint
    var destination: Endpoint
  }

  /// What is known of one flow.
  private struct State {
    var analysis: RTPAnalysis?
    var candidates: [RTPCandidate] = []
    var packets: UInt64 = 0
    /// Whether a packet came since the last time that room was made.
    var isFresh = true
    /// Where it stands in the order of first packets.
    var place: Int
  }

  /// Flows that are known at a time; those without a stream that have been silent longest make room.
  static let flowsLimit = 8192
  /// SSRCs that may be RTP, of one flow.
  static let candidatesLimit = 4
  /// Senders in RTCP, and pairs of reporter and subject.
  static let peersLimit = 64
  /// Streams of all flows; each takes 60 to 80 kB.
  static let streamsLimit = 1024

  private let rates: PayloadRates
  private var flows: [Flow: State] = [:]
  private var streams = 0
  private var places = 0
  private(set) var packets: UInt64 = 0
  private(set) var bytes: UInt64 = 0
  private var firstNs: UInt64 = 0
  private var lastNs: UInt64 = 0
  private var kinds: [DatagramKind: UInt64] = [:]
  private var unlistedStreams: UInt64 = 0
  private var peers = PeerReports(capacity: peersLimit)
  private var passingTimes = PassingTimes(capacity: 1024)

  init(rates: PayloadRates) { self.rates = rates }

  /// Reads the file to its end, or to where it is damaged: what came before is accounted for.
  /// - Throws: ``CaptureError``: no datagram could be read.
  public static func run(_ settings: Settings) throws(CaptureError) -> AnalyzeReport {
    let file = try CaptureFile(path: settings.file, filter: settings.filter)
    var analysis = CaptureAnalysis(rates: settings.rates)
    var damage: CaptureError?
    do {
      while let datagram = try file.next() { analysis.take(datagram) }
    } catch {
      guard analysis.packets > 0 else { throw error }
      damage = error
    }
    var report = analysis.report(file: settings.file, left: file.left)
    report.damage = damage?.description
    return report
  }

  mutating func take(_ datagram: CaptureFile.Datagram) {
    if packets == 0 { firstNs = datagram.timeNs }
    packets += 1
    bytes += UInt64(datagram.payload.count)
    lastNs = max(lastNs, datagram.timeNs)
    let payload = datagram.payload.bytes
    let flow = Flow(source: datagram.source, destination: datagram.destination)
    let kind = DatagramKind(payload)
    if kind == .rtcp {
      peers.receive(payload, timeNs: datagram.timeNs, times: &passingTimes)
      peers.resolve(passingTimes)
    }
    guard var state = flows.removeValue(forKey: flow) ?? newState() else {
      kinds[kind, default: 0] += 1
      return
    }
    state.packets += 1
    state.isFresh = true
    // A packet of a stream is one, even where its padding is wrong.
    if case .rtp(let header) = MediaPacket(rtpPort: payload) {
      take(
        RTPCandidate.Packet(header: header, arrivalNs: datagram.timeNs, payloadBytes: payload.byteCount), kind,
        &state)
    } else {
      kinds[kind, default: 0] += 1
    }
    flows[flow] = state
  }

  private mutating func take(_ packet: RTPCandidate.Packet, _ kind: DatagramKind, _ state: inout State) {
    let ssrc = packet.header.ssrc
    if state.analysis?.sources.contains(where: { $0.ssrc == ssrc }) == true {
      state.analysis?.receive(packet.header, arrivalNs: packet.arrivalNs, payloadBytes: packet.payloadBytes)
      return
    }
    kinds[kind, default: 0] += 1
    guard kind == .likeRTP else { return }
    var place = state.candidates.firstIndex { $0.ssrc == ssrc }
    if place == nil {
      if state.candidates.count == Self.candidatesLimit { state.candidates.removeFirst() }
      state.candidates.append(RTPCandidate(ssrc: ssrc))
      place = state.candidates.count - 1
    }
    guard let place, state.candidates[place].take(packet) else { return }
    let held = state.candidates.remove(at: place).held
    let known = state.analysis?.sources.count ?? 0
    guard streams < Self.streamsLimit || known > 0 && known == state.analysis?.capacity else {
      unlistedStreams += 1
      return
    }
    var analysis = state.analysis ?? RTPAnalysis { [rates] in rates.rate(of: $0) }
    for packet in held {
      analysis.receive(packet.header, arrivalNs: packet.arrivalNs, payloadBytes: packet.payloadBytes)
    }
    streams += analysis.sources.count - known
    state.analysis = analysis
    kinds[.likeRTP, default: 0] -= UInt64(held.count)
  }

  /// nil where there is no room.
  private mutating func newState() -> State? {
    if flows.count >= Self.flowsLimit {
      flows = flows.filter { $1.analysis != nil || $1.isFresh }
      for flow in flows.keys { flows[flow]?.isFresh = false }
      if flows.count >= Self.flowsLimit { flows = flows.filter { $1.analysis != nil } }
      if flows.count >= Self.flowsLimit { return nil }
    }
    places += 1
    return State(place: places)
  }

  func report(file: String, left: UInt64) -> AnalyzeReport {
    let ordered = flows.sorted { $0.value.place < $1.value.place }
    var listed: [AnalyzeReport.Stream] = []
    var displaced = unlistedStreams
    for (flow, state) in ordered {
      guard let analysis = state.analysis else { continue }
      displaced += analysis.displaced
      for source in analysis.reports {
        let type = source.payloadTypes.first ?? 0
        listed.append(
          AnalyzeReport.Stream(
            source: flow.source, destination: flow.destination, format: rates.format(of: type),
            clockRateFrom: rates.origin(of: type), figures: source))
      }
    }
    let clockRates = Dictionary(
      listed.map { ($0.figures.ssrc, $0.figures.clockRate) }, uniquingKeysWith: { first, _ in first })
    let reported = peers.account { clockRates[$0] }
    let others = ordered.filter { $0.value.analysis == nil }.sorted { $0.value.packets > $1.value.packets }
    return AnalyzeReport(
      file: file, packets: packets, bytes: bytes, left: left, firstNs: firstNs,
      seconds: Double(lastNs - firstNs) / 1e9, streams: listed, displacedStreams: displaced,
      rest: DatagramKind.allCases.compactMap { kind in
        kinds[kind].flatMap { $0 > 0 ? AnalyzeReport.Rest(kind: kind, packets: $0) : nil }
      },
      otherFlows: others.prefix(AnalyzeReport.otherFlowsLimit).map {
        AnalyzeReport.OtherFlow(
          source: $0.key.source, destination: $0.key.destination, packets: $0.value.packets)
      }, peers: reported.isEmpty ? nil : reported)
  }
}
