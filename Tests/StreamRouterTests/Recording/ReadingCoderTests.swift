import Foundation
import TestSupport
import Testing

@testable import StreamRouter

/// What is recorded is what is played, to the bit, and damaged bytes are told.
@Suite struct ReadingCoderTests {
  @Test func numbersOfEverySizeComeBack() throws {
    let numbers: [UInt64] = [0, 1, 127, 128, 16_383, 16_384, 1 << 32, 1 << 63, .max - 1, .max]
    for former in numbers {
      var writer = ByteWriter()
      for number in numbers {
        writer.write(number)
        writer.write(number, from: former)
      }
      var reader = ByteReader(writer.bytes)
      for number in numbers {
        #expect(try reader.number() == number)
        #expect(try reader.number(from: former) == number)
      }
      #expect(reader.isAtEnd)
    }
  }

  @Test func decimalsComeBackToTheBit() throws {
    let decimals: [Double] = [
      0, -0.0, 1, -1, 0.01, 123_456.78, 1e-9, 7919 / 16e9, 1.0 / 3, .pi, 1e300, -.infinity, .infinity, .nan,
      .leastNonzeroMagnitude, 0x1p53, 90_071_992_547_409.92,
    ]
    for former in decimals {
      var writer = ByteWriter()
      for decimal in decimals { writer.write(decimal, from: former) }
      var reader = ByteReader(writer.bytes)
      for decimal in decimals { #expect(try reader.decimal(from: former).bitPattern == decimal.bitPattern) }
      #expect(reader.isAtEnd)
    }
  }

  @Test func ticksAndNanosecondsAreShort() {
    var writer = ByteWriter()
    writer.write(86_400.25, from: 86_400.17)
    writer.write(7_919.0 / 16e9, from: 7_900.0 / 16e9)
    #expect(writer.bytes.count == 4)
  }

  /// Readings through the coder and back.
  private func roundTrip(_ readings: [[NodeReading]], fullEvery: Int) throws -> [[NodeReading]] {
    var coder = ReadingCoder()
    var decoder = ReadingDecoder()
    var shapes: [Int64: String] = [:]
    return try readings.enumerated().map { index, readings in
      let isFull = index % fullEvery == 0
      let coded = try coder.encode(readings, isFull: isFull)
      for shape in coded.shapes { shapes[shape.id] = shape.json }
      return try decoder.decode(coded.bytes, isFull: isFull) { shapes[$0] }
    }
  }

  @Test(arguments: [1, 3, 1000]) func allOfASnapshotComesBack(fullEvery: Int) throws {
    let readings = (0..<10).map { RecordingSample.full(seconds: $0) }
    #expect(try roundTrip(readings, fullEvery: fullEvery) == readings)
  }

  /// What peers report changes every few seconds: only its figures are recorded anew.
  @Test func peersFiguresNeedNoNewShapes() throws {
    let first = RecordingSample.full(seconds: 0)
    let reports = try #require(first[0].snapshot?.relays[0].peers?.reports)
    #expect(reports.contains { $0.voice != nil } && reports.contains { $0.statistics?.jitter != nil })
    var coder = ReadingCoder()
    #expect(try coder.encode(first, isFull: true).shapes.count == 6)
    for seconds in 1...3 {
      var later = first
      later[0].snapshot?.relays[0].peers = RecordingSample.full(seconds: seconds)[0].snapshot?.relays[0].peers
      #expect(later != first)
      #expect(try coder.encode(later, isFull: false).shapes.isEmpty)
    }
  }

  /// Counters that begin anew, relays that come, go and change places, nodes that fall silent.
  @Test func changesOfAllKindsComeBack() throws {
    var readings = (40..<50).map { MonitorSample.readings(seconds: $0) }
    readings[2][0].snapshot?.relays.swapAt(0, 1)
    readings[3][1].snapshot?.relays = []
    readings[4][0] = MonitorSample.readings(seconds: 1)[0]
    readings[5][2].staleSeconds = 3.25
    readings[5][2].problem = "no answer"
    readings[6].reverse()
    readings[7] = []
    readings[8][3] = NodeReading(
      node: "spare", snapshot: MonitorSample.node("spare", seconds: 3, relays: []).snapshot)
    readings[9][0].snapshot?.relays[0].counters["new_counter"] = 7
    readings[9][0].snapshot?.relays[1].engineReason = "another"
    #expect(try roundTrip(readings, fullEvery: 60) == readings)
  }

  /// Most of it changes little: 200 bytes a relay and reading would be 4 MB an hour for six relays.
  @Test func aRelayTakesFewBytes() throws {
    var coder = ReadingCoder()
    _ = try coder.encode(RecordingSample.busy(nodes: 3, relays: 2, second: 10), isFull: true)
    let later = try coder.encode(RecordingSample.busy(nodes: 3, relays: 2, second: 11), isFull: false)
    #expect(later.shapes.isEmpty)
    #expect(later.bytes.count / 6 < 200, "\(later.bytes.count / 6) bytes a relay")
  }

  /// Bytes that were changed, cut or made up: an error or other readings, never a trap.
  @Test func damagedBytesNeverTrap() throws {
    var coder = ReadingCoder()
    let coded = try coder.encode(RecordingSample.full(seconds: 5), isFull: true)
    let shapes = Dictionary(uniqueKeysWithValues: coded.shapes.map { ($0.id, $0.json) })
    var random = SeededRandom(seed: 4711)
    var board = MonitorBoard()
    var builder = PeriodBuilder(intervals: 3000)
    for round in 0..<3000 {
      var bytes = coded.bytes
      switch round % 3 {
      case 0: bytes = Array(bytes.prefix(Int.random(in: 0..<bytes.count, using: &random)))
      case 1:
        bytes = (0..<Int.random(in: 0..<64, using: &random)).map { _ in .random(in: 0...255, using: &random) }
      default:
        for _ in 0..<Int.random(in: 1...8, using: &random) {
          bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
        }
      }
      var decoder = ReadingDecoder()
      if let readings = try? decoder.decode(bytes, isFull: true, shape: { shapes[$0] }) {
        // Whatever passed for a reading can be reckoned with and shown.
        board.take(readings, timeNs: MonitorSample.time(round % 100))
        builder.take(board, beginsAnew: round % 7 == 0)
        _ = CSVReport.body(board, order: MonitorOrder())
        _ = try MonitorDocument(board, order: MonitorOrder()).json(pretty: false)
      }
    }
    _ = builder.result().html()
    _ = builder.result().text()
  }

  @Test func largeSumsAreBounded() throws {
    var board = MonitorBoard()
    var builder = PeriodBuilder(intervals: 1000)
    var readings = RecordingSample.full(seconds: 1)
    for round in 0..<1000 {
      // Each reading is a restart of all that the greatest counters hold.
      let value = round % 2 == 0 ? Plausible.mostCounted : 0
      for name in readings[0].snapshot!.relays[0].counters.keys {
        readings[0].snapshot!.relays[0].counters[name] = value
      }
      let buckets = ResidenceHistogram.bucketCount
      readings[0].snapshot!.relays[0].residence.counts = Array(repeating: value, count: buckets)
      readings[0].snapshot!.timeNs += 1
      board.take(readings, timeNs: UInt64(1000 - round))
      builder.take(board, beginsAnew: false)
    }
    _ = builder.result().html()
    _ = try builder.result().json()
  }

  @Test func shapesThatAreNoneAreDamage() throws {
    var coder = ReadingCoder()
    let coded = try coder.encode(RecordingSample.full(seconds: 5), isFull: true)
    for text in ["", "{}", "[]", "{\"part\":{},\"names\":[]}", String(repeating: "[", count: 100_000)] {
      var decoder = ReadingDecoder()
      #expect(throws: ByteReader.Damage.self) { try decoder.decode(coded.bytes, isFull: true) { _ in text } }
    }
    var decoder = ReadingDecoder()
    #expect(throws: ByteReader.Damage.self) { try decoder.decode(coded.bytes, isFull: true) { _ in nil } }
  }
}
