import Testing

@testable import Topology

@Suite struct GraphTests {
  @Test func textDrawsEachStreamAsATree() throws {
    #expect(
      Graph(try .example("fan-out.yaml")).render(.text) == """
        fan-out: 4 nodes, 3 links, 1 stream

        nodes
          camera    10.43.0.1  engine auto
          edge      10.43.0.2, 10.43.1.2, 10.43.2.2  engine auto
          studio-a  10.43.1.3  engine auto
          studio-b  10.43.2.3  engine auto

        links
          camera -- edge  camera at 10.43.0.1  edge at 10.43.0.2  mtu 1500
          edge -- studio-a  edge at 10.43.1.2  studio-a at 10.43.1.3
          edge -- studio-b  edge at 10.43.2.2  studio-b at 10.43.2.3

        streams
          feed  udp  dscp 24
            camera 10.43.0.1:5000  accepts 10.43.0.1, 10.43.0.128/25
            └─ edge 10.43.0.2:5000  from 10.43.0.1:5000
               ├─ studio-a 10.43.1.3:5000  from 10.43.1.2:5000
               │  └─ local 10.43.1.3:6000
               ├─ studio-b 10.43.2.3:5000  from 10.43.2.2:5000
               │  └─ local 10.43.2.3:6000
               └─ host 192.0.2.10:7000  from 10.43.0.2:5000

        """)
  }

  @Test func textShowsTheExtensionsOfEachHop() throws {
    let topology = try Topology.of(
      nodes: "ab", links: ["a -- b"],
      streams:
        "  s: {protocol: udp, from: a:5, to: b:9, extensions: [mark, {name: thin, with: {n: 3}, at: all}]}")
    let lines = Graph(topology).render(.text).split(separator: "\n").suffix(3)
    #expect(
      lines == [
        "    a 10.0.0.1:5  accepts 10.0.0.1  extensions mark, thin {n: 3}",
        "    └─ b 10.0.0.2:5  from 10.0.0.1:5  extensions thin {n: 3}",
        "       └─ local 10.0.0.2:9",
      ])
  }

  @Test func dotDrawsLinksAndStreams() throws {
    #expect(
      Graph(try .example("ipv6.yaml")).render(.dot) == #"""
        digraph "ipv6" {
          rankdir=LR;
          node [shape=box];
          "camera" [label="camera\nfd44::1"];
          "edge" [label="edge\nfd44::2\nvideo to :5004"];
          "[2001:db8::7]:5004" [shape=ellipse];
          "camera" -> "edge" [dir=none, style=dotted];
          "camera" -> "edge" [label="video :5006"];
          "edge" -> "[2001:db8::7]:5004" [label="video"];
        }

        """#)
  }

  @Test func mermaidNamesNodesByNumber() throws {
    #expect(
      Graph(try .example("ipv6.yaml")).render(.mermaid) == """
        flowchart LR
          n0["camera<br>fd44::1"]
          n1["edge<br>fd44::2<br>video to :5004"]
          h0(["[2001:db8::7]:5004"])
          n0 -.- n1
          n0 -- "video :5006" --> n1
          n1 -- "video" --> h0

        """)
  }

  @Test func labelsCannotSteerATerminal() throws {
    let topology = try Topology.decode(
      yaml: #"{version: 1, name: x, nodes: {a: {address: 10.0.0.1, labels: {k: "\e[2J\n"}}}}"#, file: "f")
    #expect(Graph(topology).render(.text).contains(#"k=\u{1b}[2J\u{a}"#))
  }
}
