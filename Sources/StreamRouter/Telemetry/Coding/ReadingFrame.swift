/// One answer to `reading` on the control socket: what a ``ReadingCoder`` makes of a node's snapshot, with the shapes that
/// are new. Its length, four bytes with the highest first, stands before it.
///
/// Only what changed travels: reading whole snapshots as JSON was half of what a monitor of 1,000 relays took.
struct ReadingFrame {
  /// Its own format and that of the coder. Another version is refused, not guessed at.
  private static let version: UInt64 = 1
  /// A full snapshot of 10,000 relays is about 20 MB.
  static let largest = 256 << 20
  static let headerBytes = 4

  /// The answers of one connection, in their order.
  struct Writer: Sendable {
    private var coder = ReadingCoder()
    private var isFirst = true

    /// The bytes to send, the length before them.
    mutating func frame(_ snapshot: NodeSnapshot) throws -> [UInt8] {
      let coded = try coder.encode([NodeReading(node: snapshot.node, snapshot: snapshot)], isFull: isFirst)
      var writer = ByteWriter()
      writer.write(ReadingFrame.version)
      writer.write(isFirst ? 1 : 0)
      writer.write(UInt64(coded.shapes.count))
      for shape in coded.shapes {
        writer.write(UInt64(shape.id))
        writer.write(UInt64(shape.json.utf8.count))
        writer.write(contentsOf: shape.json.utf8)
      }
      writer.write(contentsOf: coded.bytes)
      isFirst = false
      let length = UInt32(writer.bytes.count)
      return withUnsafeBytes(of: length.bigEndian) { Array($0) } + writer.bytes
    }
  }

  /// Reads the answers of one connection. The bytes may be anything.
  struct Reader: Sendable {
    private var decoder = ReadingDecoder()

    /// - Parameter frame: the bytes behind the length.
    /// - Throws: ``ByteReader/Damage`` where they are no answer of this version.
    mutating func snapshot(_ frame: [UInt8]) throws -> NodeSnapshot {
      var reader = ByteReader(frame)
      guard try reader.number() == ReadingFrame.version else { throw ByteReader.Damage() }
      let isFull = try reader.number() == 1
      var shapes: [Int64: String] = [:]
      for _ in 0..<(try reader.number()) {
        guard let id = Int64(exactly: try reader.number()) else { throw ByteReader.Damage() }
        shapes[id] = String(decoding: try reader.bytes(try reader.number()), as: UTF8.self)
      }
      let coded = try reader.bytes(UInt64(reader.bytesLeft))
      let readings = try decoder.decode(Array(coded), isFull: isFull) { shapes[$0] }
      guard readings.count == 1, let snapshot = readings[0].snapshot else { throw ByteReader.Damage() }
      return snapshot
    }
  }
}
