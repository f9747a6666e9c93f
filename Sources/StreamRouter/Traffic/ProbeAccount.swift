import JitterStats

/// The exact account of the packets of one run of `send`, by the 64-bit numbers of its probes, in constant memory.
///
/// Numbers up to 1,048,575 behind the highest are known one by one, so that late packets and duplicates are told
/// apart; what comes from further behind is counted as undecided.
public struct ProbeAccount: Sendable {
  /// Numbers that are known one by one.
  public static let window = 1 << 20

  public let run: UInt64
  /// How many the sender plans; 0: no end.
  public private(set) var total: UInt64
  private var lowest: UInt64
  private var highest: UInt64
  /// Bit `number % window`: arrived.
  private var seen = [UInt64](repeating: 0, count: window / 64)
  private var unique: UInt64 = 0
  private var duplicates: UInt64 = 0
  private var reordered: UInt64 = 0
  private var undecided: UInt64 = 0
  private var delays = DelayDistribution()
  /// Packets that arrived before they left, as the clocks say.
  private var negativeDelays: UInt64 = 0
  private(set) var lastArrivalNs: UInt64 = 0

  /// - Parameter first: The probe that arrived first.
  init(first: Probe) {
    run = first.run
    total = first.total
    lowest = first.number
    highest = first.number
  }

  /// Takes in one probe, the first too.
  ///
  /// - Parameter arrivalNs: CLOCK_REALTIME, as the departure in the probe.
  mutating func receive(_ probe: Probe, arrivalNs: UInt64) {
    lastArrivalNs = arrivalNs
    total = probe.total
    if arrivalNs >= probe.departureNs {
      delays.record(arrivalNs - probe.departureNs, atNs: arrivalNs)
    } else {
      negativeDelays += 1
    }
    let number = probe.number
    if number > highest {
      advance(to: number)
    } else if highest - number >= UInt64(Self.window) {
      undecided += 1
      return
    } else if isSeen(number) {
      duplicates += 1
      return
    } else if unique > 0 {
      reordered += 1
      lowest = min(lowest, number)
    }
    let place = Int(number % UInt64(Self.window))
    seen[place / 64] |= 1 << UInt64(place % 64)
    unique += 1
  }

  private func isSeen(_ number: UInt64) -> Bool {
    let place = Int(number % UInt64(Self.window))
    return seen[place / 64] & (1 << UInt64(place % 64)) != 0
  }

  /// Makes `number` the highest: what lies between has not arrived.
  private mutating func advance(to number: UInt64) {
    let steps = number - highest
    if steps >= UInt64(Self.window) {
      for word in seen.indices { seen[word] = 0 }
    } else {
      for step in 1...steps {
        let place = Int((highest + step) % UInt64(Self.window))
        seen[place / 64] &= ~(1 << UInt64(place % 64))
      }
    }
    highest = number
  }

  public var report: ProbeReport {
    let missing = highest - lowest
    let decided = unique + undecided
    return ProbeReport(
      run: LabNames.hex(run), planned: total > 0 ? total : nil, firstNumber: lowest, lastNumber: highest,
      received: unique, lost: missing >= decided ? missing - (decided - 1) : 0, duplicates: duplicates,
      reordered: reordered, undecided: undecided, beforeFirst: lowest,
      afterLast: total > highest ? total - 1 - highest : 0, negativeDelays: negativeDelays,
      delay: delays.count > 0 ? DelayFigures(delays) : nil)
  }
}

/// What arrived of one run of `send`.
public struct ProbeReport: Hashable, Sendable, Codable {
  /// As in the report of `send`.
  public var run: String
  /// How many the sender was asked to send; nil: no end.
  public var planned: UInt64?
  /// The lowest and the highest number that arrived, counted from 0.
  public var firstNumber: UInt64
  public var lastNumber: UInt64
  /// Different numbers that arrived.
  public var received: UInt64
  /// Numbers between the first and the last that did not arrive.
  public var lost: UInt64
  public var duplicates: UInt64
  /// Packets that arrived after one with a higher number.
  public var reordered: UInt64
  /// Packets so late that they may be duplicates.
  public var undecided: UInt64
  /// Numbers before the first that arrived, and planned ones after the last: lost, or sent before `receive` listened
  /// or after it ended, or not sent.
  public var beforeFirst: UInt64
  public var afterLast: UInt64
  /// Packets that seem to have arrived before they left: the two clocks differ.
  public var negativeDelays: UInt64
  /// From the departure that the packet names to the kernel's receive time stamp: right as far as both machines have
  /// one time. nil: all were negative.
  public var delay: DelayFigures?

  /// Everything that was sent and did not arrive, as far as the numbers tell.
  public var missing: UInt64 { lost &+ beforeFirst &+ afterLast }

  var text: String {
    var line = "  run \(run): \(Figure.grouped(received)) received"
    if let planned { line += " of \(Figure.grouped(planned))" }
    line +=
      ", \(Figure.grouped(lost)) lost, \(Figure.grouped(duplicates)) duplicates, \(Figure.grouped(reordered)) reordered"
    if beforeFirst > 0 { line += ", \(Figure.grouped(beforeFirst)) before the first that arrived" }
    if afterLast > 0 { line += ", \(Figure.grouped(afterLast)) after the last that arrived" }
    if undecided > 0 { line += ", \(Figure.grouped(undecided)) too late to be told from duplicates" }
    if let delay {
      line += "\n    one-way delay  min \(Figure.duration(seconds: delay.minSeconds))  \(delay.text)"
    }
    if negativeDelays > 0 {
      line += "\n    \(Figure.grouped(negativeDelays)) arrived before they left: the two clocks differ"
    }
    return line
  }
}
