import Foundation
import Testing
import Topology

@testable import StreamRouter

/// What vectors say, and what is said of them where they are wrong.
struct ExtensionVectorTests {
  private static let manifest = ExtensionManifest(
    name: "test", version: "1", abi: 1, summary: "",
    parameters: [.init(name: "rate", type: .uint32, offset: 0, default: .unsigned(1))], counters: ["hit"],
    parameterBytes: 4)

  private static func read(_ yaml: String) throws -> ExtensionVectors {
    try VectorReader.read(text: yaml, file: "v.yaml", for: [manifest])
  }

  @Test func packetsAreMadeOfFields() throws {
    let entry = try Self.read(
      """
      - name: all
        with: {rate: 5k}
        sinks: 3
        rtp: {payloadType: 97}
        packets:
          - at: 20ms
            rtp: {sequence: 0x102, timestamp: 3, ssrc: 4, marker: true, csrc: [5], extension: {profile: 6, data: 07 08 09 0a}, padding: 2}
            payload: aa bb
            filler: 1
            repeat: {count: 2, every: 5ms, sequence: 2, timestamp: 10}
            expect: [{only: [0, 2], rtp: {sequence: 9}, dscp: 46}, drop]
      """
    ).cases[0]
    #expect(entry.chain[0].settings == ["rate": .unsigned(5000)])
    #expect(entry.packets.map(\.label) == ["1.1", "1.2"])
    #expect(entry.packets.map(\.arrivalNs) == [20_000_000, 25_000_000])
    let first: [UInt8] = [
      0xb1, 0xe1, 1, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 6, 0, 1, 7, 8, 9, 10, 0xaa, 0xbb, 0, 0, 2,
    ]
    #expect(entry.packets[0].datagram == first)
    #expect(Array(entry.packets[1].datagram[2..<8]) == [1, 4, 0, 0, 0, 13])
    #expect(
      entry.packets[0].expected
        == VectorOutcome(
          verdict: .forward(0b101), datagram: [0xb1, 0xe1, 0, 9] + first.dropFirst(4), dscp: 46))
    #expect(entry.packets[1].expected == VectorOutcome(verdict: .drop))
  }

  @Test(arguments: [
    ("", "v.yaml: is empty; write a list of cases, each with a name and packets"),
    ("a: 1", "v.yaml:1:1: the file is no list; write a list of cases, each with a name and packets"),
    ("- packets: []", "v.yaml:1:3: a case without a name; give it one"),
    ("- {name: a, packet: []}", "v.yaml:1:13: a case has no packet; known are name,"),
    ("- {name: a, packets: [], with: {rat: 1}}", "v.yaml:1:33: with has no rat; known are rate"),
    ("- {name: a, packets: [], with: {rate: -1}}", "is no value of parameter rate"),
    ("- {name: a, packets: [{at: 5}]}", "v.yaml:1:28: 5 is no time; write a number and its unit"),
    (
      "- {name: a, packets: [{payload: abc}]}", "v.yaml:1:33: is no text of bytes; write two hexadecimal digits"
    ),
    ("- {name: a, packets: [{expect: pass}]}", "pass is not a verdict; write drop or forward or trap"),
    ("- {name: a, packets: [{expect: {only: [1]}}]}", "a sink is 1; write a number from 0 to 0"),
    ("- {name: a, packets: [], counters: {miss: 1}}", "counters has no miss; known are hit"),
    ("- {name: a, packets: [], histogram: 1}", "the extension has no histogram; remove the line"),
    ("- {name: a", "v.yaml: is not YAML"),
    ("- {name: a, packets: [], chain: []}", "v.yaml:1:33: a chain of 0; list 1 to 4 extensions"),
    ("- {name: a, packets: [], chain: [test, test, test, test, test]}", "a chain of 5; list 1 to 4 extensions"),
    (
      "- {name: a, packets: [], chain: [test, tset]}",
      "v.yaml:1:40: extension tset is not among those tested (test);"
    ),
    ("- {name: a, packets: [], chain: [{with: {}}]}", "a use without a name; name the extension"),
    (
      "- {name: a, packets: [], chain: [test], counters: {}}",
      "counters beside a chain; write it behind the name"
    ),
    ("- {name: a, packets: [], chain: [{name: test, with: {rat: 1}}]}", "with has no rat; known are rate"),
  ])
  func mistakesAreNamed(_ yaml: String, _ message: String) {
    let error = #expect(throws: ExtensionError.self) { _ = try Self.read(yaml) }
    #expect("\(String(describing: error!))".contains(message), "\(error!)")
  }

  @Test func chainsNameTheirExtensions() throws {
    var other = Self.manifest
    other.name = "other"
    func read(_ yaml: String) throws -> ExtensionVectors {
      try VectorReader.read(text: yaml, file: "v.yaml", for: [Self.manifest, other])
    }
    let uses = try read(
      "- {name: a, packets: [], chain: [other, {name: test, with: {rate: 7}, counters: {hit: 3}}, other]}"
    ).cases[0].chain
    #expect(uses.map(\.object) == [1, 0, 1])
    #expect(uses.map(\.settings) == [[:], ["rate": .unsigned(7)], [:]])
    #expect(uses.map(\.counters) == [nil, ["hit": 3], nil])
    let error = #expect(throws: ExtensionError.self) { _ = try read("- {name: a, packets: []}") }
    #expect(
      "\(error!)".contains("v.yaml:1:3: a case without a chain, and there are 2 extensions; list what it runs"))
  }

  /// In a chain the account says whose it is; a trap ends it, and what came before is accounted for.
  @Test(.enabled(if: ExtensionWorkbench.obstacle == nil, "\(ExtensionWorkbench.obstacle ?? "")"))
  func chainsTrapWhereTheyStand() async throws {
    let trap = try await ExtensionWorkbench.shared.build(
      "TrapOnZero",
      """
      enum Counter: UInt32, RelayCounter { case seen }
      func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
        context.count(.seen)
        guard let last = packet[packet.length - 1] else { return .drop }
        packet.store(100 / last, at: packet.length - 1)
        return .forward
      }
      """)
    let thin = try await ExtensionWorkbench.shared.shipped("Thin")
    func run(_ seen: Int) throws -> [String] {
      try ExtensionTest.run(
        thin, trap,
        yaml: """
          - name: trap
            chain:
              - {name: thin, with: {dropPayloadType: 97}, counters: {payloadType: 1}}
              - {name: trap-on-zero, counters: {seen: 3}}
              - {name: trap-on-zero, counters: {seen: \(seen)}}
            packets:
              - {payload: 00, expect: trap}
              - {payload: 64}
              - {payload: 65, expect: trap}
              - {payload: 64, rtp: {payloadType: 97}, expect: drop}

          """
      ).failures.map(\.description)
    }
    #expect(try run(2) == [])
    #expect(
      try run(3).contains(
        "case 'trap', at its end, native: expected counter seen of trap-on-zero (3 of 3) 3, came 2"))
  }

  /// A difference is told for each engine, with the field's name.
  @Test(.enabled(if: ExtensionWorkbench.obstacle == nil, "\(ExtensionWorkbench.obstacle ?? "")"))
  func differencesAreTold() async throws {
    let object = try await ExtensionWorkbench.shared.shipped("Rewrite")
    let test = try ExtensionTest.run(
      object,
      yaml: """
        - name: off by one
          with: {sequenceOffset: 2}
          packets:
            - {rtp: {sequence: 1}, expect: {rtp: {sequence: 4}}}
            - {rtp: {sequence: 2}, expect: drop}
          counters: {rtp: 1}

        """)
    for engine in test.engines {
      #expect(
        test.failures.filter { $0.engine == engine }.map(\.description) == [
          "case 'off by one', packet 1 (line 4), \(engine): expected byte 3 (sequence) 04, came 03",
          "case 'off by one', packet 2 (line 5), \(engine): expected drop, came forward to sink 0",
          "case 'off by one', at its end, \(engine): expected counter rtp 1, came 2",
        ])
    }
    #expect(test.failures.count == 3 * test.engines.count)
  }
}

