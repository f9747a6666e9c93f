import Foundation
import JitterStats
import Topology

/// Sends the datagrams of a capture file again, in their own time.
public struct Replay: Sendable {
  /// What is sent, and where to.
  public struct Settings: Sendable {
    public var file: String
    public var destination: Endpoint
    /// The address that it leaves from; nil: what the kernel chooses.
    public var source: IPAddress?
    /// As `ip netns` knows it; nil: this process's own.
    public var namespace: String?
    /// 2: twice as fast.
    public var speed = 1.0
    /// How often the file is sent; nil: until SIGINT.
    public var rounds: UInt64? = 1
    /// pcap-filter(7), which chooses the packets.
    public var filter = ""
    /// Written into RTP packets in place of their own; nil: as they are.
    public var ssrc: UInt32?
    public var payloadType: UInt8?
    /// Of the first packet; those after it keep their distance, gaps and disorder with it.
    public var sequence: UInt16?
    public var timestamp: UInt32?
    /// Send at SCHED_FIFO.
    public var isRealtime = false

    public init(file: String, destination: Endpoint) {
      self.file = file
      self.destination = destination
    }
  }

  private let settings: Settings

  public init(_ settings: Settings) { self.settings = settings }

  /// Sends until all rounds are over, or SIGINT or SIGTERM comes.
  public func run() async throws -> ReplayReport {
    try await StopFlag.bySignals { try await run(until: $0) }
  }

  func run(until stop: StopFlag) async throws -> ReplayReport {
    let survey = try ReplaySurvey.of(path: settings.file, filter: settings.filter)
    let unspecified = IPAddress(settings.destination.address.family == .ipv4 ? "0.0.0.0" : "::")!
    let socket = try TrafficSocket(in: settings.namespace, at: settings.source ?? unspecified, port: 0)
    return try await TrafficThread.run("sr-replay", realtime: settings.isRealtime ? 40 : nil) {
      try replay(socket, survey, stop)
    }
  }

  private func replay(
    _ socket: TrafficSocket, _ survey: ReplaySurvey, _ stop: StopFlag
  ) throws -> ReplayReport {
    var sender = PacedSender(socket, to: settings.destination, largest: max(1, survey.largest))
    let spanNs = survey.lastNs - survey.firstNs
    // The next round begins after the mean distance of two packets.
    let roundNs = spanNs + (survey.packets > 1 ? spanNs / (survey.packets - 1) : 1_000_000)
    let startNs = monotonicNs() + 1_000_000
    var rounds: UInt64 = 0
    var isOver = false
    while !isOver, !stop.isSet, rounds < settings.rounds ?? .max {
      let file = try CaptureFile(path: settings.file, filter: settings.filter)
      let rewrite = RTPRewrite(settings, survey, round: rounds)
      var next = try file.next()
      var lastNs: UInt64 = 0
      while let first = next, !isOver {
        // Each is due at its distance from the first, whatever the order in the file.
        func dueNs(_ timeNs: UInt64) -> UInt64 {
          let sinceNs = timeNs > survey.firstNs ? timeNs - survey.firstNs : 0
          let plan = (Double(sinceNs) + Double(roundNs) * Double(rounds)) / settings.speed
          return startNs + UInt64(min(plan, 9e18))
        }
        lastNs = max(lastNs, dueNs(first.timeNs))
        while monotonicNs() + 100_000_000 < lastNs, !stop.isSet {
          waitExactly(untilMonotonicNs: monotonicNs() + 90_000_000)
        }
        if stop.isSet { break }
        waitExactly(untilMonotonicNs: lastNs)
        var batch = 0
        let now = monotonicNs()
        // The file may have grown since it was looked through.
        while let datagram = next, batch < PacedSender.batch, max(lastNs, dueNs(datagram.timeNs)) <= now {
          lastNs = max(lastNs, dueNs(datagram.timeNs))
          let size = min(datagram.payload.count, survey.largest)
          let room = UnsafeMutableRawBufferPointer(start: sender.room(batch), count: size)
          room.copyBytes(from: datagram.payload.prefix(size))
          rewrite.apply(to: room)
          sender.set(batch, bytes: size, dueNs: lastNs)
          batch += 1
          next = try file.next()
        }
        isOver = try !sender.send(batch, stop: stop, depart: { _, _ in })
      }
      if next == nil { rounds += 1 }
    }
    return ReplayReport(settings, survey, from: socket.local, rounds: rounds, sender)
  }
}

