import Foundation
import TestSupport
import Testing
import Topology

@testable import StreamRouter

/// Extensions that would do harm: each is refused with a message that its author understands, or contained.
@Suite(.enabled(if: ExtensionWorkbench.obstacle == nil, "\(ExtensionWorkbench.obstacle ?? "")"))
struct HostileExtensionTests {
  // MARK: Refused when they are built

  @Test(arguments: HostileExtension.refusedByBuilder + HostileExtension.mistaken)
  func builderRefuses(_ hostile: HostileExtension) async throws {
    let error = await #expect(throws: ExtensionError.self) {
      _ = try await ExtensionWorkbench.shared.build(hostile.name, hostile.members)
    }
    #expect("\(String(describing: error))".contains(hostile.message))
  }

  // MARK: Refused by the verifier

  @Test(
    .enabled(if: ExtensionWorkbench.kernelObstacle == nil, "\(ExtensionWorkbench.kernelObstacle ?? "")"),
    arguments: HostileExtension.refusedByVerifier)
  func verifierRefuses(_ hostile: HostileExtension) async throws {
    let object = try await ExtensionWorkbench.shared.build(hostile.name, hostile.members)
    let error = #expect(throws: ExtensionError.self) { _ = try ExtensionCheck.run(object) }
    let message = error.map { "\($0)" } ?? ""
    #expect(
      message.contains("the kernel's verifier refuses extension \(object.manifest.name): \(hostile.message)"))
    // 6.1 names no lines of the source in its log, 6.12 does.
    if Self.kernelNamesLines, hostile.name == "NullPointer" {
      #expect(message.contains("(near NullPointer.swift:7)"))
    }
  }

  private static var kernelNamesLines: Bool {
    let version = ProcessInfo.processInfo.operatingSystemVersion
    return (version.majorVersion, version.minorVersion) >= (6, 12)
  }

  // MARK: Contained

  private static let vectors = """
    - name: reads and writes within the state, then beyond it
      protocol: udp
      packets:
        - {payload: 01 0f}
        - {payload: 01 10, expect: trap}
        - {payload: 01 ff, expect: trap}
        - {payload: 02 00}
        - {payload: 02 10, expect: trap}
        - {payload: 00 00}
      counters: {survived: 3}
    - name: divides by a parameter that is 0
      protocol: udp
      packets: [{payload: 03 01, expect: trap}, {payload: 00 00}]
      counters: {survived: 1}
    - name: divides by a parameter that is not
      with: {divisor: 1}
      protocol: udp
      packets: [{payload: 03 01}]
    - name: overflows, up, down and in a conversion
      protocol: udp
      packets: [{payload: 04 38, expect: trap}, {payload: 04 37}, {payload: 05 00, expect: trap}, {payload: 05 01}]
    - name: writes and reads past the packet
      protocol: udp
      packets: [{payload: 06 00 aa bb cc dd ee ff 11 22}, {payload: 06 01}]
      counters: {survived: 2}
    - name: traps
      protocol: udp
      packets: [{payload: 07 00, expect: trap}, {payload: 00 00}]
      counters: {survived: 1}

    """

  /// What traps costs the packet, in the kernel and in native code; what would lie outside the packet is not there.
  @Test func containsTraps() async throws {
    let object = try await ExtensionWorkbench.shared.build("Contained", HostileExtension.contained)
    let test = try ExtensionTest.run(object, yaml: Self.vectors)
    #expect(test.failures.map(\.description) == [])
  }
}
