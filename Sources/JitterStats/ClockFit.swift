/// The sender's clock against the clock of arrivals: the slope of a least squares line through (arrival, timestamp)
/// of all packets, as Wireshark's RTP analysis fits it.
///
/// Sums are kept around the means, which gives the same line as sums of squares of the times themselves, without
/// their loss of digits over long streams.
public struct ClockFit: Hashable, Sendable {
  public private(set) var count: UInt64 = 0
  private var meanArrival = 0.0
  private var meanSent = 0.0
  private var arrivalSquares = 0.0
  private var products = 0.0

  public init() {}

  /// Takes in one packet: both times in seconds from any fixed instants.
  public mutating func record(arrivalSeconds: Double, sentSeconds: Double) {
    count += 1
    let arrivalOffset = arrivalSeconds - meanArrival
    meanArrival += arrivalOffset / Double(count)
    meanSent += (sentSeconds - meanSent) / Double(count)
    arrivalSquares += arrivalOffset * (arrivalSeconds - meanArrival)
    products += arrivalOffset * (sentSeconds - meanSent)
  }

  /// Seconds that the sender's clock advances for each second of ours; nil where all packets arrived at once.
  public var slope: Double? { arrivalSquares > 0 ? products / arrivalSquares : nil }

  /// Takes in the packets of another fit whose instants lie later than ours by the two offsets, in seconds.
  public mutating func merge(_ other: ClockFit, arrivalOffset: Double, sentOffset: Double) {
    guard other.count > 0 else { return }
    let ours = Double(count)
    let theirs = Double(other.count)
    let all = ours + theirs
    let arrivalApart = other.meanArrival + arrivalOffset - meanArrival
    let sentApart = other.meanSent + sentOffset - meanSent
    arrivalSquares += other.arrivalSquares + arrivalApart * arrivalApart * ours * theirs / all
    products += other.products + arrivalApart * sentApart * ours * theirs / all
    meanArrival += arrivalApart * theirs / all
    meanSent += sentApart * theirs / all
    count += other.count
  }
}
