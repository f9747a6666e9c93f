import Foundation

/// The files of one capture: one, or a ring of which the latest are kept. Owned by the thread that captures.
struct CaptureFiles: ~Copyable {
  /// How files follow each other.
  struct Limits: Hashable, Sendable {
    /// Bytes after which the next file begins, or where there is one only, the capture ends.
    var bytes: Int?
    /// Seconds after which the next file begins.
    var seconds: Double?
    /// How many are kept.
    var files = 1
  }

  private let path: String
  private let limits: Limits
  private let comment: String
  private let interfaces: [PcapngWriter.Interface]
  private var writer: PcapngWriter
  private var number = 1
  private var begunNs: UInt64
  private(set) var paths: [String]
  private(set) var packets: UInt64 = 0

  init(
    path: String, limits: Limits, comment: String, interfaces: [PcapngWriter.Interface]
  ) throws(CaptureError) {
    self.path = path
    self.limits = limits
    self.comment = comment
    self.interfaces = interfaces
    let first = Self.name(path, 1, limits)
    paths = [first]
    begunNs = monotonicNs()
    writer = try PcapngWriter(path: first, comment: comment, interfaces: interfaces)
  }

  /// `name-00001.pcapng`, or the name itself where there is one only.
  private static func name(_ path: String, _ number: Int, _ limits: Limits) -> String {
    guard limits.files > 1 else { return path }
    let url = URL(fileURLWithPath: path)
    let digits = String(number)
    let mark = "-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    let last = url.pathExtension.isEmpty ? "" : "." + url.pathExtension
    return String(path.dropLast(last.count)) + mark + last
  }

  private var isOver: Bool {
    if let bytes = limits.bytes, writer.bytes >= bytes { return true }
    return limits.seconds.map { Double(monotonicNs() - begunNs) / 1e9 >= $0 } ?? false
  }

  /// Writes a packet, into the next file where this one has come to its limit.
  ///
  /// - Returns: False where the only file is full.
  mutating func write(
    _ packet: UnsafeRawBufferPointer, originalBytes: UInt32, timeNs: UInt64, interface: UInt32,
    direction: PcapngWriter.Direction, comment: [UInt8]
  ) throws(CaptureError) -> Bool {
    if isOver {
      guard limits.files > 1 else { return false }
      try turn()
    }
    writer.write(
      packet, originalBytes: originalBytes, timeNs: timeNs, interface: interface, direction: direction,
      comment: comment)
    packets += 1
    if writer.wantsFlush { try writer.flush(paths[paths.count - 1]) }
    return true
  }

  private mutating func turn() throws(CaptureError) {
    try flush()
    number += 1
    let next = Self.name(path, number, limits)
    writer = try PcapngWriter(path: next, comment: comment, interfaces: interfaces)
    begunNs = monotonicNs()
    paths.append(next)
    if paths.count > limits.files { unlink(paths.removeFirst()) }
  }

  /// Puts on the disk what waits in memory.
  mutating func flush() throws(CaptureError) { try writer.flush(paths[paths.count - 1]) }

  mutating func statistics(interface: UInt32, received: UInt64, dropped: UInt64) {
    writer.statistics(interface: interface, timeNs: realtimeNs(), received: received, dropped: dropped)
  }
}
