import Topology

/// What a reading has beside its figures: names, addresses, limits, states. It stays the same for hours, so a recording
/// holds it once, as JSON, and each reading names it.
///
/// A field that no `visit` below names belongs to the shape: it is recorded exactly all the same, but as a new shape each
/// time that it changes. What changes with every packet belongs into `visit`.
protocol ShapedReading: Equatable, Codable, Sendable {
  associatedtype Names: Codable, Sendable

  /// The keys of its dictionaries of figures, each in its order.
  var names: Names { get }
  /// Passes each figure by, in an order that `names` and the shape alone decide.
  mutating func visit(
    _ names: Names, number: (inout UInt64) throws -> Void, decimal: (inout Double) throws -> Void) rethrows
  /// Whether its figures can be reckoned with: what a file says may be anything.
  var isPlausible: Bool { get }
}

/// Bounds of what is believed of a recording. Sums over all counters, or all buckets, do not overflow below them.
enum Plausible {
  /// 146 PB, or packets: a relay of 10 Gbit/s needs three years for it.
  static let mostCounted: UInt64 = 1 << 57
  /// Nanoseconds since 1970, to the year 2116.
  static let lastNs: UInt64 = 1 << 62
  /// Of any unit.
  static let largest = 1e15

  /// Of two numbers that were counted; a file could name so many that they add up to more.
  static func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
    min(mostCounted, min(a, mostCounted) + min(b, mostCounted))
  }

  static func holds(_ value: Double?) -> Bool { value.map { $0.isFinite && abs($0) <= largest } ?? true }
}

extension RelaySnapshot: ShapedReading {
  struct Names: Codable, Sendable {
    var counters: [String]
    var extensions: [[String]]
  }

  var names: Names {
    Names(counters: counters.keys.sorted(), extensions: extensions.map { $0.counters.keys.sorted() })
  }

  mutating func visit(
    _ names: Names, number: (inout UInt64) throws -> Void, decimal: (inout Double) throws -> Void
  ) rethrows {
    for name in names.counters { try number(&counters[name, default: 0]) }
    try number(&lastSeenNs)
    try residence.visit(number)
    try ipdv.visit(number)
    try pdv.visit(number)
    try decimal(&jitterSeconds)
    try decimal(&jitterMaxSeconds)
    for (index, counters) in zip(extensions.indices, names.extensions) {
      try extensions[index].visit(counters, number)
    }
    try peers?.visit(number: number, decimal: decimal)
    try tcp?.visit(number)
  }

  var isPlausible: Bool {
    let durations = [residence, ipdv.durations, pdv.durations]
    return (0...Int(UInt16.max)).contains(hop)
      && counters.values.allSatisfy { $0 <= Plausible.mostCounted }
      && durations.allSatisfy(\.isPlausible)
      && [lastSeenNs, ipdv.maxAtNs, pdv.maxAtNs].allSatisfy { $0 <= Plausible.lastNs }
      && Plausible.holds(jitterSeconds) && Plausible.holds(jitterMaxSeconds)
      && (limits?.limits ?? []).allSatisfy { Plausible.holds($0.atMost) && Plausible.holds($0.atLeast) }
      && extensions.allSatisfy(\.isPlausible) && peers?.isPlausible ?? true && tcp?.isPlausible ?? true
  }
}

extension ConnectionAccount {
  fileprivate mutating func visit(_ number: (inout UInt64) throws -> Void) rethrows {
    try number(&open)
    try sinkRoundTrip.visit(number)
    try sourceRoundTrip.visit(number)
  }

  fileprivate var isPlausible: Bool {
    open <= Plausible.mostCounted
      && [sinkRoundTrip, sourceRoundTrip].allSatisfy {
        $0.durations.isPlausible && $0.maxAtNs <= Plausible.lastNs
      }
  }
}

extension ResidenceHistogram {
  fileprivate mutating func visit(_ number: (inout UInt64) throws -> Void) rethrows {
    for bucket in counts.indices { try number(&counts[bucket]) }
    try number(&maxNs)
    try number(&sumNs)
  }

  fileprivate var isPlausible: Bool {
    counts.count == Self.bucketCount && counts.allSatisfy { $0 <= Plausible.mostCounted }
      && maxNs <= Plausible.lastNs
  }
}

extension VariationHistogram {
  fileprivate mutating func visit(_ number: (inout UInt64) throws -> Void) rethrows {
    try durations.visit(number)
    try number(&maxAtNs)
  }
}

extension ExtensionSnapshot {
  fileprivate mutating func visit(_ names: [String], _ number: (inout UInt64) throws -> Void) rethrows {
    for name in names { try number(&counters[name, default: 0]) }
    try number(&runs)
    try number(&forwarded)
    try number(&dropped)
    try number(&faults)
    try number(&timedRuns)
    try number(&timedSumNs)
    try number(&maxNs)
    guard histogram != nil else { return }
    for bucket in histogram!.counts.indices { try number(&histogram!.counts[bucket]) }
    try number(&histogram!.sum)
  }

