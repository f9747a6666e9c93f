import Testing

@testable import Topology

/// One mistake, and all that must be said of it.
struct Mistake: Sendable, CustomTestStringConvertible {
  let yaml: String
  /// `line:column` and a part of the message, for every problem in order.
  let says: [(place: String, part: String)]
  /// What extensions are checked against.
  var catalog: ExtensionCatalog?

  var testDescription: String { says.first.map { "\($0.place) \($0.part)" } ?? "" }

  /// In a whole file.
  init(file: String, _ says: (String, String)...) {
    yaml = file
    self.says = says.map { ($0.0, $0.1) }
  }

  /// In the body of node `a`, which begins in line 4, column 6.
  init(node: String, _ says: (String, String)...) {
    yaml = "version: 1\nname: x\nnodes:\n  a: \(node)\n"
    self.says = says.map { ($0.0, $0.1) }
  }

  /// In a link among nodes a, b, c, in line 8, column 5.
  init(link: String, _ says: (String, String)...) {
    yaml = Topology.yaml(nodes: "abc", links: [link], streams: "  s: {protocol: udp, from: a:1, to: a:2}")
    self.says = says.map { ($0.0, $0.1) }
  }

  /// In stream `s` over the nodes a -- b -- c, in line 11, column 6.
  init(stream: String, _ says: (String, String)...) {
    yaml = Topology.yaml(nodes: "abc", links: ["a -- b", "b -- c"], streams: "  s: \(stream)")
    self.says = says.map { ($0.0, $0.1) }
  }

  /// In the extensions of a stream over the nodes a -- b, in line 11, column 14.
  init(extensions: String, catalog: ExtensionCatalog? = nil, _ says: (String, String)...) {
    yaml = Topology.yaml(
      nodes: "abc", links: ["a -- b"],
      streams: "  s:\n   extensions: \(extensions)\n   protocol: udp\n   from: a:5\n   to: b:5\n")
    self.says = says.map { ($0.0, $0.1) }
    self.catalog = catalog
  }

  /// In several streams from line 11 on.
  init(streams: [String], _ says: (String, String)...) {
    yaml = Topology.yaml(
      nodes: "abc", links: ["a -- b", "b -- c"],
      streams: streams.enumerated().map { "  s\($0.offset): \($0.element)" }.joined(separator: "\n"))
    self.says = says.map { ($0.0, $0.1) }
  }
}

@Suite struct ProblemTests {
  @Test(arguments: files + nodes + links + streams + ports + paths + extensions + installed)
  func isReported(_ mistake: Mistake) {
    let problems = Topology.problems(mistake.yaml, extensions: mistake.catalog)
    #expect(problems.count == mistake.says.count, "\(problems)")
    for (problem, (place, part)) in zip(problems, mistake.says) {
      #expect(problem.hasPrefix("f:\(place): error: "), "\(problem)")
      #expect(problem.contains(part), "\(problem)")
      #expect(problem.contains("; "), "no remedy: \(problem)")
    }
  }

