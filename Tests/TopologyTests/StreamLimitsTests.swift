import Foundation
import Testing

@testable import Topology

/// What a stream's `expect:` says, and what it must not say.
@Suite struct StreamLimitsTests {
  private static func yaml(_ expect: String, transport: String = "rtp") -> String {
    Topology.yaml(
      nodes: "ab", links: ["a -- b"],
      streams: "  s: {protocol: \(transport), from: 'a:2', to: 'b:2', expect: \(expect)}")
  }

  private static func limits(_ expect: String, transport: String = "rtp") throws -> [StreamLimit] {
    try Topology.decode(yaml: yaml(expect, transport: transport), file: "f").streams[0].limits?.limits ?? []
  }

  @Test func everyLimitIsRead() throws {
    let found = try Self.limits(
      "{rate: 1M..8.5Mbit, loss: 0.1%, residence-p99.9: 200us, pdv-max: 1.5s, ipdv-p50: 70ns, jitter: 5ms}")
    let expected: [StreamLimit] = [
      StreamLimit(.jitter, atMost: 0.005), StreamLimit(.ipdv, .p50, atMost: 70e-9),
      StreamLimit(.pdv, .max, atMost: 1.5), StreamLimit(.residence, .p999, atMost: 200e-6),
      StreamLimit(.loss, atMost: 0.001), StreamLimit(.rate, atMost: 8.5e6, atLeast: 1e6),
    ]
    #expect(found.map(\.name) == ["jitter", "ipdv-p50", "pdv-max", "residence-p99.9", "loss", "rate"])
    for (found, expected) in zip(found, expected) {
      #expect(abs((found.atMost ?? -1) - (expected.atMost ?? -1)) < 1e-12 && found.atLeast == expected.atLeast)
    }
    #expect(Set(StreamLimit.names).count == 15)
  }

  @Test func ratesMayBeOpenAndLossNothing() throws {
    #expect(
      try Self.limits("{rate: 64k.., loss: 0}") == [
        StreamLimit(.loss, atMost: 0), StreamLimit(.rate, atLeast: 64_000),
      ])
    #expect(try Self.limits("{rate: ..1G}") == [StreamLimit(.rate, atMost: 1e9)])
    #expect(try Self.limits("{rate: 5..5}") == [StreamLimit(.rate, atMost: 5, atLeast: 5)])
  }

  /// Relays and plans know nothing of it: a new limit restarts no stream.
  @Test func limitsChangeNoRelay() throws {
    let plain = try Topology.decode(yaml: Self.yaml("{loss: 0}"), file: "f")
    let other = try Topology.decode(yaml: Self.yaml("{jitter: 1ms}"), file: "f")
    #expect(plain.relays() == other.relays())
    #expect(plain.limits["s"]?.limits.count == 1 && other.limits != plain.limits)
  }

  @Test func theyPassThroughJSON() throws {
    let limits = StreamLimits(try Self.limits("{pdv-p99.9: 2ms, rate: 1M..}"))
    #expect(try JSONDecoder().decode(StreamLimits.self, from: try JSONEncoder().encode(limits)) == limits)
  }

  /// In column 55 of line 8 the value begins.
  @Test(arguments: [
    ("5", "8:", "expectation belongs"), ("{}", "8:", "expect is empty"),
    ("[loss]", "8:", "expectation belongs"),
    ("{jiter: 5ms}", "8:55", "did you mean 'jitter'?"), ("{jitter-p99: 5ms}", "8:55", "unknown key"),
    ("{jitter: 5}", "8:63", "jitter is '5'; write a time with its unit"),
    ("{jitter: 5m}", "8:63", "write a time"), ("{jitter: -5ms}", "8:63", "write a time"),
    ("{jitter: 5 ms}", "8:63", "write a time"), ("{jitter: 1e3ms}", "8:63", "write a time"),
    ("{jitter: .5ms}", "8:63", "write a time"), ("{jitter: 3601s}", "8:63", "at most 3600s"),
    ("{jitter: [5ms]}", "8:63", "jitter is a list"), ("{jitter: }", "8:", "jitter is nothing"),
    ("{loss: 1}", "8:61", "write 0, or a share"), ("{loss: 101%}", "8:61", "loss is '101%'"),
    ("{loss: '0'}", "8:61", "write 0"), ("{loss: 0.0.1%}", "8:61", "write 0"),
    ("{rate: 5M}", "8:61", "write bits a second as 1M..8M"), ("{rate: 8M..1M}", "8:61", "rate is"),
    ("{rate: '..'}", "8:61", "rate is"), ("{rate: 1M...8M}", "8:61", "rate is"),
    ("{rate: 1T..}", "8:61", "rate is"), ("{rate: 99999999999999999999..}", "8:61", "rate is"),
  ])
  func wrongOnesAreReported(_ expect: String, place: String, part: String) {
    let problems = Topology.problems(Self.yaml(expect))
    #expect(
      problems.count == 1 && problems[0].hasPrefix("f:\(place)") && problems[0].contains(part), "\(problems)")
    #expect(problems[0].contains("; "), "no remedy: \(problems)")
  }

  @Test func udpHasNoTimestampsToVary() throws {
    let problems = Topology.problems(Self.yaml("{pdv-p99: 5ms}", transport: "udp"))
    #expect(problems.count == 1 && problems[0].contains("for protocol udp"))
    #expect(try Self.limits("{ipdv-p99: 5ms, jitter: 1ms}", transport: "udp").count == 2)
  }
}
