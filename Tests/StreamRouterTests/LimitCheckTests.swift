import Foundation
import Synchronization
import Testing
import Topology

@testable import StreamRouter

/// `streamrouter check`, on readings made by hand: cam1 loses 12 of 500 packets on the way to the edge.
struct LimitCheckTests {
  /// Seconds 44 and on of ``MonitorSample``, one for each reading; the loss falls into the first interval.
  private final class Source: SnapshotSource {
    private let second = Mutex(43)
    private let limits: StreamLimits?
    private let silent: Set<String>

    init(limits: StreamLimits? = nil, silent: Set<String> = []) {
      self.limits = limits
      self.silent = silent
    }

    func read() async -> [NodeReading] {
      let now = second.withLock {
        $0 += 1
        return $0
      }
      return MonitorSample.readings(seconds: now).filter { $0.node != "spare" }.map { reading in
        if silent.contains(reading.node) {
          return NodeReading(node: reading.node, snapshot: nil, problem: "gone")
        }
        var reading = reading
        for index in reading.snapshot?.relays.indices ?? 0..<0 {
          let sinks = ["cam1": ["camera": "edge", "edge": "studio-main"], "telemetry": ["camera": "edge"]]
          let relay = reading.snapshot!.relays[index]
          reading.snapshot?.relays[index].sinks[0].name = sinks[relay.stream]?[reading.node] ?? "player"
          if relay.stream == "cam1" { reading.snapshot?.relays[index].limits = limits }
        }
        return reading
      }
    }
  }

  private static let loss = StreamLimits([StreamLimit(.loss, atMost: 0.01)])

  private func run(
    _ source: Source, limits: [String: StreamLimits]?, stream: String? = nil, intervals: Double = 3
  ) async throws -> (end: LimitCheck.End, told: [LimitBreach]) {
    let told = Mutex<[LimitBreach]>([])
    let check = LimitCheck(
      source: source, limits: limits, stream: stream, interval: .milliseconds(10), seconds: intervals * 0.01)
    let end = try await check.run(until: StopFlag()) { breach in told.withLock { $0.append(breach) } }
    return (end, told.withLock { $0 })
  }

  private func report(_ end: LimitCheck.End) throws -> LimitCheckReport {
    guard case .done(let report) = end else { throw TestError.noReport("\(end)") }
    return report
  }

  private enum TestError: Error { case noReport(String) }

  @Test func aBrokenLimitIsToldOnceAndReported() async throws {
    let (end, told) = try await run(Source(), limits: ["cam1": Self.loss])
    let report = try report(end)
    #expect(told.map(\.node) == ["edge"])
    #expect(report.isBroken && report.gaps == [] && report.intervals == 3)
    let stream = try #require(report.streams.first)
    #expect(stream.packets == 1500 && stream.broken.count == 1)
    #expect(stream.broken[0].intervals == 1 && stream.broken[0].worst.measured == 12.0 / 500)
    #expect(report.text.contains("cam1: BROKEN; 1 500 packets, loss at most 1.00%"))
    #expect(
      report.text.contains(
        "hop 1, node edge: loss is 2.40%, expected at most 1.00%: lost on link camera -> edge"))
    #expect(report.text.contains("in 1 of 3 intervals"))
    let json = try JSONSerialization.jsonObject(with: try JSONEncoder().encode(report)) as? [String: Any]
    #expect(json?["isBroken"] as? Bool == true)
  }

  @Test func anotherLimitHolds() async throws {
    let (end, told) = try await run(
      Source(), limits: ["cam1": StreamLimits([StreamLimit(.loss, atMost: 0.05)])])
    let report = try report(end)
    #expect(told == [] && !report.isBroken && report.gaps == [] && report.notes == [])
    #expect(report.text.contains("cam1: ok"))
  }

  @Test func withoutAFileTheNodesSayWhatIsExpected() async throws {
    #expect(try report(try await run(Source(limits: Self.loss), limits: nil).end).isBroken)
    guard case .noLimits = try await run(Source(), limits: nil).end else {
      Issue.record("no stream has limits")
      return
    }
  }

  @Test func aStreamWithoutLimitsIsNotJudged() async throws {
    for limits in [["cam1": Self.loss], nil] {
      guard case .noLimits = try await run(Source(limits: Self.loss), limits: limits, stream: "telemetry").end
      else {
        Issue.record("nothing is expected of it")
        return
      }
    }
  }

  /// Nothing broken is not the same as everything well.
  @Test func whatCouldNotBeJudgedIsSaid() async throws {
    let silent = try report(try await run(Source(silent: ["edge"]), limits: ["cam1": Self.loss]).end)
    #expect(!silent.isBroken && silent.gaps.count == 1 && silent.gaps[0].contains("node edge did not answer"))
    let absent = try report(try await run(Source(), limits: ["other": Self.loss]).end)
    #expect(absent.gaps.count == 1 && absent.gaps[0].contains("stream other was not judged"))
    guard
      case .noNodeAnswers(let readings) = try await run(
        Source(silent: ["camera", "edge", "studio-main"]), limits: ["cam1": Self.loss]
      ).end
    else {
      Issue.record("no node answers")
      return
    }
    #expect(readings.map(\.problem) == ["gone", "gone", "gone"])
  }

  @Test func anInterruptLeavesTheReportSoFar() async throws {
    let stop = StopFlag()
    let check = LimitCheck(
      source: Source(), limits: ["cam1": Self.loss], interval: .milliseconds(10), seconds: 3600)
    let report = try report(try await check.run(until: stop) { _ in stop.set() })
    #expect(report.isBroken && report.intervals == 1)
    stop.set()
    let none = try self.report(try await check.run(until: stop) { _ in })
    #expect(none.intervals == 0 && none.gaps.count == 1)
  }
}
