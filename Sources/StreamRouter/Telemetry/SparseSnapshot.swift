/// The counters of a relay as one text, `packets_in 681 bytes_in 117132`, without those that are zero: most of them count
/// what goes wrong, and a snapshot of 1,000 relays is read each second.
@propertyWrapper
public struct SparseCounters: Hashable, Sendable, Codable {
  public var wrappedValue: [String: UInt64]

  public init(wrappedValue: [String: UInt64]) { self.wrappedValue = wrappedValue }

  private static let zeros = Dictionary(
    uniqueKeysWithValues: Counter.relay.map { ($0.name, UInt64(0)) })

  public init(from decoder: any Decoder) throws {
    var text = try decoder.singleValueContainer().decode(String.self)
    wrappedValue = Self.zeros
    let isWhole = text.withUTF8 { bytes in
      var rest = UnsafeRawBufferPointer(bytes)[...]
      while !rest.isEmpty {
        guard let end = rest.firstIndex(of: UInt8(ascii: " ")), end > rest.startIndex else { return false }
        let name = String(decoding: rest[rest.startIndex..<end], as: UTF8.self)
        rest = rest[(end + 1)...]
        let next = rest.firstIndex(of: UInt8(ascii: " ")) ?? rest.endIndex
        guard let value = NumberText.number(rest[..<next]) else { return false }
        wrappedValue[name] = value
        if next == rest.endIndex { return true }
        rest = rest[(next + 1)...]
        // A blank at the end promises another counter.
        if rest.isEmpty { return false }
      }
      return true
    }
    if !isWhole { throw NumberText.damaged("they are no names with numbers", decoder.codingPath) }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    // What is no counter of a relay is written in any case: reading puts back only those.
    let written = wrappedValue.filter { $0.value != 0 || Self.zeros[$0.key] == nil }
    try container.encode(
      written.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: " "))
  }
}

/// Written without empty buckets, for the same reason, and as one text of numbers, which reads ten times as quickly as an
/// array of JSON: the largest, the sum, then the number of each bucket that was hit and behind it its count.
extension ResidenceHistogram {
  public init(from decoder: any Decoder) throws {
    self = try Self(NumberText.read(decoder)[...], path: decoder.codingPath)
  }

  public func encode(to encoder: any Encoder) throws { try NumberText.write(numbers, encoder) }

  fileprivate var numbers: [UInt64] {
    var numbers = [maxNs, sumNs]
    for (bucket, count) in counts.enumerated() where count > 0 {
      numbers.append(UInt64(bucket))
      numbers.append(count)
    }
    return numbers
  }

  fileprivate init(_ numbers: ArraySlice<UInt64>, path: [any CodingKey]) throws {
    guard numbers.count >= 2, numbers.count % 2 == 0 else {
      throw NumberText.damaged("a histogram's numbers come in pairs", path)
    }
    let start = numbers.startIndex
    self.init(maxNs: numbers[start], sumNs: numbers[start + 1])
    for place in stride(from: start + 2, to: numbers.endIndex, by: 2) {
      guard let bucket = Int(exactly: numbers[place]), counts.indices.contains(bucket) else {
        throw NumberText.damaged("there is no bucket \(numbers[place])", path)
      }
      counts[bucket] = numbers[place + 1]
    }
  }
}

/// The time of the largest stands before the histogram's numbers.
extension VariationHistogram {
  public init(from decoder: any Decoder) throws {
    let numbers = try NumberText.read(decoder)
    self.init(
      durations: try ResidenceHistogram(numbers.dropFirst(), path: decoder.codingPath),
      maxAtNs: numbers.first ?? 0)
  }

  public func encode(to encoder: any Encoder) throws {
    try NumberText.write([maxAtNs] + durations.numbers, encoder)
  }
}

/// Whole numbers in decimal digits with a blank between two.
private enum NumberText {
  static func damaged(_ why: String, _ path: [any CodingKey]) -> DecodingError {
    .dataCorrupted(.init(codingPath: path, debugDescription: why))
  }

  static func read(_ decoder: any Decoder) throws -> [UInt64] {
    var text = try decoder.singleValueContainer().decode(String.self)
    let numbers = text.withUTF8 { bytes -> [UInt64]? in
      var numbers: [UInt64] = []
      numbers.reserveCapacity(48)
      var rest = UnsafeRawBufferPointer(bytes)[...]
      while true {
        let end = rest.firstIndex(of: UInt8(ascii: " ")) ?? rest.endIndex
        guard let number = number(rest[..<end]) else { return nil }
        numbers.append(number)
        if end == rest.endIndex { return numbers }
        rest = rest[(end + 1)...]
      }
    }
    guard let numbers else { throw damaged("it is no row of numbers", decoder.codingPath) }
    return numbers
  }

  /// nil where they are no digits, none, or more than a number holds.
  static func number(_ digits: Slice<UnsafeRawBufferPointer>) -> UInt64? {
    if digits.isEmpty { return nil }
    var number: UInt64 = 0
    for byte in digits {
      let digit = byte &- UInt8(ascii: "0")
      let (tens, isLarge) = number.multipliedReportingOverflow(by: 10)
      let (sum, isLarger) = tens.addingReportingOverflow(UInt64(digit))
      if digit > 9 || isLarge || isLarger { return nil }
      number = sum
    }
    return number
  }

  static func write(_ numbers: [UInt64], _ encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(numbers.map(String.init).joined(separator: " "))
  }
}
