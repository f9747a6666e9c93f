import CStreamRouter
import Testing

@testable import Topology

/// Topology imports no C, so its limits stand twice; here they are held together.
struct LimitsTests {
  @Test func topologyAndDatapathAgree() {
    #expect(Limits.sinksPerRelay == Int(SR_MAX_SINKS.rawValue))
    #expect(Limits.sourcesPerRelay == Int(SR_MAX_SOURCES.rawValue))
    #expect(Limits.streamNameLength == Int(SR_NAME_BYTES.rawValue) - 1)
  }
}
