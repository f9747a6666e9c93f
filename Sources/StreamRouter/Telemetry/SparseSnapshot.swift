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

/// Written without empty buckets, for the same reason: the number of each bucket that was hit, and behind it its count.
extension ResidenceHistogram {
  private enum Key: String, CodingKey { case hit, maxNs, sumNs }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    self.init(
      maxNs: try container.decode(UInt64.self, forKey: .maxNs),
      sumNs: try container.decode(UInt64.self, forKey: .sumNs))
    let hit = try container.decode([UInt64].self, forKey: .hit)
    for place in stride(from: 0, to: hit.count - 1, by: 2) {
      guard let bucket = Int(exactly: hit[place]), counts.indices.contains(bucket) else {
        throw DecodingError.dataCorruptedError(
          forKey: .hit, in: container, debugDescription: "there is no bucket \(hit[place])")
      }
      counts[bucket] = hit[place + 1]
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(maxNs, forKey: .maxNs)
    try container.encode(sumNs, forKey: .sumNs)
    var hit: [UInt64] = []
    for (bucket, count) in counts.enumerated() where count > 0 { hit += [UInt64(bucket), count] }
    try container.encode(hit, forKey: .hit)
  }
}
