import CStreamRouter
import Foundation
import JitterStats
import Topology

/// Captures the packets of one relay into pcapng files, all of them or those around the moments at which something
/// is wrong.
public struct Capture: Sendable {
  /// What is captured, and for how long.
  public struct Settings: Sendable {
    public var file: String
    /// Bytes after which the next file begins; with one file, the capture ends. nil: no limit.
    public var fileBytes: Int?
    /// Seconds after which the next file begins; nil: no limit.
    public var fileSeconds: Double?
    /// The latest of so many files are kept.
    public var files = 1
    /// The capture ends after this time or so many packets in files; nil: with SIGINT.
    public var seconds: Double?
    public var count: UInt64?
    /// Where there are any, only what came in `keepSeconds` before and after one of them held is written.
    public var triggers: [Threshold] = []
    public var keepSeconds = 10.0
    /// Bytes of memory for what came before.
    public var keepBytes = 64 << 20

    public init(file: String) { self.file = file }
  }

  private let point: CapturePoint
  private let settings: Settings
  private let topology: String

  public init(_ point: CapturePoint, topology: String, settings: Settings) {
    self.point = point
    self.topology = topology
    self.settings = settings
  }

  /// Captures until a limit is reached, or SIGINT or SIGTERM comes.
  ///
  /// - Parameter ready: Called once packets are being taken.
  public func run(ready: @escaping @Sendable () -> Void = {}) async throws -> CaptureReport {
    try await StopFlag.bySignals { try await run(until: $0, ready: ready) }
  }

  func run(until stop: StopFlag, ready: @escaping @Sendable () -> Void = {}) async throws -> CaptureReport {
    try await TrafficThread.run("sr-capture") {
      // A capture belongs to the namespace of the thread that opens it.
      if let namespace = point.namespace, sr_namespace_enter("/run/netns/" + namespace) != 0 {
        throw CaptureError.cannotOpen(
          device: "(any)", node: point.relay.node, reason: "namespace \(namespace) cannot be entered",
          isPermission: geteuid() != 0)
      }
      let taps = try point.taps.map { try LiveTap($0, node: point.relay.node) }
      ready()
      return try capture(taps, stop)
    }
  }

  private func capture(_ taps: [LiveTap], _ stop: StopFlag) throws -> CaptureReport {
    let interfaces = taps.map { tap in
      PcapngWriter.Interface(
        name: tap.tap.device, linkType: tap.linkType, filter: tap.tap.filter,
        comment: "topology \(topology), node \(point.relay.node), \(point.comment)")
    }
    var run = CaptureRun(
      files: try CaptureFiles(
        path: settings.file,
        limits: .init(bytes: settings.fileBytes, seconds: settings.fileSeconds, files: settings.files),
        comment: "topology \(topology), \(point.comment)", interfaces: interfaces),
      point: point, settings: settings)
    let endNs = settings.seconds.map { monotonicNs() + UInt64($0 * 1e9) } ?? .max
    var pollers = taps.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
    var flushedNs = monotonicNs()
    while !stop.isSet, !run.isOver {
      let now = monotonicNs()
      if now >= endNs { break }
      // Whoever follows the file sees packets after a second.
      if now - flushedNs > 1_000_000_000 {
        try run.files.flush()
        flushedNs = now
      }
      poll(&pollers, nfds_t(pollers.count), Int32(min(100, (endNs - now) / 1_000_000 + 1)))
      for (number, tap) in taps.enumerated() {
        var taken = 0
        // Other taps and the clock get their turn too.
        while taken < 4096, !run.isOver, let packet = try tap.next() {
          try run.receive(packet, tap: UInt32(number), isOutbound: tap.tap.isOutbound)
          taken += 1
        }
      }
    }
    var report = run.report
    for (number, tap) in taps.enumerated() {
      let counts = tap.counts
      run.files.statistics(interface: UInt32(number), received: counts.received, dropped: counts.dropped)
      report.matched += counts.received
      report.dropped += counts.dropped
    }
    try run.files.flush()
    return report
  }
}

/// One device that is captured on. Owned by the thread that captures.
private final class LiveTap {
  let tap: CapturePoint.Tap
  private let node: String
  private let handle: OpaquePointer
  private static let bufferBytes: Int32 = 16 << 20

  init(_ tap: CapturePoint.Tap, node: String) throws(CaptureError) {
    self.tap = tap
    self.node = node
    var error = [CChar](repeating: 0, count: 512)
    var permission: Int32 = 0
    guard
      let handle = sr_tap_open(
        tap.device, tap.filter, tap.isOutbound ? SR_TAP_OUT : SR_TAP_IN, Self.bufferBytes, &error,
        Int32(error.count), &permission)
    else {
      throw .cannotOpen(
        device: tap.device, node: node,
        reason: String(decoding: error.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self),
        isPermission: permission != 0)
    }
    self.handle = handle
  }

  deinit { sr_tap_close(handle) }

  var descriptor: Int32 { sr_tap_descriptor(handle) }
  var linkType: UInt16 { UInt16(clamping: sr_tap_link_type(handle)) }

  /// nil where none waits.
  func next() throws(CaptureError) -> sr_tapped? {
    var packet = sr_tapped()
    switch sr_tap_next(handle, &packet) {
    case 1: return packet
    case 0: return nil
    default: throw .deviceGone(device: tap.device, node: node)
    }
  }

  var counts: (received: UInt64, dropped: UInt64) {
    var (received, dropped): (UInt64, UInt64) = (0, 0)
    sr_tap_counts(handle, &received, &dropped)
    return (received, dropped)
  }
}

