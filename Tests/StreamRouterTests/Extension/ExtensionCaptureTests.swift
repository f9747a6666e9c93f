import Foundation
import JitterStats
import Testing
import Topology

@testable import StreamRouter

/// Real captures through shipped extensions: what they must have done follows from the capture's own numbers.
@Suite(.enabled(if: ExtensionWorkbench.obstacle == nil, "\(ExtensionWorkbench.obstacle ?? "")"))
struct ExtensionCaptureTests {
  private static func path(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Fixtures/\(name).pcap").path
  }

  private static func run(
    _ name: String, on objects: [ExtensionObject], filter: String = "",
    with parameters: KeyValuePairs<String, String> = [:]
  ) throws -> ExtensionCaptureReport {
    var settings = ExtensionCaptureTest.Settings(file: path(name))
    settings.filter = filter
    settings.parameters = try parameters.map { ($0.key, try #require(ParameterValue($0.value))) }
    let report = try ExtensionCaptureTest(objects, settings).run()
    #expect(report.firstDisagreements == [] && report.disagreements == 0)
    #expect(report.engines == ["bpf", "native"] || ExtensionWorkbench.kernelObstacle != nil)
    #expect(report.forwarded + report.dropped + report.faults == report.packets)
    return report
  }

  @Test func everySecondPacketGoes() async throws {
    let thin = try await ExtensionWorkbench.shared.shipped("Thin")
    let report = try Self.run("two", on: [thin], with: ["everyNth": "2"])
    #expect(report.transport == .rtp && report.packets == 270 && report.dropped == 135 && report.changed == 0)
    #expect(report.accounts[0].counters.first { $0.name == "nth" }?.value == 135)
    #expect(report.text.contains("dropped   135 (50.0 %)"))
    let one = try Self.run("two", on: [thin], with: ["dropPayloadType": "8"])
    #expect(one.dropped == 120 && one.forwarded == 150)
  }

  @Test func whatIsRewrittenIsCounted() async throws {
    let rewrite = try await ExtensionWorkbench.shared.shipped("Rewrite")
    let report = try Self.run("h264", on: [rewrite], with: ["payloadType": "111"])
    // The announcement is no RTP; RTCP goes on as it is.
    #expect(report.notRTP == 1 && report.dropped == 0 && report.packets == report.forwarded)
    #expect(report.changed == report.packets - 2 && report.destinations.count == 3)
  }

  @Test func chainAndOwnersOfParameters() async throws {
    let thin = try await ExtensionWorkbench.shared.shipped("Thin")
    let rewrite = try await ExtensionWorkbench.shared.shipped("Rewrite")
    let report = try Self.run(
      "two", on: [thin, rewrite], with: ["thin.dropPayloadType": "8", "rewrite.payloadType": "100"])
    #expect(report.dropped == 120 && report.changed == 150)
    #expect(report.accounts.map(\.extension) == ["thin", "rewrite"])
    for wrong in ["nothing", "thin.payloadType", "rewrite.dropPayloadType"] {
      #expect(throws: ExtensionError.self) { try Self.run("two", on: [thin, rewrite], with: [wrong: "1"]) }
    }
    #expect(throws: ExtensionError.self) { try Self.run("two", on: [thin], with: ["dropPayloadType": "1000"]) }
  }

  /// The arrival times of the capture count: 50 packets a second are within a limit of 60, and not of 20.
  @Test func timesAreThoseOfTheCapture() async throws {
    let police = try await ExtensionWorkbench.shared.shipped("Police")
    let filter = "udp[16:4] = 0x11111111"
    let within = try Self.run("two", on: [police], filter: filter, with: ["packetsPerSecond": "60"])
    #expect(within.packets == 150 && within.dropped == 0)
    let above = try Self.run("two", on: [police], filter: filter, with: ["packetsPerSecond": "20"])
    #expect((50...80).contains(above.forwarded), "\(above.forwarded)")
  }

  @Test func nothingToRun() async throws {
    let thin = try await ExtensionWorkbench.shared.shipped("Thin")
    var settings = ExtensionCaptureTest.Settings(file: Self.path("two"))
    settings.filter = "dst port 1"
    #expect(try ExtensionCaptureTest([thin], settings).run().packets == 0)
    settings.file = Self.path("none")
    #expect(throws: CaptureError.self) { try ExtensionCaptureTest([thin], settings) }
  }
}
