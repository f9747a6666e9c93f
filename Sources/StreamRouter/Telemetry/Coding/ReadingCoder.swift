import FoundationEssentials

/// Turns readings of all nodes into few bytes and back, exactly: figures as their way from the reading before, all else by
/// the number of its shape.
///
/// The bytes of a reading: the number of nodes; for each node the number of its shape, its figures, the number of its
/// relays, and for each relay the number of its shape and its figures. Figures are whole numbers (``ByteWriter``), then
/// decimal ones. What the reading before has at the same place, with the same shape, is what they count from; a full
/// reading, and what has another shape, counts from 0.
struct ReadingCoder: Sendable {
  /// One node or relay of the latest reading.
  struct Known<Part: ShapedReading>: Sendable {
    var shape: Shape<Part>
    var numbers: [UInt64]
    var decimals: [Double]
  }

  /// What a part has beside its figures: the part with all of them 0.
  struct Shape<Part: ShapedReading>: Sendable {
    var id: Int64
    var part: Part
    var names: Part.Names
  }

  /// A shape as a recording has it. The names stand there too: a program that knows more counters reads more of them.
  struct StoredShape<Part: ShapedReading>: Codable {
    var part: Part
    var names: Part.Names
  }

  struct KnownNode: Sendable {
    var node: Known<NodeReading>
    var relays: [Known<RelaySnapshot>]
  }

  /// A shape that was not there before, to be kept beside the bytes.
  struct NewShape: Hashable, Sendable {
    var id: Int64
    var json: String
  }

  private var latest: [KnownNode] = []
  private var nextShape: Int64

  /// - Parameter nextShape: The first number that no shape of the recording has.
  init(nextShape: Int64 = 1) { self.nextShape = nextShape }

  /// - Parameter isFull: The bytes say all there is, and need no reading before.
  mutating func encode(_ readings: [NodeReading], isFull: Bool) throws -> (bytes: [UInt8], shapes: [NewShape]) {
    var writer = ByteWriter()
    var shapes: [NewShape] = []
    var now: [KnownNode] = []
    now.reserveCapacity(readings.count)
    writer.write(UInt64(readings.count))
    for (index, reading) in readings.enumerated() {
      let before = index < latest.count ? latest[index] : nil
      var bare = reading
      bare.snapshot?.relays = []
      let node = try encode(bare, from: before?.node, isFull, &writer, &shapes)
      var relays: [Known<RelaySnapshot>] = []
      if let snapshot = reading.snapshot {
        writer.write(UInt64(snapshot.relays.count))
        relays.reserveCapacity(snapshot.relays.count)
        for (index, relay) in snapshot.relays.enumerated() {
          let former = before.flatMap { index < $0.relays.count ? $0.relays[index] : nil }
          relays.append(try encode(relay, from: former, isFull, &writer, &shapes))
        }
      }
      now.append(KnownNode(node: node, relays: relays))
    }
    latest = now
    return (writer.bytes, shapes)
  }

  private mutating func encode<Part: ShapedReading>(
    _ part: Part, from former: Known<Part>?, _ isFull: Bool, _ writer: inout ByteWriter,
    _ shapes: inout [NewShape]
  ) throws -> Known<Part> {
    if let former {
      let parts = Self.split(part, former.shape.names)
      if parts.shape == former.shape.part {
        let known = Known(shape: former.shape, numbers: parts.numbers, decimals: parts.decimals)
        Self.write(known, from: isFull ? nil : former, &writer)
        return known
      }
    }
    let names = part.names
    let parts = Self.split(part, names)
    let shape = Shape(id: nextShape, part: parts.shape, names: names)
    nextShape += 1
    shapes.append(
      NewShape(
        id: shape.id,
        json: try MonitorDocument.json(StoredShape(part: parts.shape, names: names), pretty: false)))
    let known = Known(shape: shape, numbers: parts.numbers, decimals: parts.decimals)
    Self.write(known, from: nil, &writer)
    return known
  }

  /// The figures of a part, and the part without them.
  private static func split<Part: ShapedReading>(
    _ part: Part, _ names: Part.Names
  ) -> (shape: Part, numbers: [UInt64], decimals: [Double]) {
    var shape = part
    var numbers: [UInt64] = []
    var decimals: [Double] = []
    numbers.reserveCapacity(512)
    shape.visit(
      names,
      number: {
        numbers.append($0)
        $0 = 0
      },
      decimal: {
        decimals.append($0)
        $0 = 0
      })
    return (shape, numbers, decimals)
  }

