import CStreamRouter
import JitterStats
import SystemPackage
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// A test sink: accounts for everything that reaches a UDP address.
public struct TestReceiver: Sendable {
  /// Where and how long.
  public struct Settings: Sendable {
    public var endpoint: Endpoint
    /// As `ip netns` knows it; nil: this process's own.
    public var namespace: String?
    public var transport: StreamProtocol = .rtp
    /// Hz of the RTP timestamps; nil: by payload type.
    public var clockRate: UInt32?
    /// Ends after that many datagrams, that many seconds, or that many seconds without one after the last.
    public var count: UInt64?
    public var seconds: Double?
    public var idleSeconds: Double?
    /// Receive at SCHED_FIFO.
    public var isRealtime = false

    public init(endpoint: Endpoint) { self.endpoint = endpoint }
  }

  /// Addresses that a report names at most.
  public static let sendersLimit = 8
  /// Runs of `send` that are accounted for at once; one more takes the place of the one that has been silent longest.
  public static let runsLimit = 8

  private let settings: Settings

  public init(_ settings: Settings) { self.settings = settings }

  /// Receives until one of the limits is reached, or SIGINT or SIGTERM comes.
  ///
  /// - Parameter ready: Called once packets are being taken.
  public func run(ready: @escaping @Sendable () -> Void = {}) async throws -> ReceiveReport {
    try await StopFlag.bySignals { try await run(until: $0, ready: ready) }
  }

  func run(until stop: StopFlag, ready: @escaping @Sendable () -> Void = {}) async throws -> ReceiveReport {
    let endpoint = settings.endpoint
    let socket = try TrafficSocket(in: settings.namespace, at: endpoint.address, port: endpoint.port)
    ready()
    return try await TrafficThread.run("sr-receive", realtime: settings.isRealtime ? 50 : nil) {
      try receive(socket, stop)
    }
  }

  private func receive(_ socket: TrafficSocket, _ stop: StopFlag) throws -> ReceiveReport {
    var account = ReceiverAccount(settings)
    guard let receiver = sr_receiver_make() else { preconditionFailure("no memory for a receiver") }
    defer { sr_receiver_free(receiver) }
    let messages = UnsafeMutablePointer<sr_received>.allocate(capacity: Int(SR_RECEIVE_BATCH.rawValue))
    messages.initialize(repeating: sr_received(), count: Int(SR_RECEIVE_BATCH.rawValue))
    defer { messages.deallocate() }
    let endNs = settings.seconds.map { monotonicNs() + UInt64($0 * 1e9) } ?? .max
    let idleNs = settings.idleSeconds.map { UInt64($0 * 1e9) } ?? .max
    var lastNs: UInt64 = 0
    while !stop.isSet {
      let count = sr_receive(receiver, socket.descriptor, messages)
      if count > 0 {
        for place in 0..<Int(count) where !account.isFull { account.receive(messages + place) }
        if account.isFull { break }
        // A flood must not hide the end of the time.
        if monotonicNs() >= endNs { break }
        lastNs = 0
        continue
      }
      guard count == 0 || [EAGAIN, EINTR].contains(-count) else {
        throw TrafficError.cannotReceive("\(settings.endpoint)", reason: "\(Errno(rawValue: -count))")
      }
      let now = monotonicNs()
      if lastNs == 0 { lastNs = now }
      if now >= endNs || (account.hasBegun && now - lastNs >= idleNs) { break }
      let left = min(endNs - now, account.hasBegun ? idleNs - (now - lastNs) : .max)
      var poller = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
      // At most a tenth of a second, so that the flag is heard of.
      poll(&poller, 1, Int32(min(100, left / 1_000_000 + 1)))
    }
    return account.report(queueDrops: UInt64(sr_udp_queue_drops(socket.descriptor)))
  }
}

/// What a ``TestReceiver`` counts, datagram by datagram. Owned by its thread.
private struct ReceiverAccount {
  private let settings: TestReceiver.Settings
  private let probeOffset: Int
  private let limit: UInt64
  private var packets: UInt64 = 0
  private var bytes: UInt64 = 0
  private var firstNs: UInt64 = 0
  private var lastNs: UInt64 = 0
  private var senders: [Endpoint] = []
  private var latestSender: (source: (UInt32, UInt32, UInt32, UInt32), port: UInt16)?
  private var analysis: RTPAnalysis
  /// By sender; of protocol udp only.
  private var transportStreams:
    [(sender: Endpoint, candidate: TransportStreamCandidate, account: TransportStreamAccount?)] = []
  private var sender = Endpoint(address: IPAddress(words: (0, 0, 0, 0)), port: 0)
  private var runs: [ProbeAccount] = []
  private var run = 0
  private var displacedRuns: UInt64 = 0