  static let files = [
    Mistake(file: "", ("1:1", "the file is empty")),
    Mistake(file: "# nothing\n", ("1:1", "the file is empty")),
    Mistake(file: "7", ("1:1", "'7' where a topology belongs")),
    Mistake(file: "- a", ("1:1", "a list where a topology belongs")),
    Mistake(file: "a: b\n---\nc: d\n", ("2:1", "another document")),
    Mistake(file: "version: 1\nname: [x\n", ("3:1", "did not find expected ',' or ']'")),
    Mistake(file: "version: 1\n\tname: x\n", ("2:1", "indent with spaces")),
    Mistake(file: "version: 1\nname: \u{7}\n", ("2:7", "character U+7")),
    Mistake(file: "version: 1\nname: *x\n", ("2:7", "undefined alias")),
    Mistake(
      file: "nam: x\nzzzzzzzz: 1\nversion: 1\nnodes: {a: 10.0.0.1}", ("1:1", "did you mean 'name'?"),
      ("2:1", "write version, name, nodes, links, streams or probe")),
    Mistake(
      file: "zzz: 1", ("1:1", "unknown key 'zzz'"), ("1:1", "without 'version'"), ("1:1", "without 'name'"),
      ("1:1", "without 'nodes'")),
    Mistake(file: "version: 2\nname: x\nnodes: {a: 10.0.0.1}", ("1:10", "version 2 is not known")),
    Mistake(file: "version: '1'\nname: x\nnodes: {a: 10.0.0.1}", ("1:10", "without quotes")),
    Mistake(file: "version: 1\nname: Übung\nnodes: {a: 10.0.0.1}", ("2:7", "'Übung' is no name")),
    Mistake(file: "version: 1\nname:\nnodes: {a: 10.0.0.1}", ("2:6", "name is nothing")),
    Mistake(
      file: "version: 1\nname: x\nname: y\nnodes: {a: 10.0.0.1, 'a': 10.0.0.2}", ("3:1", "'name' stands twice"),
      ("4:22", "'a' stands twice, first on line 4")),
    Mistake(file: "version: 1\nname: x\nnodes: {}", ("3:8", "nodes is empty")),
    Mistake(file: "version: 1\nname: x\nnodes: [a]", ("3:8", "nodes is a list")),
    Mistake(file: "version: 1\nname: x\nnodes: {[a]: 10.0.0.1, b: 10.0.0.1}", ("3:9", "a key that is a list")),
    Mistake(file: "version: 1\nname: x\nnodes: {a: 10.0.0.1}\nlinks: []", ("4:8", "links is an empty list")),
    Mistake(file: "version: 1\nname: x\nnodes: {a: 10.0.0.1}\nlinks: a -- b", ("4:8", "links is 'a -- b'")),
    Mistake(file: "version: 1\nname: x\nnodes: {a: 10.0.0.1}\nstreams: ~", ("4:10", "streams is nothing")),
    Mistake(
      file: "version: 1\nname: x\nnodes: {a: &n {address: 10.0.0.1}, b: {<<: *n, address: 10.0.0.2}}",
      ("3:40", "merge keys are not read")),
  ]

  static let nodes = [
    Mistake(node: "", ("4:5", "has no address")),
    Mistake(node: "{}", ("4:6", "has no address")),
    Mistake(node: "[10.0.0.1]", ("4:6", "a list where a node belongs")),
    Mistake(node: "10.0.0", ("4:6", "'10.0.0', which is no IP address")),
    Mistake(node: "\"10.0.0.1\\0\"", ("4:6", "'10.0.0.1\\u{0}', which is no IP address")),
    Mistake(node: "0.0.0.0", ("4:6", "unspecified")),
    Mistake(node: "239.1.1.1", ("4:6", "multicast")),
    Mistake(node: "'fe80::1'", ("4:6", "link-local")),
    Mistake(node: "255.255.255.255", ("4:6", "broadcast")),
    Mistake(node: "{address: 10.0.0.1, addresses: [10.0.0.2]}", ("4:37", "both 'address' and 'addresses'")),
    Mistake(node: "{addresses: 10.0.0.1}", ("4:18", "write a list such as")),
    Mistake(node: "{addresses: []}", ("4:18", "addresses is an empty list")),
    Mistake(node: "{addresses: [10.0.0.1, 10.0.0.1]}", ("4:29", "has address 10.0.0.1 twice")),
    Mistake(node: "{address: 10.0.0.1, engine: sandbx}", ("4:34", "did you mean 'sandbox'?")),
    Mistake(
      node: "{address: 10.0.0.1, engine: [auto]}",
      ("4:34", "engine is a list; write auto, sandbox, process or upcall")),
    Mistake(node: "{address: 10.0.0.1, scheduling: batch}", ("4:38", "write other, rr or fifo")),
    Mistake(node: "{address: 10.0.0.1, scheduling: {priority: 5}}", ("4:38", "without 'policy'")),
    Mistake(
      node: "{address: 10.0.0.1, scheduling: {policy: rr, priority: 100}}",
      ("4:61", "write a number from 1 to 99")),
    Mistake(node: "{address: 10.0.0.1, scheduling: {policy: other, priority: 1}}", ("4:64", "has no priority")),
    Mistake(node: "{address: 10.0.0.1, labels: {a: [b]}}", ("4:38", "label 'a' is a list")),
    Mistake(file: "version: 1\nname: x\nnodes: {-a: 10.0.0.1}", ("3:9", "'-a' is no name for a node")),
    Mistake(
      file: "version: 1\nname: x\nnodes: {\(String(repeating: "a", count: 33)): 10.0.0.1}",
      ("3:9", "write 1 to 32")),
  ]