/// What becomes of each packet: written at once, or held until a trigger asks for it.
private struct CaptureRun: ~Copyable {
  var files: CaptureFiles
  private let settings: Capture.Settings
  private let port: Set<UInt16>
  private let comment: [UInt8]
  private var trigger: CaptureTrigger
  private var ring: PacketRing
  private let keepNs: UInt64
  /// While there are triggers: packets up to here are written. Nanoseconds since 1970.
  private var writeUntilNs: UInt64 = 0
  private var triggered: [CaptureReport.Trigger] = []
  private(set) var isOver = false

  init(files: consuming CaptureFiles, point: CapturePoint, settings: Capture.Settings) {
    self.files = files
    self.settings = settings
    comment = Array(point.comment.utf8)
    port = Set(point.side == .before ? [point.relay.ingress.port] : point.relay.sinks.map(\.destination.port))
    trigger = CaptureTrigger(settings.triggers, clockRate: point.relay.clockRate)
    ring = PacketRing(bytes: settings.triggers.isEmpty ? 0 : settings.keepBytes)
    keepNs = UInt64(settings.keepSeconds * 1e9)
  }

  mutating func receive(_ packet: sr_tapped, tap: UInt32, isOutbound: Bool) throws(CaptureError) {
    let bytes = UnsafeRawBufferPointer(start: packet.bytes, count: Int(packet.length))
    let direction: PcapngWriter.Direction = isOutbound ? .outbound : .inbound
    guard !settings.triggers.isEmpty else {
      return try write(bytes, packet.original_length, packet.time_ns, tap, direction, comment)
    }
    var comment = self.comment
    if let words = watch(bytes, packet.time_ns) {
      if packet.time_ns > writeUntilNs {
        comment += Array("; trigger \(words)".utf8)
        if triggered.count < CaptureReport.triggersLimit {
          triggered.append(.init(timeNs: packet.time_ns, text: words))
        }
        try writeHeld(since: packet.time_ns &- keepNs, direction)
      }
      writeUntilNs = packet.time_ns &+ keepNs
    }
    if packet.time_ns <= writeUntilNs {
      try write(bytes, packet.original_length, packet.time_ns, tap, direction, comment)
    } else {
      ring.drop(before: packet.time_ns &- keepNs)
      ring.push(bytes, originalBytes: packet.original_length, timeNs: packet.time_ns, interface: tap)
    }
  }

  private mutating func watch(_ frame: UnsafeRawBufferPointer, _ timeNs: UInt64) -> String? {
    guard let datagram = Frame(frame), port.contains(datagram.destination.port) else { return nil }
    let bytes = UnsafeRawBufferPointer(rebasing: frame[datagram.payload])
    guard case .rtp(let header) = MediaPacket(rtpPort: bytes.bytes) else { return nil }
    return trigger.receive(header, timeNs: timeNs)
  }

  private mutating func writeHeld(
    since timeNs: UInt64, _ direction: PcapngWriter.Direction
  ) throws(CaptureError) {
    ring.drop(before: timeNs)
    // Taken out, since what is drained is written through the same value.
    var held = PacketRing(bytes: 0)
    swap(&held, &ring)
    try held.drain { (packet, originalBytes, timeNs, tap) throws(CaptureError) in
      try write(packet, originalBytes, timeNs, tap, direction, comment)
    }
    swap(&held, &ring)
  }

  private mutating func write(
    _ packet: UnsafeRawBufferPointer, _ originalBytes: UInt32, _ timeNs: UInt64, _ tap: UInt32,
    _ direction: PcapngWriter.Direction, _ comment: [UInt8]
  ) throws(CaptureError) {
    guard !isOver else { return }
    let wasWritten = try files.write(
      packet, originalBytes: originalBytes, timeNs: timeNs, interface: tap, direction: direction,
      comment: comment)
    isOver = !wasWritten || files.packets >= settings.count ?? .max
  }

  var report: CaptureReport {
    CaptureReport(
      files: files.paths, packets: files.packets, matched: 0, dropped: 0, evicted: ring.evicted,
      triggers: triggered)
  }
}

/// What was captured.
public struct CaptureReport: Hashable, Sendable, Codable {
  /// A moment at which a condition began to hold.
  public struct Trigger: Hashable, Sendable, Codable {
    /// Nanoseconds since 1970.
    public var timeNs: UInt64
    public var text: String
  }

  /// Triggers that a report names at most.
  public static let triggersLimit = 1000

  /// Those that are there, the oldest first.
  public var files: [String]
  /// Packets written, those of files that had to make room included.
  public var packets: UInt64
  /// Packets that the kernel's filter matched, and those for which there was no room in its buffer.
  public var matched: UInt64
  public var dropped: UInt64
  /// Packets that were to be kept for a trigger and for which there was not enough memory.
  public var evicted: UInt64
  public var triggers: [Trigger]

  public var text: String {
    var lines = ["wrote \(Figure.grouped(packets)) packets to \(files.joined(separator: ", "))"]
    for trigger in triggers { lines.append("  \(Figure.clock(timeNs: trigger.timeNs)) \(trigger.text)") }
    if dropped > 0 {
      lines.append(
        "  \(Figure.grouped(dropped)) packets found no room in the kernel's buffer and are not in the file")
    }
    if evicted > 0 {
      lines.append(
        "  memory was too small for \(Figure.grouped(evicted)) packets of the time to keep: see --memory")
    }
    return lines.joined(separator: "\n")
  }
}
