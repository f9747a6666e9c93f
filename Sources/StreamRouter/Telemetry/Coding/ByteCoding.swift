/// Writes whole numbers, decimal numbers and texts into bytes, small ones into few.
struct ByteWriter: Sendable {
  private(set) var bytes: [UInt8] = []

  /// Seven bits a byte, the lowest first; the highest bit of a byte says that another follows.
  mutating func write(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  mutating func write(contentsOf more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

  /// As the way from another number: near ones take a byte, whichever is larger. Any two numbers do.
  mutating func write(_ value: UInt64, from former: UInt64) {
    let change = Int64(bitPattern: value &- former)
    write(UInt64(bitPattern: (change << 1) ^ (change >> 63)))
  }

  /// As the way from another number. What is a whole number of one of the ``DecimalStep`` goes as that, all else with all
  /// its bits.
  mutating func write(_ value: Double, from former: Double) {
    if value.bitPattern == former.bitPattern { return bytes.append(DecimalStep.unchanged) }
    for step in DecimalStep.allCases {
      guard let units = step.units(value) else { continue }
      bytes.append(step.rawValue)
      return write(units, from: step.units(former) ?? 0)
    }
    bytes.append(DecimalStep.bits)
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: value.bitPattern >> shift))
    }
  }

  /// Only what differs: how far to the next number that does, and its way from the former. Most are near each other and
  /// grow a little: those take one or two bytes (``SparseStep``).
  ///
  /// - Parameter former: As many numbers as `values`; nil: all of them are 0.
  mutating func write(_ values: [UInt64], from former: [UInt64]?) {
    var last = -1
    for index in values.indices {
      let before = former?[index] ?? 0
      guard values[index] != before else { continue }
      let (gap, change) = (UInt8(clamping: index - last - 1), values[index] &- before)
      if gap < 16, change <= 8 {
        bytes.append(gap << 3 | UInt8(change - 1))
      } else if gap < 16, change <= 1024 {
        bytes.append(SparseStep.middle | gap << 2 | UInt8((change - 1) >> 8))
        bytes.append(UInt8(truncatingIfNeeded: change - 1))
      } else if gap < 32 {
        bytes.append(SparseStep.large | gap)
        write(values[index], from: before)
      } else {
        bytes.append(SparseStep.far)
        write(UInt64(index - last - 1))
        write(values[index], from: before)
      }
      last = index
    }
    bytes.append(SparseStep.end)
  }
}

/// What the first byte of a changed number says. Below ``middle``: four bits are how many unchanged numbers lie before it,
/// three bits by how much it grew, less one.
enum SparseStep {
  /// Four bits for the numbers before it, and ten, with the next byte, for how much it grew, less one.
  static let middle: UInt8 = 0x80
  /// Five bits for the numbers before it; its way follows.
  static let large: UInt8 = 0xc0
  /// The count of the numbers before it follows, then its way.
  static let far: UInt8 = 0xe0
  /// No further number changed.
  static let end: UInt8 = 0xff
}

/// Steps in which the figures of a node come: ticks of the processor's clock, micro- and nanoseconds, and the sixteenths
/// of a nanosecond of the jitter filter.
enum DecimalStep: UInt8, CaseIterable {
  case hundredths = 2
  case millionths = 3
  case billionths = 4
  case sixteenthsOfBillionths = 5

  /// In place of a step: as before; and all bits as they are.
  static let unchanged: UInt8 = 0
  static let bits: UInt8 = 1

  private var perUnit: Double {
    switch self {
    case .hundredths: 100
    case .millionths: 1e6
    case .billionths: 1e9
    case .sixteenthsOfBillionths: 16e9
    }
  }

  func value(_ units: UInt64) -> Double { Double(units) / perUnit }

  /// nil where the value is not exactly that many steps.
  func units(_ value: Double) -> UInt64? {
    let units = (value * perUnit).rounded()
    guard units >= 0, units < 0x1p53 else { return nil }
    let whole = UInt64(units)
    return self.value(whole).bitPattern == value.bitPattern ? whole : nil
  }
}

/// Reads what ``ByteWriter`` wrote; the bytes may be anything.
struct ByteReader {
  /// The bytes end too early, or say what no writer writes.
  struct Damage: Error {}

  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isAtEnd: Bool { rest.isEmpty }
  /// No list can have more elements than this: each takes a byte at least.
  var bytesLeft: Int { rest.count }

  mutating func byte() throws -> UInt8 {
    guard let first = rest.popFirst() else { throw Damage() }
    return first
  }

  mutating func bytes(_ count: UInt64) throws -> ArraySlice<UInt8> {
    guard count <= UInt64(rest.count) else { throw Damage() }
    defer { rest = rest.dropFirst(Int(count)) }
    return rest.prefix(Int(count))
  }

  mutating func number() throws -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      let next = try byte()
      guard shift < 63 || next <= 1 else { throw Damage() }
      value |= UInt64(next & 0x7f) << shift
      if next < 0x80 { return value }
    }
    throw Damage()
  }

  mutating func number(from former: UInt64) throws -> UInt64 {
    let coded = try number()
    return former &+ ((coded >> 1) ^ (0 &- (coded & 1)))
  }

  mutating func decimal(from former: Double) throws -> Double {
    let kind = try byte()
    if kind == DecimalStep.unchanged { return former }
    if kind == DecimalStep.bits {
      var bits: UInt64 = 0
      for shift in stride(from: UInt64(0), to: 64, by: 8) { bits |= UInt64(try byte()) << shift }
      return Double(bitPattern: bits)
    }
    guard let step = DecimalStep(rawValue: kind) else { throw Damage() }
    return step.value(try number(from: step.units(former) ?? 0))
  }

  /// Changes those of `values` that the bytes name.
  mutating func numbers(into values: inout [UInt64]) throws {
    var place = 0
    while true {
      let first = try byte()
      if first == SparseStep.end { return }
      let gap: UInt64
      var growth: UInt64?
      switch first {
      case ..<SparseStep.middle: (gap, growth) = (UInt64(first >> 3), UInt64(first & 7) + 1)
      case ..<SparseStep.large:
        gap = UInt64(first >> 2 & 15)
        growth = UInt64(first & 3) << 8 | UInt64(try byte())
        growth = growth.map { $0 + 1 }
      case ..<SparseStep.far: gap = UInt64(first & 31)
      case SparseStep.far: gap = try number()
      default: throw Damage()
      }
      guard gap < UInt64(values.count - place) else { throw Damage() }
      place += Int(gap)
      values[place] = try growth.map { values[place] &+ $0 } ?? number(from: values[place])
      place += 1
    }
  }
}

/// FNV-1a, 64 bits: tells a damaged reading from a whole one. It is no protection against intent.
func checksum(_ bytes: [UInt8]) -> Int64 {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  return Int64(bitPattern: hash)
}