  init(_ settings: TestReceiver.Settings) {
    self.settings = settings
    limit = settings.count ?? .max
    probeOffset = settings.transport == .rtp ? MediaPacket.rtpHeaderBytes : 0
    if let rate = settings.clockRate {
      analysis = RTPAnalysis(clockRate: { _ in rate })
    } else {
      analysis = RTPAnalysis()
    }
    senders.reserveCapacity(TestReceiver.sendersLimit)
    runs.reserveCapacity(TestReceiver.runsLimit)
  }

  var hasBegun: Bool { packets > 0 }
  var isFull: Bool { packets >= limit }

  /// One message: a datagram or a train of them.
  mutating func receive(_ message: UnsafeMutablePointer<sr_received>) {
    note(message.pointee.source, message.pointee.source_port)
    // The first packets of a socket may come without a time stamp, until the kernel has switched them on.
    let arrivalNs = message.pointee.arrival_ns > 0 ? message.pointee.arrival_ns : realtimeNs()
    let length = Int(message.pointee.length)
    let segment = max(1, Int(message.pointee.segment))
    var offset = 0
    repeat {
      let size = min(segment, length - offset)
      let payload = UnsafeRawBufferPointer(start: message.pointee.bytes! + offset, count: size)
      receive(payload.bytes, arrivalNs: arrivalNs)
      offset += segment
    } while offset < length && !isFull
  }

  private mutating func receive(_ payload: RawSpan, arrivalNs: UInt64) {
    if packets == 0 { firstNs = arrivalNs }
    lastNs = max(lastNs, arrivalNs)
    packets += 1
    bytes += UInt64(payload.byteCount)
    if settings.transport == .rtp { analysis.receive(payload: payload, arrivalNs: arrivalNs) }
    if settings.transport == .udp { receiveTransportStream(payload, arrivalNs: arrivalNs) }
    guard let probe = Probe(payload, at: probeOffset) else { return }
    if runs.isEmpty || runs[run].run != probe.run { run = place(of: probe) }
    runs[run].receive(probe, arrivalNs: arrivalNs)
  }

  /// Once a sender's datagrams are found to be a transport stream, one that is none is damage.
  private mutating func receiveTransportStream(_ payload: RawSpan, arrivalNs: UInt64) {
    if transportStreams.count < TestReceiver.sendersLimit,
      !transportStreams.contains(where: { $0.sender == sender })
    {
      transportStreams.append((sender, TransportStreamCandidate(), nil))
    }
    guard let place = transportStreams.firstIndex(where: { $0.sender == sender }) else { return }
    if transportStreams[place].account != nil {
      transportStreams[place].account?.receive(payload, arrivalNs: arrivalNs)
    } else {
      transportStreams[place].account = transportStreams[place].candidate.take(payload, arrivalNs: arrivalNs)
    }
  }

  private mutating func place(of probe: Probe) -> Int {
    if let found = runs.firstIndex(where: { $0.run == probe.run }) { return found }
    if runs.count >= TestReceiver.runsLimit,
      let silent = runs.indices.min(by: { runs[$0].lastArrivalNs < runs[$1].lastArrivalNs })
    {
      runs.remove(at: silent)
      displacedRuns += 1
    }
    runs.append(ProbeAccount(first: probe))
    return runs.count - 1
  }

  private mutating func note(_ source: (UInt32, UInt32, UInt32, UInt32), _ port: UInt16) {
    if let latestSender, latestSender.source == source, latestSender.port == port { return }
    latestSender = (source, port)
    sender = Endpoint(address: IPAddress(words: source), port: UInt16(bigEndian: port))
    if senders.count < TestReceiver.sendersLimit, !senders.contains(sender) { senders.append(sender) }
  }

  func report(queueDrops: UInt64) -> ReceiveReport {
    ReceiveReport(
      endpoint: settings.endpoint, transport: settings.transport, packets: packets, bytes: bytes,
      firstNs: firstNs, lastNs: lastNs, queueDrops: queueDrops, senders: senders,
      rtcpPackets: analysis.rtcpPackets, otherPackets: analysis.otherPackets, sources: analysis.reports,
      displacedSources: analysis.displaced,
      transportStreams: transportStreams.compactMap { sender, _, account in
        account?.report.map { ReceiveReport.TransportStream(source: sender, figures: $0) }
      },
      runs: runs.map(\.report),
      displacedRuns: displacedRuns)
  }
}
