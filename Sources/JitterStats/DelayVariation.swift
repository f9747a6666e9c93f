/// Packet delay variation (RFC 5481 section 4.2): how much longer each packet was under way than the fastest one.
///
/// The fastest packet is known at the end only, so transit times are kept around a reference: the smallest of the
/// first ``learningPackets``. A packet that is faster still goes into a second histogram below the reference,
/// and the report moves all by what the fastest was faster. Percentiles are exact to 1 % of the larger of the
/// variation and that distance.
public struct DelayVariation: Sendable {
  /// Packets whose transit times are kept one by one until the reference is chosen.
  public static let learningPackets = 128

  private var learning: [(transitNs: Int64, atNs: UInt64)] = []
  private var referenceNs: Int64?
  private var above = DelayDistribution()
  /// Packets faster than the reference; nil while there is none, which is the common case.
  private var below: DelayDistribution?

  public init() {}

  /// Packets so far.
  public var count: UInt64 { UInt64(learning.count) + above.count + (below?.count ?? 0) }

  /// Takes in the transit time of one packet (``TransitClock``) that arrived at `atNs`.
  public mutating func record(transitNs: Int64, atNs: UInt64) {
    if let referenceNs {
      record(distance: transitNs.saturatingSubtract(referenceNs), atNs: atNs)
      return
    }
    learning.append((transitNs, atNs))
    if learning.count >= Self.learningPackets { chooseReference() }
  }

  private mutating func record(distance: Int64, count: UInt64 = 1, atNs: UInt64) {
    if distance >= 0 {
      above.record(UInt64(distance), count: count, atNs: atNs)
    } else {
      if below == nil { below = DelayDistribution() }
      below!.record(distance.magnitude, count: count, atNs: atNs)
    }
  }

  private mutating func chooseReference() {
    guard referenceNs == nil, let smallest = learning.map(\.transitNs).min() else { return }
    referenceNs = smallest
    for sample in learning {
      record(distance: sample.transitNs.saturatingSubtract(smallest), atNs: sample.atNs)
    }
    learning = []
  }

  /// The variation of all packets so far, over the fastest of them.
  public var distribution: DelayDistribution {
    var copy = self
    copy.chooseReference()
    guard let below = copy.below, let fastest = below.largest?.valueNs else { return copy.above }
    var moved = DelayDistribution()
    moved.merge(copy.above, offsetNs: Int64(clamping: fastest))
    moved.merge(mirrored: below, around: fastest)
    return moved
  }

  /// Takes in the packets of another account, whose transit times are `offsetNs` less than ours would be.
  public mutating func merge(_ other: DelayVariation, offsetNs: Int64) {
    chooseReference()
    var other = other
    other.chooseReference()
    guard let otherReference = other.referenceNs else { return }
    guard let referenceNs else {
      self = other
      self.referenceNs = otherReference.saturatingAdd(offsetNs)
      return
    }
    // Where the other's reference lies, seen from ours; its values go to either side of ours.
    let shift = otherReference.saturatingAdd(offsetNs).saturatingSubtract(referenceNs)
    if shift >= 0 {
      above.merge(other.above, offsetNs: shift)
    } else {
      mergeSide(other.above, sign: 1, shift: shift)
    }
    if let otherBelow = other.below { mergeSide(otherBelow, sign: -1, shift: shift) }
  }

  /// Takes in values that lie `sign` times their size from the other's reference, which lies `shift` from ours.
  private mutating func mergeSide(_ side: DelayDistribution, sign: Int64, shift: Int64) {
    guard let peak = side.largest else { return }
    side.forEachStep { valueNs, count in
      record(distance: (sign * Int64(clamping: valueNs)).saturatingAdd(shift), count: count, atNs: peak.atNs)
    }
  }
}
