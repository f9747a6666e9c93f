import Testing

@testable import Topology

/// The file of `lab up --hosts`, and its short form.
@Suite struct HostsTests {
  private static let topology = Topology(
    name: "studio",
    nodes: ["camera", "edge", "sink"].enumerated().map { index, name in
      Node(name: name, addresses: [IPAddress("10.0.0.\(index + 1)")!])
    }, links: [], streams: [])

  private static func decode(_ yaml: String) throws(TopologyError) -> Hosts {
    try Hosts.decode(yaml: yaml, file: "h.yaml", for: topology)
  }

  private static func problems(_ yaml: String) -> [String] {
    do {
      _ = try decode(yaml)
      return []
    } catch { return error.problems.map(\.description) }
  }

  @Test("the order is the topology's, and what is left out is its first node")
  func shortest() throws {
    let hosts = try Self.decode(
      "hosts:\n  sink: c\n  camera: root@10.0.0.1\n  edge: ssh://ada@b.example:2222\n")
    #expect(hosts.hosts.map(\.node) == ["camera", "edge", "sink"])
    #expect(hosts.hosts.map(\.destination.description) == ["root@10.0.0.1", "ssh://ada@b.example:2222", "c"])
    #expect(hosts.controller == "camera")
    #expect(hosts.address == nil)
  }

  @Test(
    "addresses of the controller get its port",
    arguments: [
      ("192.0.2.1", "192.0.2.1:7117"), ("192.0.2.1:7000", "192.0.2.1:7000"), ("'fd00::1'", "[fd00::1]:7117"),
      ("'[fd00::1]:7000'", "[fd00::1]:7000"), ("relay.example", "relay.example:7117"),
      ("relay.example:7000", "relay.example:7000"),
    ])
  func address(written: String, read: String) throws {
    let hosts = try Self.decode("address: \(written)\ncontroller: edge\nhosts: {camera: a, edge: b, sink: c}\n")
    #expect(hosts.address == read)
    #expect(hosts.controller == "edge")
  }

  @Test(
    "every problem has its place and what to write",
    arguments: [
      ("hosts: {camera: a, edge: b}\n", ["h.yaml:1:8: error: node 'sink' of topology studio has no host; add"]),
      (
        "hosts:\n  camera: a\n  edge: b\n  sink: c\n  dock: d\n",
        ["h.yaml:5:3: error: topology studio has no node 'dock'; write camera, edge or sink"]
      ),
      (
        "hosts:\n  camera: a\n  egde: b\n  sink: c\n",
        ["h.yaml:3:3: error: topology studio has no node 'egde'; did you mean 'edge'?"]
      ),
      (
        "hosts:\n  camera: a\n  edge: a\n  sink: c\n",
        ["h.yaml:3:9: error: nodes 'camera' and 'edge' have one host; a machine is one node"]
      ),
      (
        "hosts:\n  camera: a\n  edge: b\n  sink: -oProxyCommand=x\n",
        ["h.yaml:4:9: error: the host of node 'sink', '-oProxyCommand=x', has characters"]
      ),
      (
        "hosts: {camera: -v, edge: b, sink: c}\n",
        ["h.yaml:1:17: error: the host of node 'camera', '-v', names no host"]
      ),
      ("hosts: {camera: 'a:22', edge: b, sink: c}\n", ["write ssh://user@host:port"]),
      ("hosts: {camera: 'ssh://a:0', edge: b, sink: c}\n", ["has no port from 1 to 65535"]),
      ("hosts: {camera: 'a b', edge: b, sink: c}\n", ["has characters that no user and no host has"]),
      (
        "controller: dock\nhosts: {camera: a, edge: b, sink: c}\n", ["h.yaml:1:13: error: controller is 'dock'"]
      ),
      ("address: 0.0.0.0\nhosts: {camera: a, edge: b, sink: c}\n", ["h.yaml:1:10: error: address is 0.0.0.0"]),
      (
        "address: a:65535\nhosts: {camera: a, edge: b, sink: c}\n", ["port 65535; write a port from 1 to 65534"]
      ),
      ("host: {camera: a}\n", ["h.yaml:1:1: error: unknown key 'host' in a hosts file; did you mean 'hosts'?"]),
      ("", ["h.yaml:1:1: error: the file is empty; begin with 'hosts:'"]),
    ])
  func mistakes(yaml: String, says: [String]) {
    let problems = Self.problems(yaml)
    #expect(problems.count == says.count, "\(problems)")
    for (problem, part) in zip(problems, says) { #expect(problem.contains(part), "\(problem)") }
  }

  @Test("the short form says the same")
  func list() throws {
    let hosts = try Hosts.load("camera=root@10.0.0.1,edge=b,sink=ssh://[fd00::1]:22", for: Self.topology)
    #expect(hosts.hosts.map(\.destination.description) == ["root@10.0.0.1", "b", "ssh://[fd00::1]:22"])
    let error = #expect(throws: TopologyError.self) {
      try Hosts.load("camera=a,edge,sink=a b", for: Self.topology)
    }
    let problems = error?.problems.map(\.description) ?? []
    #expect(
      problems.contains {
        $0.hasPrefix("--hosts:1:10: error: 'edge' is no host of a node; write NODE=user@host")
      })
    #expect(problems.contains { $0.hasPrefix("--hosts:1:20: error: the host of node 'sink'") }, "\(problems)")
  }

  @Test(
    "destinations of ssh",
    arguments: [
      "host", "user@host", "10.0.0.1", "root@fd00::1", "ssh://host", "ssh://user@host:22",
      "ssh://user@[fd00::1]:22",
      "some_alias", "user.name@host-1.example.org",
    ])
  func destination(text: String) { #expect(SSHDestination(text)?.description == text) }

  @Test(
    "what ssh would take for something else is none",
    arguments: [
      "", "-oProxyCommand=reboot", "user@-v", "-l@host", "ssh://", "ssh://user@", "ssh://host:port",
      "ssh://host/path",
      "ssh://[fd00::1", "ssh://[10.0.0.1]:22", "host:22", "a@b@c", "user:secret@host", "a;b", "a\nb", "$(id)",
      "`id`",
    ])
  func noDestination(text: String) { #expect(SSHDestination(text) == nil) }
}
