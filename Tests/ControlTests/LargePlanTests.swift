import Foundation
import Testing

@testable import StreamRouter

/// Answers that are larger than what gRPC takes by itself, 4 MiB.
@Suite(.serialized) struct LargePlanTests {
  @Test("the plan of 160 streams over a chain of 160 nodes is told whole")
  func plan() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let count = 160
    let name = { (n: Int) in "a-node-with-a-long-name-\(n)" }
    var lines = ["version: 1", "name: large", "nodes:"]
    lines += (0..<count).map { "  \(name($0)): {addresses: [10.0.\($0).1]}" }
    lines.append("links:")
    lines += (1..<count).map { "  - \(name($0 - 1)) -- \(name($0))" }
    lines.append("streams:")
    lines += (0..<count).map {
      "  s\($0): {protocol: udp, from: \"\(name(0)):\(20_000 + $0)\", to: \"\(name(count - 1)):\(20_000 + $0)\"}"
    }
    let file = here.folder.appending("large.yaml").string
    try lines.joined(separator: "\n").appending("\n").write(toFile: file, atomically: true, encoding: .utf8)
    try await here.run {
      let plan = try await here.operators.plan(.file(.init(path: file)))
      let changes = plan.nodes.flatMap(\.changes)
      #expect(changes.count == count * count)
      #expect(changes.reduce(0) { $0 + $1.text.utf8.count } > 4 << 20)
    }
  }
}
