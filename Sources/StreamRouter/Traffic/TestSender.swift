import JitterStats
import Topology

/// A test source: numbered datagrams at exact times, each with a ``Probe``.
public struct TestSender: Sendable {
  /// What is sent.
  public struct Settings: Sendable {
    public var destination: Endpoint
    /// The address that it leaves from; nil: what the kernel chooses.
    public var source: IPAddress?
    /// As `ip netns` knows it; nil: this process's own.
    public var namespace: String?
    public var transport: StreamProtocol = .rtp
    public var pace = Pace(perSecond: 1000)
    /// Payload of each UDP datagram, at least ``TestSender/leastBytes(_:)``.
    public var bytes = 200
    /// How many are sent; nil: until SIGINT.
    public var count: UInt64?
    public var payloadType: UInt8 = 96
    public var ssrc: UInt32 = 0x5352_0001
    /// Hz of the RTP timestamps.
    public var clockRate: UInt32 = 90_000
    /// Of the first packet.
    public var sequence: UInt16 = 0
    public var timestamp: UInt32 = 0
    /// Send at SCHED_FIFO.
    public var isRealtime = false

    public init(destination: Endpoint) { self.destination = destination }
  }

  /// The smallest datagram: the RTP header, where there is one, and the probe.
  public static func leastBytes(_ transport: StreamProtocol) -> Int {
    (transport == .rtp ? MediaPacket.rtpHeaderBytes : 0) + Probe.bytes
  }

  /// Hz of the timestamps that a payload type alone tells (RFC 3551); 90,000 for dynamic ones.
  public static func clockRate(_ payloadType: UInt8) -> UInt32 { PayloadClock.rate(payloadType: payloadType) }

  /// The largest payload of a UDP datagram over IPv4.
  public static let mostBytes = 65_507

  private let settings: Settings

  public init(_ settings: Settings) {
    precondition(
      (Self.leastBytes(settings.transport)...Self.mostBytes).contains(settings.bytes),
      "the command line refuses sizes that hold no probe")
    self.settings = settings
  }

  /// Sends until all is sent, or SIGINT or SIGTERM comes: then the report says how far it got.
  public func run() async throws -> SendReport {
    try await StopFlag.bySignals { try await run(until: $0) }
  }

  func run(until stop: StopFlag) async throws -> SendReport {
    let unspecified = IPAddress(settings.destination.address.family == .ipv4 ? "0.0.0.0" : "::")!
    let socket = try TrafficSocket(in: settings.namespace, at: settings.source ?? unspecified, port: 0)
    let run = UInt64.random(in: 1...UInt64.max)
    return try await TrafficThread.run("sr-send", realtime: settings.isRealtime ? 40 : nil) {
      try send(socket, run, stop)
    }
  }

  private func send(_ socket: TrafficSocket, _ run: UInt64, _ stop: StopFlag) throws -> SendReport {
    var sender = PacedSender(socket, to: settings.destination, largest: settings.bytes)
    let header = settings.transport == .rtp ? MediaPacket.rtpHeaderBytes : 0
    for place in 0..<PacedSender.batch { prepare(sender.room(place), header, run) }
    let pace = settings.pace
    let count = settings.count ?? .max
    // A moment to get from here into the loop without being late at once.
    let startNs = monotonicNs() + 1_000_000
    var number: UInt64 = 0
    var dueNs = startNs + pace.dueNs(0)
    while number < count, !stop.isSet {
      // At most a tenth of a second at a time, so that a slow stream hears of its end.
      let now = monotonicNs()
      if dueNs > now + 100_000_000 {
        waitExactly(untilMonotonicNs: now + 90_000_000)
        continue
      }
      waitExactly(untilMonotonicNs: dueNs)
      var batch = 0
      let latest = monotonicNs()
      repeat {
        write(sender.room(batch), number, dueNs - startNs, header)
        sender.set(batch, bytes: settings.bytes, dueNs: dueNs)
        batch += 1
        number += 1
        dueNs = startNs + pace.dueNs(number)
      } while batch < PacedSender.batch && number < count && dueNs <= latest
      if try !sender.send(batch, stop: stop, depart: { Probe.depart($0 + header, at: $1) }) { break }
    }
    return SendReport(settings, run: run, from: socket.local, sender)
  }

  /// What all packets have in common.
  private func prepare(_ bytes: UnsafeMutableRawPointer, _ header: Int, _ run: UInt64) {
    Probe.begin(bytes + header, run: run, total: settings.count ?? 0)
    guard header > 0 else { return }
    bytes.storeBytes(of: 0x80, as: UInt8.self)
    bytes.storeBytes(of: settings.ssrc.bigEndian, toByteOffset: 8, as: UInt32.self)
  }

  private func write(
    _ bytes: UnsafeMutableRawPointer, _ number: UInt64, _ plannedNs: UInt64, _ header: Int
  ) {
    Probe.number(bytes + header, number)
    guard header > 0 else { return }
    // A burst is one frame: its last packet has the marker, and all have the same time stamp.
    let burst = settings.pace.burst
    let isLast = burst > 1 && number % burst == burst - 1
    bytes.storeBytes(of: settings.payloadType | (isLast ? 0x80 : 0), toByteOffset: 1, as: UInt8.self)
    let sequence = settings.sequence &+ UInt16(truncatingIfNeeded: number)
    bytes.storeBytes(of: sequence.bigEndian, toByteOffset: 2, as: UInt16.self)
    let ticks = plannedNs.multipliedFullWidth(by: UInt64(settings.clockRate))
    // Below 9e18 ns, and a clock below 1e9 Hz: the quotient fits.
    let elapsed = UInt64(1_000_000_000).dividingFullWidth(ticks).quotient
    let timestamp = settings.timestamp &+ UInt32(truncatingIfNeeded: elapsed)
    bytes.storeBytes(of: timestamp.bigEndian, toByteOffset: 4, as: UInt32.self)
  }
}