/// The search path of extensions.
struct ExtensionLibraryTests {
  @Test func placesComeInOrder() {
    #expect(
      ExtensionLibrary.places(for: "/etc/t/studio.yaml", environment: ["STREAMROUTER_EXTENSIONS": "/a::/b"])
        == [
          "/etc/t", "/etc/t/extensions", "/a", "/b", "/usr/local/lib/streamrouter/extensions",
          "/usr/lib/streamrouter/extensions",
        ])
    #expect(ExtensionLibrary.places(for: nil, environment: [:]).count == 2)
  }

  @Test(.enabled(if: ExtensionWorkbench.obstacle == nil, "\(ExtensionWorkbench.obstacle ?? "")"))
  func firstPlaceCounts() async throws {
    let object = try await ExtensionWorkbench.shared.shipped("Sample")
    let root = FileManager.default.temporaryDirectory.appending(path: "sr-library-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    let places = ["one", "two"].map { root.appending(path: $0) }
    for place in places {
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    }
    func put(_ bytes: [UInt8], _ place: Int, _ name: String) throws {
      try Data(bytes).write(to: places[place].appending(path: name))
    }
    let library = ExtensionLibrary(places: places.map(\.path) + ["/nowhere"])
    #expect(throws: ExtensionError.self) { try library.object(named: "sample") }
    try put(object.image, 1, "sample.srx")
    #expect(try library.object(named: "sample").content == object.content)
    #expect(library.catalog["sample"] == object.manifest)
    try put(object.image, 1, "other.srx")
    #expect(
      library.flaws.map(\.description).first?.hasSuffix("holds extension sample; rename it to sample.srx")
        == true)
    // A damaged file hides the good one behind it, and is named.
    try put(Array(object.image.dropLast()), 0, "sample.srx")
    #expect(library.flaws.count == 2)
    #expect(library.catalog["sample"] == nil)
    let topology = root.appending(path: "t.yaml")
    try """
    {version: 1, name: x, nodes: {a: 10.0.0.1, b: 10.0.0.2}, links: [a -- b], streams: {
    s: {protocol: udp, from: a:1, to: b:2, extensions: sample}}}

    """.write(to: topology, atomically: true, encoding: .utf8)
    let error = #expect(throws: TopologyError.self) {
      _ = try Topology.load(path: topology.path, extensions: library.catalog)
    }
    #expect(
      error!.problems.map(\.description) == [
        "\(topology.path):2:52: error: extension 'sample' cannot be used: \(places[0].path)/sample.srx was changed or damaged after it was built: its content is not what its hash says; build it anew with 'streamrouter extension build'"
      ])
    #expect(throws: ExtensionError.self) { try library.object(named: "sample") }
  }
}
