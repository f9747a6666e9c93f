import Foundation

/// Writes a capture file in the format pcapng (draft-ietf-opsawg-pcapng), which libpcap 1.10 reads and does not write.
///
/// Blocks are put together in memory and written in pieces of some 256 kB. Owned by the thread that captures.
struct PcapngWriter: ~Copyable {
  /// A device whose packets are in the file.
  struct Interface: Hashable, Sendable {
    var name: String
    /// LINKTYPE_.
    var linkType: UInt16
    var filter: String
    var comment: String
  }

  /// Which way a packet went: the lower two bits of epb_flags (section 4.3.1).
  enum Direction: UInt32 { case unknown, inbound, outbound }

  private let handle: FileHandle
  private var buffer: [UInt8] = []
  private static let flushBytes = 1 << 18
  /// Of the file so far, the buffered part included.
  private(set) var bytes = 0

  /// Makes the file, or empties it, and writes what stands before the packets.
  ///
  /// - Throws: ``CaptureError/cannotWrite(file:reason:)``.
  init(path: String, comment: String, interfaces: [Interface]) throws(CaptureError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw .cannotWrite(file: path, reason: String(cString: strerror(errno)))
    }
    handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    // Section header: byte order, version 1.0, length not known (section 4.1).
    var body = Self.little(UInt32(0x1a2b_3c4d)) + Self.little(UInt16(1)) + Self.little(UInt16(0))
    body += Self.little(UInt64.max)
    body += Self.option(1, Array(comment.utf8)) + Self.option(4, Array("streamrouter".utf8)) + Self.endOfOptions
    append(block: 0x0a0d_0d0a, body)
    for interface in interfaces {
      var body = Self.little(interface.linkType) + Self.little(UInt16(0)) + Self.little(UInt32(0))
      // if_name, if_tsresol 10^-9, if_filter as text (section 4.2).
      body += Self.option(2, Array(interface.name.utf8)) + Self.option(9, [9])
      body += Self.option(11, [0] + Array(interface.filter.utf8))
      body += Self.option(1, Array(interface.comment.utf8)) + Self.endOfOptions
      append(block: 1, body)
    }
  }

  /// One packet (section 4.3), with a comment.
  mutating func write(
    _ packet: UnsafeRawBufferPointer, originalBytes: UInt32, timeNs: UInt64, interface: UInt32,
    direction: Direction, comment: [UInt8]
  ) {
    let options = 4 + Self.padded(comment.count) + 8 + 4
    let length = 12 + 20 + Self.padded(packet.count) + options
    put(UInt32(6))
    put(UInt32(length))
    put(interface)
    put(UInt32(truncatingIfNeeded: timeNs >> 32))
    put(UInt32(truncatingIfNeeded: timeNs))
    put(UInt32(packet.count))
    put(originalBytes)
    buffer.append(contentsOf: packet)
    pad(packet.count)
    put(UInt16(1))
    put(UInt16(comment.count))
    buffer.append(contentsOf: comment)
    pad(comment.count)
    // epb_flags.
    put(UInt16(2))
    put(UInt16(4))
    put(direction.rawValue)
    put(UInt32(0))
    put(UInt32(length))
    bytes += length
  }

  /// What a device counted (section 4.6).
  mutating func statistics(interface: UInt32, timeNs: UInt64, received: UInt64, dropped: UInt64) {
    var body = Self.little(interface)
    body +=
      Self.little(UInt32(truncatingIfNeeded: timeNs >> 32)) + Self.little(UInt32(truncatingIfNeeded: timeNs))
    body += Self.option(4, Self.little(received)) + Self.option(5, Self.little(dropped)) + Self.endOfOptions
    append(block: 5, body)
  }

  /// Whether enough has come together for a write to be worth while.
  var wantsFlush: Bool { buffer.count >= Self.flushBytes }

  /// - Throws: ``CaptureError/cannotWrite(file:reason:)``.
  mutating func flush(_ path: String) throws(CaptureError) {
    do {
      try handle.write(contentsOf: buffer)
    } catch {
      throw .cannotWrite(file: path, reason: error.localizedDescription)
    }
    buffer.removeAll(keepingCapacity: true)
  }

  private mutating func append(block type: UInt32, _ body: [UInt8]) {
    let length = UInt32(12 + body.count)
    buffer += Self.little(type) + Self.little(length) + body + Self.little(length)
    bytes += Int(length)
  }

  private mutating func put(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { buffer.append(contentsOf: $0) }
  }

  private mutating func pad(_ count: Int) {
    for _ in count..<Self.padded(count) { buffer.append(0) }
  }

  private static func padded(_ count: Int) -> Int { (count + 3) & ~3 }

  private static let endOfOptions: [UInt8] = [0, 0, 0, 0]

  /// Values are cut to what an option's length can say.
  private static func option(_ code: UInt16, _ value: [UInt8]) -> [UInt8] {
    let value = value.prefix(65_532)
    return little(code) + little(UInt16(value.count)) + value
      + [UInt8](repeating: 0, count: padded(value.count) - value.count)
  }

  private static func little(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}