  static let links = [
    Mistake(link: "a - b", ("8:5", "'camera -- edge'")),
    Mistake(link: "a -- a", ("8:5", "to itself")),
    Mistake(link: "a -- d", ("8:5", "'d', which is no node")),
    Mistake(link: "a -- b\n  - b -- a", ("9:5", "a second link between 'b' and 'a'")),
    Mistake(link: "{between: [a]}", ("8:15", "not a list of two nodes")),
    Mistake(link: "{betwen: [a, b]}", ("8:6", "did you mean 'between'?")),
    Mistake(link: "{between: [a, b], mtu: 100}", ("8:28", "write a number from 576 to 65535")),
    Mistake(link: "{between: [a, b], mtu: 1000}", ("8:28", "write at least 1280")),
    Mistake(link: "{between: [a, b], addresses: {c: 10.1.0.1}}", ("8:35", "'c' is not an end of this link")),
    Mistake(
      link: "{between: [a, b], addresses: {a: 10.0.0.3}}", ("8:38", "an address of node 'c', not of 'a'")),
    Mistake(link: "{between: [a, b], addresses: {}}", ("8:34", "addresses is empty")),
  ]

  static let streams = [
    Mistake(
      stream: "{}", ("11:6", "without 'protocol'"), ("11:6", "without 'from'"), ("11:6", "without 'to'")),
    Mistake(stream: "{protocol: quic, from: a:1, to: b:1}", ("11:17", "write udp, rtp or tcp")),
    Mistake(stream: "{protocol: tcp, from: a:1, to: [b:1, 192.0.2.1:5]}", ("11:43", "has 2 sinks")),
    Mistake(stream: "{protocol: tcp, from: a:1, to: b:1, extensions: [police]}", ("11:54", "see datagrams")),
    Mistake(stream: "{protocol: tcp, from: a:1, to: b:1, clockRate: 90000}", ("11:53", "protocol tcp")),
    Mistake(
      file:
        "version: 1\nname: x\nnodes:\n  a: {address: 10.0.0.1, engine: upcall}\n  b: 10.0.0.2\nlinks: [a -- b]\nstreams:\n  s: {protocol: tcp, from: a:1, to: b:1}\n",
      ("8:28", "node 'a' runs engine upcall, which relays datagrams only")),
    Mistake(stream: "{protocol: tcp, from: a:1, to: b:1, mode: proxy}", ("11:48", "write packet or split")),
    Mistake(stream: "{protocol: udp, from: a:1, to: b:1, mode: split}", ("11:48", "has no connections")),
    Mistake(
      stream: "{protocol: tcp, from: a:1, to: b:1, expect: {jitter: 5ms}}", ("11:59", "no times of their own")),
    Mistake(stream: "{protocol: udp, from: a, to: b:1}", ("11:28", "such as camera:5004")),
    Mistake(stream: "{protocol: udp, from: 'a:0', to: b:1}", ("11:28", "'0' in 'a:0' is no port")),
    Mistake(stream: "{protocol: udp, from: 'a:+5', to: b:1}", ("11:28", "is no port")),
    Mistake(stream: "{protocol: udp, from: 10.0.0.1:5, to: b:1}", ("11:28", "a stream enters at a node")),
    Mistake(
      stream: "{protocol: udp, from: d:5, to: [e:1, b:1]}", ("11:28", "'d', which"), ("11:38", "'e', which")),
    Mistake(stream: "{protocol: udp, from: a:5, via: [d], to: b:1}", ("11:39", "names 'd', which is no node")),
    Mistake(stream: "{protocol: udp, from: a:5, via: [], to: b:1}", ("11:38", "via is an empty list")),
    Mistake(stream: "{protocol: udp, from: a:5, to: []}", ("11:37", "sinks is an empty list")),
    Mistake(stream: "{protocol: udp, from: a:5, to: b}", ("11:37", "has no port")),
    Mistake(stream: "{protocol: udp, from: a:5, to: example.com:5}", ("11:37", "host names are not looked up")),
    Mistake(
      stream: "{protocol: udp, from: a:5, to: '[10.0.0.x]:5'}", ("11:37", "neither a node nor an address")),
    Mistake(stream: "{protocol: udp, from: a:5, to: 'fd01::1:5'}", ("11:37", "write [fd01::1]:5")),
    Mistake(stream: "{protocol: udp, from: a:5, to: 239.1.1.1:5}", ("11:37", "unicast only")),
    Mistake(stream: "{protocol: udp, from: a:5, to: 10.0.0.2:5}", ("11:37", "write 'b:5'")),
    Mistake(stream: "{protocol: rtp, from: a:5004, to: 192.0.2.1:5}", ("11:40", "RTP port 5")),
    Mistake(stream: "{protocol: rtp, from: a:5004, to: b:65535}", ("11:40", "write 65534")),
    Mistake(stream: "{protocol: udp, from: a:5, to: b:5, dscp: 64}", ("11:48", "; as the upper bits")),
    Mistake(stream: "{protocol: udp, from: a:5, to: b:5, dscp: af14}", ("11:48", "did you mean 'af1")),
    Mistake(stream: "{protocol: udp, from: a:5, to: b:5, family: ipv5}", ("11:50", "did you mean 'ipv")),
    Mistake(stream: "{protocol: udp, from: a:5, to: b:5, clockRate: 1}", ("11:53", "has no media timestamps")),
    Mistake(stream: "{protocol: rtp, from: a:6, to: b:6, clockRate: 0}", ("11:53", "from 1 to 1000000000")),
    Mistake(stream: "{protocol: udp, from: a:5, to: b:5, sources: []}", ("11:51", "empty list")),
    Mistake(
      stream: "{protocol: udp, from: a:5, to: b:5, sources: 10.0.0.0/33}", ("11:51", "is no address, prefix")),
    Mistake(
      stream: "{protocol: udp, from: a:5, to: b:5, sources: 224.0.0.1}", ("11:51", "no packet comes from")),
    Mistake(stream: "{protocol: udp, from: a:5, to: b:5, sources: 0.0.0.0}", ("11:51", "0.0.0.0/0")),
    Mistake(stream: "{protocol: udp, from: a:5, to: b:5, sources: dd}", ("11:51", "source 'dd' is no node")),
    Mistake(
      stream: "{protocol: udp, from: a:5, to: b:5, sources: 'fd00::/8'}", ("11:51", "none of the sources")),
    Mistake(stream: "{protocol: udp, from: a:5, to: '[2001:db8::1]:5'}", ("11:37", "write 'family: ipv6'")),
    Mistake(
      stream: "{protocol: udp, from: a:5, to: b:5, sources: [\(addresses(17))]}",
      ("11:51", "17 ipv4 sources; 16")),
    Mistake(
      stream: "{protocol: udp, from: a:5, to: [\(addresses(17, port: ":5"))]}",
      ("11:3", "17 sinks at node 'a'; 16")),
  ]

