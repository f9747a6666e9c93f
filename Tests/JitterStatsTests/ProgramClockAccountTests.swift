import JitterStats
import TestSupport
import Testing

/// Program clock references (ISO/IEC 13818-1 section 2.4.3.5) by hand-worked numbers.
@Suite struct ProgramClockAccountTests {
  private static let millisecond: UInt64 = 27_000
  private static let wrap: UInt64 = 300 << 33

  private static func account(
    _ references: [(milliseconds: Double, ticks: UInt64)], discontinuous: Set<Int> = []
  ) -> ProgramClockAccount {
    var account = ProgramClockAccount(
      pid: 256, ticks: references[0].ticks, arrivalNs: UInt64(references[0].milliseconds * 1e6),
      isDiscontinuous: false)
    for (place, reference) in references.enumerated().dropFirst() {
      account.receive(
        ticks: reference.ticks, arrivalNs: UInt64(reference.milliseconds * 1e6),
        isDiscontinuous: discontinuous.contains(place))
    }
    return account
  }

  @Test("33 bits of 90 kHz and 9 of 27 MHz, as they stand in the packet") func field() {
    for ticks in [0, 1, 299, 300, 27_000_000, (1 << 33 - 1) * 300 + 299, 0x1_2345_6789 * 300 + 257] as [UInt64]
    {
      let bytes = TransportStreamBytes.packet(pid: 7, counter: 3, clockTicks: ticks)
      let packet = TransportStreamPacket(bytes.span.bytes, at: 0)
      #expect(packet?.clockTicks == ticks && packet?.pid == 7 && packet?.counter == 3)
    }
  }

  @Test("over the wrap after 26.5 hours the clock goes on") func wraps() {
    let account = Self.account([
      (0, Self.wrap - 30 * Self.millisecond), (20, Self.wrap - 10 * Self.millisecond),
      (40, 10 * Self.millisecond),
      (60, 30 * Self.millisecond),
    ])
    #expect(account.discontinuityErrors == 0 && account.restarts == 0 && account.repetitionErrors == 0)
    #expect(account.largestInterval?.valueNs == 20_000_000 && account.overallJitter?.valueNs ?? 1 < 10)
    #expect(account.stepJitter.largest?.valueNs == 0)
    // One that was overtaken steps 20 ms back over the wrap, 1 ms after the other: in the same time base.
    let disordered = Self.account([
      (0, Self.wrap - 30 * Self.millisecond), (40, 10 * Self.millisecond),
      (41, Self.wrap - 10 * Self.millisecond),
      (60, 30 * Self.millisecond),
    ])
    #expect(disordered.discontinuityErrors == 1 && disordered.restarts == 0)
    #expect(disordered.stepJitter.largest?.valueNs == 21_000_000)
  }

  @Test("40 ms may lie between references, 100 ms must be announced (TR 101 290 2.3)") func intervals() {
    let steps = Self.account([0, 40, 81, 181, 282].map { (Double($0), UInt64($0) * Self.millisecond) })
    #expect(steps.repetitionErrors == 3 && steps.discontinuityErrors == 1)
    #expect(steps.restarts == 0, "arrivals step as well: packets were lost, the time base is the same")
    #expect(steps.largestInterval?.valueNs == 101_000_000 && steps.largestInterval?.atNs == 282_000_000)
    // A file that is played again: 5 s back, unannounced and announced.
    let ticks = [5000, 5020, 0, 20, 40].map { UInt64($0) * Self.millisecond }
    let arrivals: [Double] = [0, 20, 40, 60, 80]
    let again = Self.account(Array(zip(arrivals, ticks)))
    #expect(again.discontinuityErrors == 1 && again.restarts == 1 && again.announcedDiscontinuities == 0)
    let announced = Self.account(Array(zip(arrivals, ticks)), discontinuous: [2])
    #expect(
      announced.discontinuityErrors == 0 && announced.restarts == 1 && announced.announcedDiscontinuities == 1)
    #expect(again.overallJitter?.valueNs ?? .max < 10 && announced.overallJitter?.valueNs ?? .max < 10)
  }

  /// References s at 0, 20, 40, 60, 80 ms arrive at t = 0, 20, 43, 60, 80 ms, late by d = 0, 0, 3, 0, 0. Least squares:
  /// t - 40.6 is -40.6, -20.6, 2.4, 19.4, 39.4, its squares are 4,007.2 together, its products with s - 40 are 4,000. So
  /// s goes on by 4,000/4,007.2 of t, and d by 7.2/4,007.2 = 0.00179677. What remains, d - 0.00179677 t, is 0, -0.03594,
  /// 2.92274, -0.10781, -0.14374: from the lowest to the highest 3.06648 ms.
  @Test("what remains of the arrivals once offset and drift are taken away") func overall() {
    let account = Self.account(
      [(0, 0), (20, 20), (43, 40), (60, 60), (80, 80)].map { ($0, $1 * Self.millisecond) })
    #expect((3_066_479...3_066_481).contains(account.overallJitter?.valueNs ?? 0))
    #expect(account.overallJitter?.atNs == 43_000_000)
    // From 20 to 43 ms instead of 20, and back.
    #expect(account.stepJitter.largest?.valueNs == 3_000_000 && account.stepJitter.count == 4)
  }

  @Test("an hour of a clock that drifts by 30 ppm, against all its points") func drift() throws {
    var random = SeededRandom()
    let seed = random.seed
    var arrivals: [Double] = []
    var values: [Double] = []
    for place in 0..<90_000 {
      let value = Double(place) * 0.04
      let late = pow4(Double.random(in: 0..<1, using: &random)) * 0.01
      values.append(value)
      arrivals.append((value * (1 + 30e-6) + late) * 1e9)
    }
    let account = Self.account(zip(arrivals, values).map { ($0 / 1e6, UInt64(($1 * 27e6).rounded())) })
    let exact = zip(arrivals, values).map { (arrival: $0.rounded(.down) / 1e9, value: $1) }
    let count = Double(exact.count)
    let origin = exact[0].arrival
    let meanX = exact.reduce(0) { $0 + $1.arrival - origin } / count
    let meanY = exact.reduce(0) { $0 + $1.value } / count
    let squares = exact.reduce(0) { $0 + ($1.arrival - origin - meanX) * ($1.arrival - origin - meanX) }
    let products = exact.reduce(0) { $0 + ($1.arrival - origin - meanX) * ($1.value - meanY) }
    let slope = products / squares
    let rests = exact.map { ($0.arrival - origin) * slope - $0.value }
    let jitter = try #require(rests.max()) - (try #require(rests.min()))
    #expect(abs(Double(account.overallJitter?.valueNs ?? 0) / 1e9 - jitter) < 2e-8, "seed \(seed)")
    let drift = try #require(account.driftPpm)
    #expect(drift > -31 && drift < -29, "seed \(seed): \(drift)")
  }

  private func pow4(_ value: Double) -> Double { value * value * value * value }
}
