import Foundation
import Testing

@testable import Topology

/// topologies/schema.json says what the decoder reads, no more and no less.
@Suite struct SchemaTests {
  private let schema: JSONSchema

  init() throws {
    schema = try JSONSchema(Repository.text(Repository.topologies.appending(path: "schema.json")))
  }

  @Test func formsHaveTheSameKeys() {
    let forms = [
      (schema.root, Grammar.topology), (schema.definition("node"), Grammar.node),
      (schema.definition("scheduling"), Grammar.scheduling), (schema.definition("link"), Grammar.link),
      (schema.definition("stream"), Grammar.stream), (schema.definition("extension"), Grammar.extension),
      (schema.definition("expectation"), Grammar.expectation), (schema.definition("probe"), Grammar.probe),
    ]
    for (object, form) in forms {
      #expect(object["type"] as? String == "object", "\(form.name)")
      #expect(Set(properties(object).keys) == Set(form.keys), "\(form.name)")
      #expect(object["required"] as? [String] == form.required, "\(form.name)")
      #expect(object["additionalProperties"] as? Bool == false, "\(form.name)")
    }
    // Every definition that lists its properties is one of the forms above.
    let definitions = schema.root["definitions"] as? [String: [String: Any]] ?? [:]
    #expect(
      Set(definitions.filter { $0.value["properties"] != nil }.keys) == [
        "node", "scheduling", "link", "stream", "extension", "expectation", "probe",
      ])
  }

  @Test func everyPropertyAndDefinitionIsDescribed() {
    let definitions = schema.root["definitions"] as? [String: [String: Any]] ?? [:]
    #expect(!definitions.isEmpty)
    for (name, object) in definitions.merging(["": schema.root], uniquingKeysWith: { a, _ in a }) {
      #expect(object["description"] is String, "\(name)")
      for (key, property) in properties(object) {
        #expect((property as? [String: Any])?["description"] is String, "\(name)/\(key)")
      }
    }
  }

  @Test func wordsAreTheSame() {
    let (node, stream) = (properties(schema.definition("node")), properties(schema.definition("stream")))
    let scheduling = properties(schema.definition("scheduling"))
    #expect(words(node["engine"]) == Grammar.engines)
    #expect(words(scheduling["policy"]) == Grammar.policies)
    #expect(words(alternatives(node["scheduling"]).first) == Grammar.policies)
    #expect(words(stream["protocol"]) == Grammar.protocols)
    #expect(words(stream["mode"]) == Grammar.modes)
    #expect(words(stream["family"]) == Grammar.families)
    #expect(words(alternatives(stream["dscp"]).last) == Grammar.dscp.map(\.key))
  }

  @Test func limitsAreTheSame() {
    let (node, stream) = (properties(schema.definition("node")), properties(schema.definition("stream")))
    let (link, top) = (properties(schema.definition("link")), properties(schema.root))
    #expect((top["version"] as? [String: Any])?["const"] as? Int == Topology.version)
    #expect(size(top["nodes"], "Properties") == 1...Limits.nodes)
    #expect(size(top["links"], "Items") == 1...Limits.links)
    #expect(size(top["streams"], "Properties") == 1...Limits.streams)
    #expect(size(node["addresses"], "Items") == 1...Limits.addressesPerNode)
    #expect(size(node["labels"], "Properties") == 1...Limits.labelsPerNode)
    #expect(range(properties(schema.definition("scheduling"))["priority"]) == Limits.priority)
    #expect(range(link["mtu"]) == Limits.mtu)
    #expect(schema.definition("probeInterval")["pattern"] as? String == LinkProbing.pattern)
    #expect(range(stream["clockRate"]) == Limits.clockRate)
    #expect(range(alternatives(stream["dscp"]).first) == 0...63)
    let names: [(Any?, Int)] = [
      (top["name"], Limits.nameLength), (schema.definition("nodeName"), Limits.nameLength),
      ((top["streams"] as? [String: Any])?["propertyNames"], Limits.streamNameLength),
      (schema.definition("extensionName"), Limits.nameLength),
    ]
    for (name, limit) in names {
      #expect((name as? [String: Any])?["pattern"] as? String == Grammar.namePattern)
      #expect(size(name, "Length") == 1...limit)
    }
  }

  @Test func extensionsHaveTheSameLimitsAndForms() {
    let uses = properties(schema.definition("stream"))["extensions"]
    #expect(size(alternatives(uses).last, "Items") == 1...Limits.nodes * Limits.extensionsPerRelay)
    let fields = properties(schema.definition("extension"))
    #expect(size(fields["with"], "Properties") == 1...Limits.parametersPerExtension)
    #expect(size(alternatives(fields["at"]).last, "Items") == 1...Limits.nodes)
    let name = (fields["with"] as? [String: Any])?["propertyNames"] as? [String: Any]
    #expect(name?["pattern"] as? String == Grammar.parameterNamePattern)
    #expect(size(name, "Length") == 1...Limits.parameterNameLength)
    let text = alternatives(schema.definition("parameterValue")).last as? [String: Any]
    #expect(text?["pattern"] as? String == Grammar.numberTextPattern)
  }

  @Test(arguments: [
    "1k", "-5M", "0G", "0x60", "0xfF", "", "k", "-k", "0x", "0xg", "5m", "5 k", "5kk", "+5k", "-0x1", "1_0k",
    "1.5k",
  ])
  func thePatternOfNumbersMeansWhatTheDecoderReads(_ text: String) {
    let matches = text.range(of: Grammar.numberTextPattern, options: .regularExpression) != nil
    let yaml = Topology.yaml(
      nodes: "a", links: [],
      streams: "  s: {protocol: udp, from: a:1, to: a:2, extensions: {name: x, with: {p: '\(text)'}}}")
    #expect(Topology.problems(yaml).isEmpty == matches)
  }

  @Test func limitsHaveTheSamePatterns() {
    let fields = properties(schema.definition("expectation"))
    #expect(schema.definition("duration")["pattern"] as? String == StreamLimit.timePattern)
    #expect((fields["rate"] as? [String: Any])?["pattern"] as? String == StreamLimit.ratePattern)
    let loss = alternatives(fields["loss"])
    #expect((loss.last as? [String: Any])?["pattern"] as? String == StreamLimit.lossPattern)
    #expect(range(loss.first) == 0...0)
  }

  @Test(arguments: [
    "1ms", "1.5us", "0ns", "1", "1m", ".5s", "1.s", "1 s", "-1s", "0%", "1.5%", "%", "-1%", "1..", "..1", "..",
    "1..2",
    "1k..2.5Mbit", "1kb..", "1...2", "..2bit", "1M", "",
  ])
  func thePatternsOfLimitsMeanWhatTheDecoderReads(_ text: String) {
    let patterns: [(StreamLimit, String)] = [
      (StreamLimit(.jitter), StreamLimit.timePattern), (StreamLimit(.loss), StreamLimit.lossPattern),
      (StreamLimit(.rate), StreamLimit.ratePattern),
    ]
    for (limit, pattern) in patterns {
      let matches = text.range(of: pattern, options: .regularExpression) != nil
      #expect((limit.bounded(by: text, plain: false) != nil) == matches, "\(limit.name)")
    }
  }

  @Test(arguments: ["a", "A", "aB_9", "9a", "_a", "", "a-b", "é", "a b"])
  func thePatternOfParametersMeansWhatTheDecoderChecks(_ name: String) {
    let matches = name.range(of: Grammar.parameterNamePattern, options: .regularExpression) != nil
    #expect(Grammar.isParameterName(name) == matches)
  }

  @Test func theNamePatternMeansWhatTheDecoderChecks() {
    for name in ["a", "a-b", "0", "-a", "a-", "", "A", "a_b", "é", "a\n", "a b", "a--b"] {
      let matches =
        name.range(of: Grammar.namePattern, options: .regularExpression) == name.startIndex..<name.endIndex
      #expect(Grammar.isName(name, limit: 32) == (matches && !name.isEmpty), "\(name)")
    }
  }

  @Test func examplesFitTheSchema() throws {
    let examples = try Repository.examples()
    #expect(examples.count >= 4)
    for (name, yaml) in examples {
      var reader = YAMLReader(yaml)
      let read = reader.read()
      let value = try #require(read)
      #expect(schema.errors(value) == [], "\(name)")
    }
  }

  /// Where form alone is wrong, the schema must refuse what the decoder refuses.
  @Test(arguments: [
    "nodes: {a: {adress: 10.0.0.1}}", "nodes: {a: {address: 10.0.0.1, addresses: [10.0.0.2]}}",
    "nodes: {a: {}}",
    "nodes: {}", "nodes: {A: 10.0.0.1}", "nodes: {a: x}", "nodes: {a: {address: 10.0.0.1, engine: kernel}}",
    "nodes: {a: {address: 10.0.0.1, scheduling: {priority: 3}}}",
    "nodes: {a: {address: 10.0.0.1, scheduling: {policy: rr, priority: 0}}}",
    "nodes: {a: {address: 10.0.0.1, labels: [a]}}", "nodes: {a: 10.0.0.1}\nlinks: []",
    "nodes: {a: 10.0.0.1, b: 10.0.0.2}\nlinks: [a-b]",
    "nodes: {a: 10.0.0.1, b: 10.0.0.2}\nlinks: [{between: [a]}]",
    "nodes: {a: 10.0.0.1, b: 10.0.0.2}\nlinks: [{between: [a, b], mtu: 70000}]",
    "nodes: {a: 10.0.0.1}\nprobe: 5", "nodes: {a: 10.0.0.1}\nprobe: {port: 70000}",
    "nodes: {a: 10.0.0.1}\nprobe: {every: 1s}",
    "nodes: {a: 10.0.0.1, b: 10.0.0.2}\nlinks: [{between: [a, b], probe: often}]",
    "nodes: {a: 10.0.0.1}\nstreams: {s: {protocol: quic, from: a:1, to: a:2}}",
    "nodes: {a: 10.0.0.1}\nstreams: {s: {protocol: tcp, from: a:1, to: a:2, mode: proxy}}",
    "nodes: {a: 10.0.0.1}\nstreams: {s: {protocol: udp, from: a, to: a:2}}",
    "nodes: {a: 10.0.0.1}\nstreams: {s: {protocol: udp, from: a:1, to: []}}",
    "nodes: {a: 10.0.0.1}\nstreams: {s: {protocol: udp, from: a:1, to: a:2, dscp: 64}}",
    "nodes: {a: 10.0.0.1}\nstreams: {s: {protocol: udp, from: a:1, to: a:2, sources: 'camera:3'}}",
    use("[]"), use("Police"), use("{with: {a: 1}}"), use("{name: p, with: {}}"), use("{name: p, with: {a: x}}"),
    use("{name: p, with: {a: [1]}}"), use("{name: p, with: {a: 'true'}}"), use("{name: p, with: {a-b: 1}}"),
    use("{name: p, at: []}"), use("{name: p, when: 1}"), use("[p, [p]]"),
    expect("{}"), expect("5ms"), expect("{jitter: 5}"), expect("{jitter: 5m}"), expect("{loss: 1}"),
    expect("{loss: '0'}"), expect("{rate: 5M}"), expect("{jitter-p99: 1ms}"), expect("{ipdv: 1ms}"),
  ])
  func bothRefuse(_ body: String) throws {
    let yaml = "version: 1\nname: x\n" + body
    var reader = YAMLReader(yaml)
    let read = reader.read()
    let value = try #require(read)
    #expect(!schema.errors(value).isEmpty)
    #expect(!Topology.problems(yaml).isEmpty)
  }

  @Test(arguments: [
    "nodes: {a: 10.0.0.1}\nprobe: off", "nodes: {a: 10.0.0.1}\nprobe: {interval: 1s, port: 862}",
    use("police"), use("[police]"), use("[police, {name: police, at: all}]"), use("{name: p, at: [a]}"),
    use("{name: p, with: {a: true, b: 5, c: -5, d: 5M, e: '5M', f: 0x60}}"),
    expect("{jitter: 5ms, ipdv-max: 1s, residence-p99.9: 200us, loss: 0}"),
    expect("{loss: 0.1%, rate: 1M..8M}"),
  ])
  func bothAccept(_ body: String) throws {
    let yaml = "version: 1\nname: x\n" + body
    var reader = YAMLReader(yaml)
    let read = reader.read()
    #expect(schema.errors(try #require(read)) == [])
    #expect(Topology.problems(yaml) == [])
  }

  /// A stream with these limits.
  private static func expect(_ limits: String) -> String {
    "nodes: {a: 10.0.0.1}\nstreams: {s: {protocol: udp, from: a:1, to: a:2, expect: \(limits)}}"
  }

  /// A stream with these extensions.
  private static func use(_ extensions: String) -> String {
    "nodes: {a: 10.0.0.1}\nstreams: {s: {protocol: udp, from: a:1, to: a:2, extensions: \(extensions)}}"
  }

  // MARK: Parts of the schema

  private func properties(_ object: [String: Any]) -> [String: Any] {
    object["properties"] as? [String: Any] ?? [:]
  }

  private func words(_ schema: Any?) -> [String]? { (schema as? [String: Any])?["enum"] as? [String] }

  private func alternatives(_ schema: Any?) -> [Any] { (schema as? [String: Any])?["anyOf"] as? [Any] ?? [] }

  private func range(_ schema: Any?) -> ClosedRange<Int>? { bounds(schema, "minimum", "maximum") }

  private func size(_ schema: Any?, _ what: String) -> ClosedRange<Int>? {
    bounds(schema, "min" + what, "max" + what)
  }

  private func bounds(_ schema: Any?, _ low: String, _ high: String) -> ClosedRange<Int>? {
    guard let object = schema as? [String: Any], let low = object[low] as? Int, let high = object[high] as? Int,
      low <= high
    else { return nil }
    return low...high
  }
}