/// What changes in the RTP headers of one round. Numbers go on over the rounds as if one source sent them all.
struct RTPRewrite {
  private let settings: Replay.Settings
  /// By SSRC: added to sequence numbers and time stamps.
  private var shifts: [UInt32: (sequence: UInt16, timestamp: UInt32)] = [:]

  init(_ settings: Replay.Settings, _ survey: ReplaySurvey, round: UInt64) {
    self.settings = settings
    for (ssrc, source) in survey.sources {
      let round = UInt32(truncatingIfNeeded: round)
      let length = source.sequenceSpan &+ 1
      // The mean step of the time stamps stands for the one from the last packet to the next round's first.
      let step = source.sequenceSpan > 0 ? source.timestampSpan / UInt32(source.sequenceSpan) : 0
      let sequence = (settings.sequence ?? source.firstSequence) &- source.firstSequence
      let timestamp = (settings.timestamp ?? source.firstTimestamp) &- source.firstTimestamp
      shifts[ssrc] = (
        sequence &+ length &* UInt16(truncatingIfNeeded: round),
        timestamp &+ (source.timestampSpan &+ step) &* round
      )
    }
  }

  /// Leaves alone what is no RTP.
  func apply(to payload: UnsafeMutableRawBufferPointer) {
    guard case .rtp(let header) = MediaPacket(rtpPort: UnsafeRawBufferPointer(payload).bytes) else { return }
    let shift = shifts[header.ssrc] ?? (0, 0)
    payload.storeBytes(of: (header.sequence &+ shift.sequence).bigEndian, toByteOffset: 2, as: UInt16.self)
    payload.storeBytes(of: (header.timestamp &+ shift.timestamp).bigEndian, toByteOffset: 4, as: UInt32.self)
    if let payloadType = settings.payloadType { payload[1] = payload[1] & 0x80 | payloadType }
    if let ssrc = settings.ssrc { payload.storeBytes(of: ssrc.bigEndian, toByteOffset: 8, as: UInt32.self) }
  }
}

/// What was sent again.
public struct ReplayReport: Hashable, Sendable, Codable {
  public var file: String
  public var destination: Endpoint
  public var source: Endpoint
  public var speed: Double
  /// How often all of the file was sent.
  public var rounds: UInt64
  /// Datagrams that the kernel took, and bytes of their UDP payload.
  public var packets: UInt64
  public var bytes: UInt64
  /// Packets of the file that are no whole UDP datagram, and were left out.
  public var left: UInt64
  /// How long the file is, and how long sending took, seconds.
  public var fileSeconds: Double
  public var seconds: Double
  public var queueFull: UInt64
  /// How late packets were handed to the kernel, against the times of the file at this speed.
  public var timingError: DelayFigures

  init(
    _ settings: Replay.Settings, _ survey: ReplaySurvey, from source: Endpoint, rounds: UInt64,
    _ sender: borrowing PacedSender
  ) {
    file = settings.file
    destination = settings.destination
    self.source = source
    speed = settings.speed
    self.rounds = rounds
    packets = sender.packets
    bytes = sender.bytes
    left = survey.left
    fileSeconds = Double(survey.lastNs - survey.firstNs) / 1e9
    seconds = Double(sender.lastNs - sender.firstNs) / 1e9
    queueFull = sender.waits
    timingError = DelayFigures(sender.lateness)
  }

  public var text: String {
    var lines = [
      "sent \(Figure.grouped(packets)) packets of \(file) to \(destination), \(Figure.grouped(bytes)) bytes in "
        + "\(Figure.duration(seconds: seconds)); the file has \(Figure.duration(seconds: fileSeconds))"
    ]
    lines.append("  late against the plan  \(timingError.text)")
    if left > 0 { lines.append("  left out \(Figure.grouped(left)) packets that are no whole UDP datagram") }
    if queueFull > 0 { lines.append("  the kernel's queue was full \(Figure.grouped(queueFull)) times") }
    return lines.joined(separator: "\n")
  }
}