  private static func write<Part>(_ part: Known<Part>, from former: Known<Part>?, _ writer: inout ByteWriter) {
    writer.write(UInt64(part.shape.id))
    writer.write(part.numbers, from: former?.numbers)
    for index in part.decimals.indices {
      writer.write(part.decimals[index], from: former?.decimals[index] ?? 0)
    }
  }
}

/// Reads what ``ReadingCoder`` wrote. The bytes and shapes may be anything.
struct ReadingDecoder {
  typealias Shape = ReadingCoder.Shape
  private typealias Known = ReadingCoder.Known

  private var latest: [ReadingCoder.KnownNode] = []
  private var nodeShapes: [Int64: Shape<NodeReading>] = [:]
  private var relayShapes: [Int64: Shape<RelaySnapshot>] = [:]
  /// A file with more shapes than this has them read anew.
  private static let mostShapes = 1 << 16

  /// - Parameter shape: The JSON of a shape by its number; nil where there is none.
  /// - Throws: ``ByteReader/Damage`` where the bytes or a shape are none that a coder makes.
  mutating func decode(
    _ bytes: [UInt8], isFull: Bool, shape: (Int64) throws -> String?
  ) throws -> [NodeReading] {
    if isFull { latest = [] }
    if nodeShapes.count + relayShapes.count > Self.mostShapes { (nodeShapes, relayShapes) = ([:], [:]) }
    var reader = ByteReader(bytes)
    var now: [ReadingCoder.KnownNode] = []
    var readings: [NodeReading] = []
    for index in 0..<(try Self.count(&reader)) {
      let before = index < latest.count ? latest[index] : nil
      var (reading, node) = try Self.decode(&reader, from: before?.node, &nodeShapes, shape)
      guard reading.snapshot?.relays.isEmpty ?? true else { throw ByteReader.Damage() }
      var relays: [Known<RelaySnapshot>] = []
      if reading.snapshot != nil {
        for index in 0..<(try Self.count(&reader)) {
          let former = before.flatMap { index < $0.relays.count ? $0.relays[index] : nil }
          let (relay, known) = try Self.decode(&reader, from: former, &relayShapes, shape)
          reading.snapshot?.relays.append(relay)
          relays.append(known)
        }
      }
      readings.append(reading)
      now.append(ReadingCoder.KnownNode(node: node, relays: relays))
    }
    guard reader.isAtEnd else { throw ByteReader.Damage() }
    latest = now
    return readings
  }

  private static func count(_ reader: inout ByteReader) throws -> Int {
    let count = try reader.number()
    guard count <= UInt64(reader.bytesLeft) else { throw ByteReader.Damage() }
    return Int(count)
  }

  private static func decode<Part: ShapedReading>(
    _ reader: inout ByteReader, from former: Known<Part>?, _ shapes: inout [Int64: Shape<Part>],
    _ text: (Int64) throws -> String?
  ) throws -> (Part, Known<Part>) {
    guard let id = Int64(exactly: try reader.number()) else { throw ByteReader.Damage() }
    var known: Known<Part>
    if let former, former.shape.id == id {
      known = former
    } else {
      known = try Self.zeros(try shape(id, &shapes, text))
    }
    try reader.numbers(into: &known.numbers)
    for index in known.decimals.indices {
      known.decimals[index] = try reader.decimal(from: known.decimals[index])
    }
    var part = known.shape.part
    var (numbers, decimals) = (known.numbers.makeIterator(), known.decimals.makeIterator())
    part.visit(
      known.shape.names, number: { $0 = numbers.next() ?? 0 }, decimal: { $0 = decimals.next() ?? 0 })
    guard part.isPlausible else { throw ByteReader.Damage() }
    return (part, known)
  }

  private static func shape<Part: ShapedReading>(
    _ id: Int64, _ shapes: inout [Int64: Shape<Part>], _ text: (Int64) throws -> String?
  ) throws -> Shape<Part> {
    if let known = shapes[id] { return known }
    guard let json = try text(id),
      let stored = try? JSONDecoder().decode(ReadingCoder.StoredShape<Part>.self, from: Data(json.utf8))
    else { throw ByteReader.Damage() }
    let shape = Shape(id: id, part: stored.part, names: stored.names)
    shapes[id] = shape
    return shape
  }

  private static func zeros<Part: ShapedReading>(_ shape: Shape<Part>) throws -> Known<Part> {
    var (numbers, decimals) = (0, 0)
    var part = shape.part
    part.visit(shape.names, number: { _ in numbers += 1 }, decimal: { _ in decimals += 1 })
    return Known(
      shape: shape, numbers: Array(repeating: 0, count: numbers),
      decimals: Array(repeating: 0, count: decimals))
  }
}
