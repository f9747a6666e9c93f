import TestSupport
import Testing

@testable import StreamRouter

/// The exact account by the numbers of `send`.
@Suite struct ProbeAccountTests {
  private static func account(_ numbers: [UInt64], total: UInt64 = 0) -> ProbeReport {
    func probe(_ number: UInt64) -> Probe { Probe(run: 7, number: number, total: total, departureNs: 1000) }
    var account = ProbeAccount(first: probe(numbers[0]))
    for number in numbers { account.receive(probe(number), arrivalNs: 3000) }
    return account.report
  }

  @Test("all in order")
  func inOrder() {
    let report = Self.account(Array(0..<200_000), total: 200_000)
    #expect(report.received == 200_000 && report.lost == 0 && report.duplicates == 0 && report.reordered == 0)
    #expect(report.missing == 0 && report.planned == 200_000)
    #expect(report.delay?.minSeconds == 2e-6 && report.delay?.maxSeconds == 2e-6)
  }

  @Test("what is lost, late, doubled, not there at the beginning and at the end")
  func each() {
    let report = Self.account([3, 4, 7, 6, 6, 7, 2, 9], total: 12)
    #expect(report.firstNumber == 2 && report.lastNumber == 9)
    #expect(report.received == 6)
    #expect(report.lost == 2, "5 and 8")
    #expect(report.duplicates == 2, "6 and 7")
    #expect(report.reordered == 2, "6 and 2")
    #expect(report.beforeFirst == 2 && report.afterLast == 2)
    #expect(report.missing == 6)
  }

  @Test("a gap of more than 16 bits of sequence numbers is that many lost packets")
  func largeGap() {
    let report = Self.account([0, 70_000, 69_999, 3_000_000])
    #expect(report.lost == 3_000_001 - 4)
    #expect(report.reordered == 1 && report.duplicates == 0)
  }

  @Test("what comes from behind the window is undecided, and not counted as lost")
  func behindWindow() {
    let late = UInt64(ProbeAccount.window)
    let report = Self.account([0, late + 5, 5, 6])
    #expect(report.undecided == 1, "5 is one too far behind")
    #expect(report.reordered == 1, "6 is just within")
    #expect(report.lost == late + 6 - 4)
  }

  @Test("numbers that nobody sends do no harm")
  func hostile() {
    let report = Self.account([.max, 0, .max, 1, .max - 1, .max / 2], total: .max)
    #expect(report.lastNumber == .max && report.received == 2 && report.duplicates == 1)
    #expect(report.undecided == 3)
    _ = Self.account([0, .max, 0, .max], total: 1)
    _ = report.missing
  }

  /// Against a model that keeps every number.
  @Test("agrees with a model that forgets nothing")
  func model() {
    var random = SeededRandom()
    for _ in 0..<50 {
      var numbers: [UInt64] = []
      for number in UInt64(0)..<5000 where !random.once(in: 20) {
        numbers.append(number)
        if random.once(in: 30) { numbers.append(number) }
      }
      for place in numbers.indices where random.once(in: 10) {
        numbers.swapAt(place, min(numbers.count - 1, place + Int.random(in: 0...40, using: &random)))
      }
      var (seen, duplicates, reordered, highest): (Set<UInt64>, UInt64, UInt64, UInt64) = ([], 0, 0, numbers[0])
      for number in numbers {
        if !seen.insert(number).inserted {
          duplicates += 1
        } else if number < highest {
          reordered += 1
        }
        highest = max(highest, number)
      }
      let report = Self.account(numbers, total: 6000)
      let lowest = seen.min() ?? 0
      #expect(report.received == UInt64(seen.count), "SR_SEED=\(random.seed)")
      #expect(report.duplicates == duplicates && report.reordered == reordered, "SR_SEED=\(random.seed)")
      #expect(report.lost == highest - lowest + 1 - UInt64(seen.count), "SR_SEED=\(random.seed)")
      #expect(report.missing == 6000 - UInt64(seen.count), "SR_SEED=\(random.seed)")
    }
  }

  @Test("conditions as users write them")
  func thresholds() throws {
    let jitter = try #require(Threshold("jitter>5ms"))
    #expect(jitter.limit == 0.005 && jitter.isExceeded(by: 0.006) && !jitter.isExceeded(by: 0.005))
    let loss = try #require(Threshold("loss > 0.1%"))
    #expect(
      loss.isExceeded(by: 2, of: 1000) && !loss.isExceeded(by: 1, of: 1000) && !loss.isExceeded(by: 0, of: 0))
    #expect(try #require(Threshold("loss>0")).isExceeded(by: 1, of: 1e9))
    for text in ["", "loss", "loss>", "loss>x", "jitter>5x", "speed>5", "jitter<5ms", "loss>-1", "jitter>1%"] {
      #expect(Threshold(text) == nil, "\(text)")
    }
    #expect(Threshold("delay>1s", figures: [.jitter, .loss]) == nil)
  }
}
