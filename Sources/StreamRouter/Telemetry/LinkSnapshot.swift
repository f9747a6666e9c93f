import CStreamRouter
import Topology

/// What one node's test packets tell of a link since the node began to probe it.
///
/// A test packet goes to the peer, which answers it at once. Forward is the way to the peer, backward the way of its
/// answer. Counters are cumulative; delays that need both clocks are not told, only how they vary.
public struct LinkSnapshot: Hashable, Sendable, Codable {
  /// The node at the other end.
  public var peer: String
  /// This node's address, and where the peer answers.
  public var local: IPAddress
  public var remote: Endpoint
  /// Milliseconds from one test packet to the next.
  public var intervalMs: Int

  public var sent: UInt64 = 0
  /// Answers in time: within ``LinkProbeSession/patienceNs``.
  public var answered: UInt64 = 0
  /// Test packets without an answer in time, by the way that lost them or their answer; `lostEither` where no later
  /// answer told which.
  public var lostForward: UInt64 = 0
  public var lostBackward: UInt64 = 0
  public var lostEither: UInt64 = 0
  /// Answers that came too late, again, or to no test packet of this node.
  public var late: UInt64 = 0
  public var duplicates: UInt64 = 0
  public var unexpected: UInt64 = 0
  /// Test packets of the peer that this node answered.
  public var reflected: UInt64 = 0

  /// From sending to the answer, less the time that the peer took (RFC 2681).
  public var roundTrip = ResidenceHistogram()
  /// Between two test packets that follow each other, without its sign (RFC 3393), each way.
  public var ipdvForward = VariationHistogram()
  public var ipdvBackward = VariationHistogram()

  /// When the latest answer in time arrived, nanoseconds since 1970; 0 before the first.
  public var lastAnswerNs: UInt64 = 0
  /// How far the peer's clock is ahead of this node's, and how far that can be wrong, in nanoseconds; nil before the
  /// first answer.
  public var clockOffsetNs: Int64?
  public var clockErrorNs: UInt64?
  /// How often a clock, this node's or the peer's, was seen to be set.
  public var clockSteps: UInt64 = 0
  /// Why it cannot be probed or answered at the moment.
  public var problem: String?

  public init(peer: String, local: IPAddress, remote: Endpoint, intervalMs: Int) {
    self.peer = peer
    self.local = local
    self.remote = remote
    self.intervalMs = intervalMs
  }

  /// Test packets that were lost, whichever way.
  public var lost: UInt64 { lostForward &+ lostBackward &+ lostEither }
}

extension ResidenceHistogram {
  /// Counts one duration.
  mutating func record(_ ns: UInt64) {
    counts[Int(sr_residence_bucket(ns))] += 1
    maxNs = max(maxNs, ns)
    sumNs &+= ns
  }
}

extension VariationHistogram {
  /// Counts one duration; `atNs` is when, nanoseconds since 1970.
  mutating func record(_ ns: UInt64, atNs: UInt64) {
    if ns > durations.maxNs || maxAtNs == 0 { maxAtNs = atNs }
    durations.record(ns)
  }
}
