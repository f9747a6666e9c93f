import CStreamRouter
import JitterStats

/// What becomes of each packet: written at once, or held until a trigger asks for it.
struct CaptureRun: ~Copyable {
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
