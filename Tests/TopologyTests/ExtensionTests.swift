import Foundation
import Testing

@testable import Topology

/// Extensions on their way from the file to the relays.
@Suite struct ExtensionTests {
  @Test func bothFormsAreRead() throws {
    let uses = try uses(
      """
      - police
      - name: thin
        with: {a: 0x60, b: 3, c: 5M, d: -2k, e: true, f: false, g: 1G, h: '7k', i: 0, j: -0}
        at: b
      - {name: police, at: [c, a]}
      - {name: mark, at: all}
      """)
    let settings: [String: ParameterValue] = [
      "a": .unsigned(0x60), "b": .unsigned(3), "c": .unsigned(5_000_000), "d": .signed(-2000), "e": .bool(true),
      "f": .bool(false), "g": .unsigned(1_000_000_000), "h": .unsigned(7000), "i": .unsigned(0),
      "j": .unsigned(0),
    ]
    #expect(
      uses == [
        ExtensionUse(name: "police"), ExtensionUse(name: "thin", settings: settings, at: .nodes(["b"])),
        ExtensionUse(name: "police", at: .nodes(["c", "a"])), ExtensionUse(name: "mark", at: .all),
      ])
  }

  @Test func oneNeedsNoList() throws {
    #expect(try uses("- police") == uses("police"))
    #expect(
      try uses("{name: police, at: a}") == [ExtensionUse(name: "police", at: .nodes(["a"]))])
  }

  @Test func theLargestIntegersAreRead() throws {
    let settings = try uses(
      "{name: x, with: {a: 18446744073709551615, b: -9223372036854775808, c: 0xffffffffffffffff}}"
    )[0].settings
    #expect(settings == ["a": .unsigned(.max), "b": .signed(.min), "c": .unsigned(.max)])
  }

  @Test func aNodeCalledAllIsMeantInAList() throws {
    func choice(_ at: String) throws -> HopChoice {
      try Topology.decode(
        yaml: """
          {version: 1, name: x, nodes: {all: 10.0.0.1, b: 10.0.0.2}, links: [all -- b], streams: {
          s: {protocol: udp, from: all:1, to: b:2, extensions: {name: x, at: \(at)}}}}
          """, file: "f"
      ).streams[0].extensions[0].at
    }
    #expect(try choice("all") == .all)
    #expect(try choice("[all]") == .nodes(["all"]))
  }

  @Test func hopsRunThemInTheOrderOfTheFile() throws {
    let topology = try topology(
      "[{name: x, at: [c, a]}, y, {name: z, at: all, with: {n: 1}}, {name: x, at: a}]")
    let z = RelayExtensionUse(name: "z", settings: ["n": .unsigned(1)])
    let (x, y) = (RelayExtensionUse(name: "x"), RelayExtensionUse(name: "y"))
    #expect(topology.relays().map(\.node) == ["a", "b", "c"])
    #expect(topology.relays().map(\.extensions) == [[x, y, z, x], [z], [x, z]])
    #expect(topology.extensionNames == ["x", "y", "z"])
  }

  @Test func fourFitOneHop() throws {
    #expect(try topology("[x, x, x, x, {name: x, at: b}]").relays()[0].extensions.count == 4)
  }

  @Test func withoutExtensionsNothingIsNamed() throws {
    #expect(try Topology.example("three-hop.yaml").extensionNames == [])
    #expect(try Topology.example("three-hop.yaml").relays().allSatisfy(\.extensions.isEmpty))
  }

  @Test func aTopologyMadeByHandHasNoRelaysWhereAtIsOffTheWay() throws {
    var topology = try topology("x")
    topology.streams[0].extensions[0].at = .nodes(["d"])
    #expect(topology.relays().isEmpty)
  }

  @Test func whatIsInstalledIsAccepted() throws {
    let yaml = yaml("[mark, {name: police, with: {rate: 5M, burst: 1k, bias: -32768, dryRun: false}}]")
    let topology = try Topology.decode(yaml: yaml, file: "f", extensions: .example)
    #expect(
      topology.streams[0].extensions[1].settings == [
        "rate": .unsigned(5_000_000), "burst": .unsigned(1000), "bias": .signed(-32768), "dryRun": .bool(false),
      ])
  }

  @Test func loadChecksAgainstTheCatalogToo() throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "topology-\(UUID()).yaml")
    try Data(yaml("polise").utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let path = file.path(percentEncoded: false)
    #expect(try Topology.load(path: path).extensionNames == ["polise"])
    let error = #expect(throws: TopologyError.self) { try Topology.load(path: path, extensions: .example) }
    #expect(error?.problems.map(\.message) == ["no extension 'polise' is installed"])
  }

  @Test func relaysAreReadAsTheyAreWritten() throws {
    let relays = try topology(
      "{name: x, with: {a: 18446744073709551615, b: -9223372036854775808, c: true, d: 0, e: 1}}"
    ).relays()
    let data = try JSONEncoder().encode(relays)
    #expect(try JSONDecoder().decode([Relay].self, from: data) == relays)
    let text = String(decoding: data, as: UTF8.self)
    for part in [#""a":18446744073709551615"#, #""b":-9223372036854775808"#, #""c":true"#, #""e":1"#] {
      #expect(text.contains(part), "\(text)")
    }
  }

  @Test func relaysFromBeforeExtensionsAreRead() throws {
    let relay = try topology("x").relays()[0]
    var object = try #require(
      JSONSerialization.jsonObject(with: JSONEncoder().encode(relay)) as? [String: Any])
    object["extensions"] = nil
    let data = try JSONSerialization.data(withJSONObject: object)
    var expected = relay
    expected.extensions = []
    #expect(try JSONDecoder().decode(Relay.self, from: data) == expected)
  }

  // MARK: A stream over a -- b -- c

  private func yaml(_ extensions: String) -> String {
    let lines = extensions.split(separator: "\n").map { "      \($0)\n" }.joined()
    return Topology.yaml(
      nodes: "abcd", links: ["a -- b", "b -- c", "c -- d"],
      streams: "  s:\n    protocol: udp\n    from: a:5\n    to: c:5\n    extensions:\n" + lines)
  }

  private func topology(_ extensions: String) throws -> Topology {
    try Topology.decode(yaml: yaml(extensions), file: "f")
  }

  private func uses(_ extensions: String) throws -> [ExtensionUse] {
    try topology(extensions).streams[0].extensions
  }
}

extension ExtensionCatalog {
  /// What a node that has this catalog would find wrong with a topology's extensions.
  func flaws(in topology: Topology) -> [String] {
    topology.streams.flatMap(\.extensions).flatMap { use in
      self[use.name]?.flaws(in: use.settings) ?? ["no \(use.name)"]
    }
  }
}
