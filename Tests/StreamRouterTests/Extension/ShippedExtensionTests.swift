import Foundation
import Testing

@testable import StreamRouter

/// The extensions that we ship: each builds, passes the verifier, and does in both engines what its vectors say.
@Suite(.enabled(if: ExtensionWorkbench.obstacle == nil, "\(ExtensionWorkbench.obstacle ?? "")"))
struct ShippedExtensionTests {
  private static let names: [String] = {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: ExtensionWorkbench.sources.path)) ?? []
    return files.filter { $0.hasSuffix(".swift") }.map { String($0.dropLast(6)) }.sorted()
  }()

  /// What makes datagrams or holds them is tried where that can be: in DejitterTests, and in a guest.
  private static let withVectors = names.filter { !["Dejitter", "Fec"].contains($0) }

  @Test func eightAreShipped() {
    #expect(
      Self.names == ["Dedup", "Dejitter", "DejitterMark", "Fec", "Police", "Rewrite", "Sample", "Thin"])
  }

  @Test(arguments: withVectors) func vectorsHold(_ name: String) async throws {
    let object = try await ExtensionWorkbench.shared.shipped(name)
    #expect(!object.manifest.summary.isEmpty)
    #expect(object.manifest.parameters.allSatisfy { !$0.summary.isEmpty }, "every parameter is explained")
    let test = try ExtensionTest.run(
      [object], vectors: ExtensionWorkbench.sources.appending(path: "\(name).vectors.yaml").path)
    #expect(test.failures.map(\.description) == [])
    #expect(test.packets > 15)
    #expect(test.engines.contains("native"))
  }

  /// Chains of them behave the same in both engines.
  @Test func chainsHold() async throws {
    var objects: [ExtensionObject] = []
    for name in Self.withVectors { objects.append(try await ExtensionWorkbench.shared.shipped(name)) }
    let test = try ExtensionTest.run(
      objects, vectors: ExtensionWorkbench.sources.appending(path: "Chains.vectors.yaml").path)
    #expect(test.failures.map(\.description) == [])
    #expect(test.packets == 40)
    #expect(test.engines == ["bpf", "native"] || ExtensionWorkbench.kernelObstacle != nil)
  }

  /// Far below the limits: four of them stand in one relay.
  @Test(
    .enabled(if: ExtensionWorkbench.kernelObstacle == nil, "\(ExtensionWorkbench.kernelObstacle ?? "")"),
    arguments: names)
  func verifierTakesIt(_ name: String) async throws {
    let check = try ExtensionCheck.run(await ExtensionWorkbench.shared.shipped(name))
    #expect(check.verified < 50_000)
    #expect(check.stackBytes <= 192)
    #expect(Set(check.helpers).isSubset(of: ExtensionObject.helpers.values))
  }
}