  static let ports = [
    Mistake(
      streams: ["{protocol: udp, from: a:5, to: b:5}", "{protocol: udp, from: a:5, to: b:6}"],
      ("12:29", "ingress 'a:5', but stream 's0' enters at port 5")),
    Mistake(
      streams: ["{protocol: rtp, from: a:4, to: b:4}", "{protocol: udp, from: a:5, to: b:6}"],
      ("12:29", "ingress 'a:5', but stream 's0' enters at port 5")),
    Mistake(
      streams: ["{protocol: udp, from: a:5, to: b:8}", "{protocol: rtp, from: a:4, to: b:6}"],
      ("12:29", "whose RTCP would use port 5")),
    Mistake(
      streams: ["{protocol: udp, from: a:5, to: b:8}", "{protocol: udp, from: b:8, to: a:6}"],
      ("11:38", "sink 'b:8', but stream 's1' enters")),
    Mistake(
      streams: ["{protocol: rtp, from: a:6, to: b:8}", "{protocol: udp, from: a:9, to: b:9}"],
      ("12:38", "sink 'b:9', but a sink of stream 's0' listens at port 9")),
    Mistake(stream: "{protocol: udp, from: a:5, to: a:5}", ("11:37", "stream 's' enters at port 5")),
    Mistake(
      stream: "{protocol: udp, from: a:5, to: [192.0.2.1:5, 192.0.2.1:5]}",
      ("11:51", "sink 192.0.2.1:5 stands twice")),
    Mistake(
      stream: "{protocol: udp, from: a:5, to: [b:5, b:7]}", ("11:43", "a second sink of stream 's' on node 'b'")
    ),
    Mistake(
      stream: "{protocol: rtp, from: a:65534, to: b:65534}", ("11:28", "no free port from 65534 up at node 'b'")
    ),
  ]

