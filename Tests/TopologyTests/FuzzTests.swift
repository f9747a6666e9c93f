import TestSupport
import Foundation
import Testing

@testable import Topology

/// Whatever a file holds, decoding ends without a trap in either a topology or at least one problem.
@Suite struct FuzzTests {
  /// Another seed, and how many files, for a longer run: `TOPOLOGY_FUZZ_SEED=7 TOPOLOGY_FUZZ_COUNT=100000`.
  static let seed = UInt64(ProcessInfo.processInfo.environment["TOPOLOGY_FUZZ_SEED"] ?? "") ?? 1
  static let count = Int(ProcessInfo.processInfo.environment["TOPOLOGY_FUZZ_COUNT"] ?? "") ?? 1500

  @Test func mutatedFilesNeverTrap() throws {
    var random = SeededRandom(seed: Self.seed)
    var files = try Repository.examples().map { Array($0.yaml.utf8) }
    files.append(Array(try Repository.text(Repository.fixtures.appending(path: "ten-mistakes.yaml")).utf8))
    files.append(
      Array(
        Topology.yaml(
          nodes: "ab", links: ["a -- b"],
          streams: """
              s:
                protocol: udp
                from: a:5004
                to: b:5004
                extensions:
                  - mark
                  - name: police
                    with: {rate: 5M, burst: 0x60, bias: -3, dryRun: false}
                    at: [a, b]
            """
        ).utf8))
    let words = Self.words(files)
    var valid = 0
    for round in 0..<Self.count {
      let mutant = Self.mutate(files.randomElement(using: &random)!, words, &random)
      let yaml = String(decoding: mutant, as: UTF8.self)
      do throws(TopologyError) {
        let topology = try Topology.decode(yaml: yaml, file: "f", extensions: .example)
        valid += 1
        #expect(ExtensionCatalog.example.flaws(in: topology) == [])
        #expect(!topology.nodes.isEmpty && !topology.name.isEmpty)
        #expect(Set(topology.relays().map(\.stream)) == Set(topology.streams.map(\.name)))
        for format in Graph.Format.allCases { #expect(!Graph(topology).render(format).isEmpty) }
        #expect(Plan(from: [], to: topology.relays()).changes.count == topology.relays().count)
      } catch {
        #expect(!error.problems.isEmpty, "seed \(Self.seed), round \(round):\n\(yaml)")
        let lines = yaml.unicodeScalars.count {
          $0.properties.generalCategory == .control || $0.value >= 0x2028
        }
        for problem in error.problems {
          #expect(problem.line >= 1 && problem.column >= 1 && problem.line <= lines + 2, "\(problem)")
          #expect(
            !problem.description.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7f }, "\(problem)")
        }
        let order = error.problems.map { Position(line: $0.line, column: $0.column) }
        #expect(order == order.sorted(), "seed \(Self.seed), round \(round)")
      }
    }
    // Most comments can be broken without harm, so some mutants stay valid; were there none, the other half of
    // this test would not run.
    #expect(valid > 0 && valid < Self.count)
  }

  @Test func aliasesThatMultiplyAreRefusedQuickly() {
    // Nine nines: as a value, and as a mapping key, which Yams hashes while it composes.
    var yaml = "version: 1\nname: x\na0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for level in 1..<30 {
      yaml +=
        "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", "))]\n"
    }
    for file in [yaml, yaml + "? *a29\n: 1\n", yaml + "? [*a29]\n: 1\n"] {
      let start = ContinuousClock.now
      #expect(
        Topology.problems(file) == [
          "f:1:1: error: aliases that repeat collections could make this file too large; write the collections out, or repeat fewer of them"
        ])
      #expect(start.duration(to: .now) < .seconds(5))
    }
  }

  @Test func deepNestingIsRefused() {
    for depth in [40, 900, 5_000, 500_000] {
      for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        let yaml = "x: " + String(repeating: open, count: depth) + String(repeating: close, count: depth)
        #expect(!Topology.problems(yaml).isEmpty, "\(open) \(depth)")
      }
    }
  }

  @Test func largeFilesAreRefused() {
    let yaml = "# " + String(repeating: "x", count: Limits.fileBytes)
    #expect(
      Topology.problems(yaml) == [
        "f:1:1: error: the file is larger than 1048576 bytes; split the topology"
      ])
  }

  @Test func problemsAreReportedUpToALimit() {
    let nodes = (0..<Limits.nodes).map { "  A\($0): 10.0.0.\($0)" }.joined(separator: "\n")
    let problems = Topology.problems("version: 1\nname: x\nnodes:\n" + nodes)
    #expect(problems.count == Limits.problems + 1)
    #expect(
      problems.contains { $0.contains("more than 1000 problems; the others are left out; correct these first") }
    )
  }

  @Test func manyKeysGivenTwiceEnd() {
    let yaml = (0..<200).map { "k\($0 % 100): \($0)" }.joined(separator: "\n")
    let problems = Topology.problems(yaml)
    #expect(problems.count > 10)
    #expect(problems.allSatisfy { $0.contains("stands twice") })
  }

  // MARK: Mutations

  private static func words(_ files: [[UInt8]]) -> [[UInt8]] {
    let spare = [
      "&a ", "*a", "<<: ", "? ", "- ", "---\n", "...\n", "!!binary ", "\u{1}", "\u{85}", "\u{2028}", "\r", "\t",
      "\"\\0", "|\n", "99999999999999999999", "-1", "[", "]", "{", "}", "\u{feff}", "'", "\"",
    ]
    return spare.map { Array($0.utf8) }
      + files.flatMap { $0.split { $0 == 0x20 || $0 == 0x0a }.map(Array.init) }
  }

  private static func mutate(_ file: [UInt8], _ words: [[UInt8]], _ random: inout SeededRandom) -> [UInt8] {
    var bytes = file
    for _ in 0..<Int.random(in: 1...6, using: &random) {
      guard !bytes.isEmpty else { return bytes }
      let at = Int.random(in: 0..<bytes.count, using: &random)
      let end = min(bytes.count, at + Int.random(in: 1...24, using: &random))
      switch Int.random(in: 0..<6, using: &random) {
      case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes.removeSubrange(at..<end)
      case 2: bytes.insert(contentsOf: bytes[at..<end], at: Int.random(in: 0...bytes.count, using: &random))
      case 3: bytes.insert(contentsOf: words.randomElement(using: &random)!, at: at)
      case 4: bytes.replaceSubrange(at..<end, with: words.randomElement(using: &random)!)
      default: bytes.removeSubrange(at...)
      }
    }
    return bytes
  }
}
