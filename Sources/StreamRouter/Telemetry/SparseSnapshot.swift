/// The counters of a relay, written without those that are zero: most of them count what goes wrong, and a snapshot of
/// 1,000 relays is read each second.
@propertyWrapper
public struct SparseCounters: Hashable, Sendable, Codable {
  public var wrappedValue: [String: UInt64]

  public init(wrappedValue: [String: UInt64]) { self.wrappedValue = wrappedValue }

  private static let zeros = Dictionary(
    uniqueKeysWithValues: Counter.relay.map { ($0.name, UInt64(0)) })

  public init(from decoder: any Decoder) throws {
    let written = try decoder.singleValueContainer().decode([String: UInt64].self)
    wrappedValue = Self.zeros
    for (name, value) in written { wrappedValue[name] = value }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    // What is no counter of a relay is written in any case: reading puts back only those.
    try container.encode(wrappedValue.filter { $0.value != 0 || Self.zeros[$0.key] == nil })
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
    let numbers = text.withUTF8 { digits -> [UInt64]? in
      var numbers: [UInt64] = []
      numbers.reserveCapacity(32)
      var number: UInt64?
      for byte in digits {
        if byte == UInt8(ascii: " ") {
          guard let whole = number else { return nil }
          numbers.append(whole)
          number = nil
          continue
        }
        let (digit, isLess) = byte.subtractingReportingOverflow(UInt8(ascii: "0"))
        let (tens, isLarge) = (number ?? 0).multipliedReportingOverflow(by: 10)
        let (sum, isLarger) = tens.addingReportingOverflow(UInt64(digit))
        if isLess || digit > 9 || isLarge || isLarger { return nil }
        number = sum
      }
      guard let last = number else { return nil }
      numbers.append(last)
      return numbers
    }
    guard let numbers else { throw damaged("it is no row of numbers", decoder.codingPath) }
    return numbers
  }

  static func write(_ numbers: [UInt64], _ encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(numbers.map(String.init).joined(separator: " "))
  }
}