  static let paths = [
    Mistake(
      file: Topology.yaml(nodes: "abc", links: ["a -- b"], streams: "  s: {protocol: udp, from: a:5, to: c:5}"),
      ("10:37", "no links lead from node 'a' to 'c'")),
    // A link that could not be read may be the one that is missing.
    Mistake(
      file: Topology.yaml(
        nodes: "abc", links: ["a -- b", "b c"], streams: "  s: {protocol: udp, from: a:5, to: c:5}"),
      ("9:5", "where a link belongs")),
    Mistake(stream: "{protocol: udp, from: a:5, via: [c, b], to: c:5}", ("11:42", "visits node 'b' twice")),
    Mistake(stream: "{protocol: udp, from: b:5, via: [c], to: a:5}", ("11:47", "visits node 'b' twice")),
    Mistake(stream: "{protocol: udp, from: a:5, via: [a], to: c:5}", ("11:39", "where the path already is")),
    Mistake(
      file: """
        version: 1
        name: x
        nodes: {a: 10.0.0.1, b: 'fd00::2'}
        links: [a -- b]
        streams:
          s: {protocol: udp, from: a:5, to: b:5}
          t: {protocol: udp, from: a:6, to: b:6, family: ipv6}
        """, ("6:3", "node 'a' no ipv6"), ("7:50", "node 'a' has no ipv6 address")),
  ]

  static let extensions = [
    Mistake(extensions: "", ("11:15", "an extension is nothing")),
    Mistake(extensions: "[]", ("11:16", "extensions is an empty list")),
    Mistake(extensions: "Police", ("11:16", "'Police' is no name for an extension; write 1 to 32")),
    Mistake(extensions: "[police, [mark]]", ("11:25", "a list where an extension belongs")),
    Mistake(extensions: "{with: {rate: 5}}", ("11:16", "an extension without 'name'; add 'name:'")),
    Mistake(
      extensions: "{nam: police, att: a}", ("11:17", "unknown key 'nam' in an extension; did you mean 'name'?"),
      ("11:30", "unknown key 'att' in an extension; did you mean 'at'?")),
    Mistake(extensions: "{name: [police]}", ("11:23", "an extension is a list")),
    Mistake(extensions: "{name: police, with: 5}", ("11:37", "parameters is '5'; write a mapping such as")),
    Mistake(extensions: "{name: police, with: {}}", ("11:37", "parameters is empty")),
    Mistake(
      extensions: "{name: police, with: {r-te: 5}}",
      ("11:38", "'r-te' is no name for a parameter; write a letter")),
    Mistake(
      extensions:
        "{name: police, with: {\((0..<65).map { "p\($0): 1" }.joined(separator: ", "))}}",
      ("11:540", "65 parameters; 64 are the limit; remove some")),
    Mistake(
      extensions: "{name: police, with: {a: x, b: 5m, c: 1_000, d: 1.5, e: yes}}",
      ("11:41", "parameter 'a' of extension 'police' is 'x'; write a number such as 3"), ("11:47", "is '5m'"),
      ("11:54", "is '1_000'"), ("11:64", "is '1.5'"), ("11:72", "is 'yes'")),
    Mistake(
      extensions: "{name: police, with: {a: '5', b: 'true', c: 0x, d: +5, e: [5], f: }}",
      ("11:41", "'5'; write a number such as 3, -3, 0x60 or 5M, or true or false, without quotes"),
      ("11:49", "is 'true'"), ("11:60", "is '0x'"), ("11:67", "is '+5'"), ("11:74", "is a list"),
      ("11:82", "is nothing")),
    Mistake(
      extensions: "{name: police, with: {a: 18446744073709551616, b: -9223372036854775809, c: 99999999999G}}",
      ("11:41", "write a number from -9223372036854775808 to 18446744073709551615"), ("11:66", "is '-92"),
      ("11:91", "is '99999999999G'")),
    Mistake(
      extensions: "{name: police, at: [a, B, d]}",
      ("11:39", "stream 's' names 'B', which is no node; did you mean 'b'?"), ("11:42", "names 'd'")),
    Mistake(
      extensions: "{name: police, at: c}",
      ("11:35", "node 'c' is not on the way of stream 's'; write a or b, or lead the stream over it with 'via'")
    ),
    Mistake(extensions: "{name: police, at: [c, b]}", ("11:36", "node 'c' is not on the way")),
    Mistake(extensions: "{name: police, at: [a, b, a]}", ("11:42", "node 'a' stands twice in 'at'")),
    Mistake(extensions: "{name: police, at: [all, a]}", ("11:36", "write 'at: all'")),
    Mistake(extensions: "{name: police, at: {a: b}}", ("11:35", "a node of 'at' is a mapping")),
    Mistake(extensions: "{name: police, at: []}", ("11:35", "at is an empty list")),
    Mistake(
      extensions: "[p, p, p, {name: p, at: all}, {name: p, at: b}, p, p]",
      ("11:64", "more than 4 extensions of stream 's' at node 'a'; remove some")),
    // What is wrong with a stream's ends does not hide what is wrong with its extensions.
    Mistake(
      stream: "{protocol: udp, from: a, to: b:5, extensions: {name: police, with: {a: x}}}",
      ("11:28", "such as camera:5004"), ("11:77", "is 'x'")),
  ]

