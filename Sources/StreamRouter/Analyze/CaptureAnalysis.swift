import JitterStats
import Topology

/// Finds the RTP streams of a capture, and accounts for each: flows by their pair of socket addresses, then by SSRC;
/// and MPEG transport streams without RTP, which are a flow each. Of bounded memory, whatever is in the file.
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
    var heldBytes: Int { candidates.reduce(0) { $0 + $1.heldBytes } }
    var transportStream: TransportStreamAccount?
    var transportCandidate = TransportStreamCandidate()
    var isStream: Bool { analysis != nil || transportStream != nil }
    /// Bytes of datagrams of the transport stream.
    var transportBytes: UInt64 = 0
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
  /// Streams of all flows; each takes 60 to 80 kB, and 20 kB more for each program clock of a transport stream.
  static let streamsLimit = 1024
  /// Bytes of transport streams that are held for candidates; what comes beyond begins with the stream itself.
  static let heldBytesLimit = 16 << 20

  private let rates: PayloadRates
  private var flows: [Flow: State] = [:]
  private var streams = 0
  private var places = 0
  private(set) var packets: UInt64 = 0
  private(set) var bytes: UInt64 = 0
  private var firstNs: UInt64 = 0
  private var lastNs: UInt64 = 0
  private var kinds: [DatagramKind: UInt64] = [:]
  private var heldBytes = 0
  private var unlistedStreams: UInt64 = 0

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
    guard var state = flows.removeValue(forKey: flow) ?? newState() else {
      kinds[DatagramKind(payload), default: 0] += 1
      return
    }
    state.packets += 1
    state.isFresh = true
    if state.transportStream != nil {
      // Once it is a stream, what does not look like one is damage.
      state.transportStream?.receive(payload, arrivalNs: datagram.timeNs)
      state.transportBytes += UInt64(payload.byteCount)
      flows[flow] = state
      return
    }
    let kind = DatagramKind(payload)
    // A packet of a stream is one, even where its padding is wrong.
    if case .rtp(let header) = MediaPacket(rtpPort: payload) {
      let before = state.heldBytes
      take(header, payload, arrivalNs: datagram.timeNs, kind, &state)
      heldBytes += state.heldBytes - before
    } else {
      kinds[kind, default: 0] += 1
      if state.analysis == nil { takeTransportStream(payload, arrivalNs: datagram.timeNs, &state) }
    }
    flows[flow] = state
  }

  private mutating func takeTransportStream(_ payload: RawSpan, arrivalNs: UInt64, _ state: inout State) {
    let held = state.transportCandidate.count
    guard let account = state.transportCandidate.take(payload, arrivalNs: arrivalNs) else { return }
    guard streams < Self.streamsLimit else {
      unlistedStreams += 1
      return
    }
    streams += 1
    state.transportStream = account
    state.transportBytes = account.bytes
    state.transportCandidate = TransportStreamCandidate()
    kinds[.transportStream, default: 0] -= UInt64(held) + 1
  }

  private mutating func take(
    _ header: RTPHeader, _ payload: RawSpan, arrivalNs: UInt64, _ kind: DatagramKind, _ state: inout State
  ) {
    let ssrc = header.ssrc
    if state.analysis?.sources.contains(where: { $0.ssrc == ssrc }) == true {
      state.analysis?.receive(payload: payload, arrivalNs: arrivalNs)
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
    var packet = RTPCandidate.Packet(header: header, arrivalNs: arrivalNs, payloadBytes: payload.byteCount)
    if heldBytes < Self.heldBytesLimit, let media = RTPHeader.media(of: payload),
      TransportStreamAccount.packets(in: payload.extracting(media)) > 0
    {
      packet.payload = payload.withUnsafeBytes { Array($0) }
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
      if let payload = packet.payload {
        analysis.receive(payload: payload.span.bytes, arrivalNs: packet.arrivalNs)
        continue
      }
      analysis.receive(packet.header, arrivalNs: packet.arrivalNs, payloadBytes: packet.payloadBytes)
    }
    streams += analysis.sources.count - known
    state.analysis = analysis
    kinds[.likeRTP, default: 0] -= UInt64(held.count)
  }

  /// nil where there is no room.
  private mutating func newState() -> State? {
    if flows.count >= Self.flowsLimit {
      flows = flows.filter { $1.isStream || $1.isFresh }
      for flow in flows.keys { flows[flow]?.isFresh = false }
      if flows.count >= Self.flowsLimit { flows = flows.filter { $1.isStream } }
      heldBytes = flows.values.reduce(0) { $0 + $1.heldBytes }
      if flows.count >= Self.flowsLimit { return nil }
    }
    places += 1
    return State(place: places)
  }

  func report(file: String, left: UInt64) -> AnalyzeReport {
    let ordered = flows.sorted { $0.value.place < $1.value.place }
    var listed: [AnalyzeReport.Stream] = []
    var displaced = unlistedStreams
    var transport: [AnalyzeReport.TransportStream] = []
    for (flow, state) in ordered {
      if let figures = state.transportStream?.report {
        transport.append(
          .init(
            source: flow.source, destination: flow.destination, bytes: state.transportBytes, figures: figures))
      }
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
    let others = ordered.filter { !$0.value.isStream }.sorted { $0.value.packets > $1.value.packets }
    return AnalyzeReport(
      file: file, packets: packets, bytes: bytes, left: left, firstNs: firstNs,
      seconds: Double(lastNs - firstNs) / 1e9, streams: listed, transportStreams: transport,
      displacedStreams: displaced,
      rest: DatagramKind.allCases.compactMap { kind in
        kinds[kind].flatMap { $0 > 0 ? AnalyzeReport.Rest(kind: kind, packets: $0) : nil }
      },
      otherFlows: others.prefix(AnalyzeReport.otherFlowsLimit).map {
        AnalyzeReport.OtherFlow(
          source: $0.key.source, destination: $0.key.destination, packets: $0.value.packets)
      })
  }
}