  fileprivate var isPlausible: Bool {
    let counts = [runs, forwarded, dropped, faults, timedRuns, maxNs] + (histogram?.counts ?? [])
    return counts.allSatisfy { $0 <= Plausible.mostCounted }
      && counters.values.allSatisfy { $0 <= Plausible.mostCounted } && histogram?.counts.count ?? 0 <= 64
  }
}

/// The node itself: its relays have shapes of their own.
extension NodeReading: ShapedReading {
  var names: [String] { snapshot?.datapath.keys.sorted() ?? [] }

  mutating func visit(
    _ names: [String], number: (inout UInt64) throws -> Void, decimal: (inout Double) throws -> Void
  ) rethrows {
    if staleSeconds != nil { try decimal(&staleSeconds!) }
    guard snapshot != nil else { return }
    try number(&snapshot!.timeNs)
    for name in names { try number(&snapshot!.datapath[name, default: 0]) }
    try snapshot!.load.visit(number: number, decimal: decimal)
    for index in snapshot!.links.indices { try snapshot!.links[index].visit(number) }
  }

  var isPlausible: Bool {
    guard Plausible.holds(staleSeconds) else { return false }
    guard let snapshot else { return true }
    let load = snapshot.load
    let seconds = [
      load.softirqSeconds, load.totalSeconds, load.stealSeconds, load.ksoftirqdSeconds,
      load.pressure?.tenSecondShare, load.pressure?.waitingSeconds,
    ]
    return snapshot.timeNs <= Plausible.lastNs && snapshot.startedNs <= Plausible.lastNs
      && snapshot.datapath.values.allSatisfy { $0 <= Plausible.mostCounted }
      && seconds.allSatisfy(Plausible.holds) && load.runnableThreads >= 0 && load.processors >= 0
      && (load.byProcessor ?? []).allSatisfy {
        $0.netRxSoftirqs <= Plausible.mostCounted && Plausible.holds($0.interruptSeconds)
      }
      && snapshot.links.allSatisfy(\.isPlausible)
  }
}

extension LinkSnapshot {
  fileprivate mutating func visit(_ number: (inout UInt64) throws -> Void) rethrows {
    try number(&sent)
    try number(&answered)
    try number(&lostForward)
    try number(&lostBackward)
    try number(&lostEither)
    try number(&late)
    try number(&duplicates)
    try number(&unexpected)
    try number(&reflected)
    try number(&clockSteps)
    try roundTrip.visit(number)
    try ipdvForward.visit(number)
    try ipdvBackward.visit(number)
    try number(&lastAnswerNs)
    if clockOffsetNs != nil {
      var bits = UInt64(bitPattern: clockOffsetNs!)
      try number(&bits)
      clockOffsetNs = Int64(bitPattern: bits)
    }
    if clockErrorNs != nil { try number(&clockErrorNs!) }
  }

  fileprivate var isPlausible: Bool {
    let counts = [
      sent, answered, lostForward, lostBackward, lostEither, late, duplicates, unexpected, reflected,
      clockSteps,
    ]
    return counts.allSatisfy { $0 <= Plausible.mostCounted }
      && [roundTrip, ipdvForward.durations, ipdvBackward.durations].allSatisfy(\.isPlausible)
      && [lastAnswerNs, ipdvForward.maxAtNs, ipdvBackward.maxAtNs].allSatisfy { $0 <= Plausible.lastNs }
      && clockOffsetNs?.magnitude ?? 0 <= Plausible.lastNs && clockErrorNs ?? 0 <= Plausible.lastNs
  }
}

extension NodeLoad {
  fileprivate mutating func visit(
    number: (inout UInt64) throws -> Void, decimal: (inout Double) throws -> Void
  ) rethrows {
    var runnable = UInt64(max(0, runnableThreads))
    try number(&runnable)
    // Never negative, and never more than the kernel's 22 bits of process ids; a file may say anything.
    runnableThreads = Int(clamping: runnable)
    try decimal(&softirqSeconds)
    try decimal(&totalSeconds)
    if stealSeconds != nil { try decimal(&stealSeconds!) }
    if ksoftirqdSeconds != nil { try decimal(&ksoftirqdSeconds!) }
    if pressure != nil {
      try decimal(&pressure!.tenSecondShare)
      try decimal(&pressure!.waitingSeconds)
    }
    for index in (byProcessor ?? []).indices {
      try number(&byProcessor![index].netRxSoftirqs)
      try decimal(&byProcessor![index].interruptSeconds)
    }
  }
}