  static let installed = [
    Mistake(
      extensions: "[mark, polise]", catalog: .example,
      (
        "11:23",
        "no extension 'polise' is installed; did you mean 'police'? (looked in /usr/lib/extensions, ext"
      )
    ),
    Mistake(
      extensions: "{with: {anything: 5}, name: thin}", catalog: .example,
      ("11:44", "no extension 'thin' is installed; write mark or police, or install it in /usr/lib/ext")),
    Mistake(
      extensions: "thin", catalog: ExtensionCatalog([]),
      ("11:16", "no extension 'thin' is installed; install it: no extension was found")),
    Mistake(
      extensions: "{name: police, with: {rat: 5, limit: x, burst: 7}}", catalog: .example,
      ("11:38", "extension 'police' has no parameter 'rat'; did you mean 'rate'?"),
      ("11:46", "extension 'police' has no parameter 'limit'; write rate, burst, bias or dryRun"),
      ("11:53", "is 'x'")),
    Mistake(
      extensions: "{name: mark, with: {rate: 5}}", catalog: .example,
      ("11:36", "extension 'mark' has no parameter 'rate'; remove it: the extension has no parameters")),
    Mistake(
      extensions: "{name: police, with: {dryRun: 1, burst: true, rate: no}}", catalog: .example,
      ("11:46", "parameter 'dryRun' of extension 'police' is '1'; write true or false"),
      ("11:56", "is 'true'; write a number from 1 to 1000"),
      ("11:68", "is 'no'; write a number from 0 to 18446744073709551615, without quotes")),
    Mistake(
      extensions: "{name: police, with: {burst: 1k, rate: -1, bias: 101}}", catalog: .example,
      ("11:55", "is '-1'; write a number from 0 to 18446744073709551615"),
      ("11:65", "is '101'; write a number from -32768 to 100")),
    Mistake(
      extensions: "{name: police, with: {burst: 0, rate: 18446744073709551616, bias: -32769}}",
      catalog: .example, ("11:45", "is '0'; write a number from 1 to 1000"),
      ("11:54", "is '18446744073709551616'; write a number from 0 to 18446744073709551615"),
      ("11:82", "is '-32769'")),
  ]

  private static func addresses(_ count: Int, port: String = "") -> String {
    (0..<count).map { "192.0.2.\($0)\(port)" }.joined(separator: ", ")
  }
}
