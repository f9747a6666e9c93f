import Topology

/// What `send` sent.
public struct SendReport: Hashable, Sendable, Codable {
  public var transport: StreamProtocol
  public var destination: Endpoint
  public var source: Endpoint
  /// In each probe, in hex: `receive` shows the same.
  public var run: String
  /// nil for protocol udp, as the four below.
  public var ssrc: UInt32?
  public var payloadType: UInt8?
  public var clockRate: UInt32?
  /// Of the first and of the last packet.
  public var firstSequence: UInt16?
  public var lastSequence: UInt16?
  /// Datagrams that the kernel took, and bytes of their UDP payload.
  public var packets: UInt64
  public var bytes: UInt64
  /// How many were asked for; nil: as many as until SIGINT.
  public var planned: UInt64?
  /// First and last hand-over, nanoseconds since 1970.
  public var firstNs: UInt64
  public var lastNs: UInt64
  /// How often the kernel's queue was full and the sender waited.
  public var queueFull: UInt64
  /// How late packets were handed to the kernel, against the times that were planned. None is early.
  public var timingError: DelayFigures

  init(_ settings: TestSender.Settings, run: UInt64, from source: Endpoint, _ sender: borrowing PacedSender) {
    let isRTP = settings.transport == .rtp
    transport = settings.transport
    destination = settings.destination
    self.source = source
    self.run = LabNames.hex(run)
    ssrc = isRTP ? settings.ssrc : nil
    payloadType = isRTP ? settings.payloadType : nil
    clockRate = isRTP ? settings.clockRate : nil
    packets = sender.packets
    bytes = sender.bytes
    planned = settings.count
    firstSequence = isRTP && packets > 0 ? settings.sequence : nil
    lastSequence = firstSequence.map { $0 &+ UInt16(truncatingIfNeeded: sender.packets &- 1) }
    firstNs = sender.firstNs
    lastNs = sender.lastNs
    queueFull = sender.waits
    timingError = DelayFigures(sender.lateness)
  }

  /// From the first packet to the last.
  public var seconds: Double { Double(lastNs - firstNs) / 1e9 }

  public var text: String {
    var lines = [
      "sent \(Figure.grouped(packets)) \(transport.rawValue) packets to \(destination), "
        + "\(Figure.grouped(bytes)) bytes in \(Figure.duration(seconds: seconds))"
    ]
    lines[0] += TrafficRate.text(packets: packets, bytes: bytes, seconds: seconds)
    var origin = "  from \(source), run \(run)"
    if let ssrc, let payloadType, let firstSequence, let lastSequence {
      origin +=
        ", SSRC 0x\(String(ssrc, radix: 16)), payload type \(payloadType), sequence \(firstSequence) to \(lastSequence)"
    }
    lines.append(origin)
    lines.append("  late against the plan  " + timingError.text)
    if queueFull > 0 { lines.append("  the kernel's queue was full \(Figure.grouped(queueFull)) times") }
    if let planned, packets < planned {
      lines.append("  ended before the \(Figure.grouped(planned)) that were asked for")
    }
    return lines.joined(separator: "\n")
  }
}
