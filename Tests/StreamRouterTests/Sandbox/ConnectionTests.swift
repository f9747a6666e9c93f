import CStreamRouter
import Foundation
import TestSupport
import Testing
import Topology

@testable import StreamRouter

// Segments through BPF_PROG_TEST_RUN, one after the other: packet in, packet out, verdict, counters.
//
//   outside 10.9.0.9 --> [ relay at 10.9.0.1, fd09::1, port 80 ] --va--vb--> 10.9.0.2, fd09::2 port 8080
//                                                                            10.9.5.0/24 (MTU 600)

private let network =
  packetNetwork + """
    neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev va
    neigh add fd09::9 lladdr 02:00:00:00:00:09 dev va

    """

private let shot: Int32 = 2
private let redirect: Int32 = 7
private let pass: Int32 = -1

/// A relay of TCP, and what goes through it.
private final class Passage {
  let datapath: SandboxDatapath
  var relay: Relay
  let isIPv4: Bool
  private var standing: [sr_relay_key] = []
  /// The source port that the relay took for the connection at hand.
  var port: UInt16 = 0

  init(
    _ datapath: SandboxDatapath, ipv6: Bool = false, sources: [String]? = nil, to sink: String? = nil,
    dscp: UInt8? = nil
  )
    throws
  {
    self.datapath = datapath
    isIPv4 = !ipv6
    let own = Endpoint(ipv6 ? "[fd09::1]:80" : "10.9.0.1:80")!
    let destination = Endpoint(sink ?? (ipv6 ? "[fd09::2]:8080" : "10.9.0.2:8080"))!
    relay = Relay(
      stream: "web", node: "n", hop: 0, transport: .tcp, ingress: own,
      sources: (sources ?? [ipv6 ? "fd09::9" : "10.9.0.9"]).map { AddressPrefix($0)! },
      sinks: [RelaySink(kind: .host, name: "sink", destination: destination, source: own)], dscp: dscp)
    try stand(relay)
  }

  func stand(_ relay: Relay) throws {
    self.relay = relay
    for entry in RelayEntry.entries(for: relay, index: 3, isLocal: Route.isLocal) {
      try datapath.set(entry.value, at: entry.key)
      standing.append(entry.key)
    }
  }

  func fall() throws { for key in standing { try datapath.removeRelay(at: key) } }

  var client: String { isIPv4 ? "10.9.0.9" : "[fd09::9]" }

  /// From the client, as it leaves it.
  func sent(_ flags: Segment.Flags, from port: UInt16 = 40_000, _ change: (inout Segment) -> Void = { _ in })
    -> Segment
  { Segment("\(client):\(port)", "\(relay.ingress)", flags).with(change) }

  /// From the sink to the relay.
  func answered(_ flags: Segment.Flags, _ change: (inout Segment) -> Void = { _ in }) -> Segment {
    Segment("\(relay.sinks[0].destination)", "\(Endpoint(address: relay.ingress.address, port: port))", flags)
      .with {
        $0.sourceMAC = [2, 0, 0, 0, 0, 2]
        change(&$0)
      }
  }

  func run(_ bytes: [UInt8], at ns: UInt64 = 0, gso: UInt32 = 0) throws -> SandboxDatapath.TestRun {
    var context = __sk_buff()
    context.tstamp = ns
    context.gso_size = gso
    return try datapath.testRun(bytes, context: context)
  }

  /// What a segment of the client's becomes.
  func onward(_ segment: Segment) -> Segment {
    segment.with {
      $0.destinationMAC = [2, 0, 0, 0, 0, 2]
      $0.sourceMAC = [2, 0, 0, 0, 0, 1]
      $0.source = Endpoint(address: relay.ingress.address, port: port)
      $0.destination = relay.sinks[0].destination
      $0.ttl -= 1
    }
  }

  /// What a segment of the sink's becomes.
  func back(_ segment: Segment, to port: UInt16 = 40_000) -> Segment {
    segment.with {
      $0.destinationMAC = [2, 0, 0, 0, 0, 9]
      $0.sourceMAC = [2, 0, 0, 0, 0, 1]
      $0.source = relay.ingress
      $0.destination = Endpoint("\(client):\(port)")!
      $0.ttl -= 1
    }
  }

  /// Sends a segment through and expects it on the other side, whole.
  func expect(
    _ segment: Segment, becomes wanted: (Segment) -> Segment, at ns: UInt64 = 0, gso: UInt32 = 0,
    _ place: SourceLocation = #_sourceLocation
  ) throws {
    let run = try run(segment.bytes, at: ns, gso: gso)
    #expect(run.verdict == redirect, sourceLocation: place)
    #expect(run.packet == wanted(segment).bytes, sourceLocation: place)
  }

  /// A SYN, by which the relay takes a port, SYN and ACK, ACK.
  func open(from client: UInt16 = 40_000, at ns: UInt64 = 0, _ place: SourceLocation = #_sourceLocation) throws
  {
    let syn = sent(.syn, from: client)
    let first = try run(syn.bytes, at: ns)
    try #require(first.verdict == redirect, sourceLocation: place)
    let offset = isIPv4 ? 34 : 54
    port = UInt16(first.packet[offset]) << 8 | UInt16(first.packet[offset + 1])
    #expect(first.packet == onward(syn).bytes, sourceLocation: place)
    try expect(answered([.syn, .ack]), becomes: { back($0, to: client) }, at: ns, place)
    try expect(sent(.ack, from: client) { $0.sequence = 1001 }, becomes: onward, at: ns, place)
  }

  func counters() throws -> [String: UInt64] { try datapath.counters(at: 3).named.filter { $0.value != 0 } }
}

@Suite(.enabled(if: PrivateNetwork.obstacle == nil, "\(PrivateNetwork.obstacle ?? "")"))
struct ConnectionTests {
  private static let second: UInt64 = 1_000_000_000

  private static func inNetwork(_ body: @escaping @Sendable (SandboxDatapath) throws -> Void) throws {
    try PrivateNetwork.run(setup: network) {
      try SandboxEngine.enableRouteLookup()
      try DatapathPool.lend { datapath in
        try datapath.updateSettings(tcpRelays: 1)
        try body(datapath)
      }
    }
  }

  @Test(arguments: [false, true])
  func aConnectionPassesBothWays(ipv6: Bool) throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath, ipv6: ipv6)
      try passage.open()
      let request = Array("GET / HTTP/1.1\r\n\r\n".utf8)
      try passage.expect(
        passage.sent(.ack) {
          $0.sequence = 1001
          $0.payload = request
          $0.trafficClass = 0x02
        }, becomes: passage.onward)
      try passage.expect(
        passage.answered(.ack) {
          $0.sequence = 1001
          $0.payload = [1, 2, 3]
        }, becomes: { passage.back($0) })
      try passage.expect(
        passage.answered([.fin, .ack]) { $0.sequence = 1004 }, becomes: { passage.back($0) })
      try passage.expect(
        passage.sent([.fin, .ack]) { $0.sequence = 1001 + UInt32(request.count) }, becomes: passage.onward)
      #expect(
        try passage.counters() == [
          "packets_in": 4, "bytes_in": UInt64(request.count), "packets_out": 4,
          "bytes_out": UInt64(request.count),
          "reply_packets": 3, "reply_bytes": 3, "tcp_opened": 1, "tcp_established": 1, "tcp_closed": 1,
        ])
    }
  }

  @Test func aPortIsOneThatTheKernelGivesNobody() throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath)
      var ports: Set<UInt16> = []
      for client: UInt16 in 40_000..<40_050 {
        try passage.open(from: client)
        ports.insert(passage.port)
      }
      #expect(ports.count == 50)
      let ranges = SourcePorts.read().ranges
      #expect(ports.allSatisfy { port in ranges.contains { $0.contains(Int(port)) } })
      #expect(ports.allSatisfy { !(32_768...60_999).contains($0) })
    }
  }

  /// Nothing passes for a source that no stream names, nor for segments of no connection.
  @Test func strangersAndStrays() throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath)
      let stranger = Segment("10.9.0.8:40000", "10.9.0.1:80", .syn)
      #expect(try passage.run(stranger.bytes).verdict == shot)
      let stray = passage.sent(.ack)
      let run = try passage.run(stray.bytes)
      #expect(run.verdict == pass && run.packet == stray.bytes)
      #expect(try passage.run(passage.sent(.rst).bytes).verdict == pass)
      #expect(try passage.run(passage.sent([.syn, .ack]).bytes).verdict == pass)
      try passage.open()
      // Of the sink's address but another port, and to another port.
      let other = passage.answered(.ack) { $0.source = Endpoint("10.9.0.2:8081")! }
      #expect(try passage.run(other.bytes).verdict == pass)
      #expect(try passage.counters()["drop_source"] == 1)
      #expect(try passage.counters()["tcp_stray"] == 3)
    }
  }

  @Test func whatContradictsItselfIsDropped() throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath)
      #expect(try passage.run(passage.sent(.syn) { $0.claimedWords = 4 }.bytes).verdict == shot)
      #expect(try passage.run(passage.sent(.syn) { $0.claimedWords = 15 }.bytes).verdict == shot)
      #expect(try passage.counters() == ["drop_malformed": 2])
      #expect(try passage.run(passage.sent(.syn) { $0.ttl = 1 }.bytes).verdict == shot)
      #expect(try passage.counters()["drop_ttl"] == 1)
    }
  }

  @Test func aRefusalAndAReset() throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath)
      let syn = passage.sent(.syn)
      let first = try passage.run(syn.bytes)
      passage.port = UInt16(first.packet[34]) << 8 | UInt16(first.packet[35])
      try passage.expect(passage.answered([.rst, .ack]), becomes: { passage.back($0) })
      #expect(try passage.counters()["tcp_refused"] == 1)
      // The same ports again are another connection.
      let former = passage.port
      try passage.open()
      #expect(passage.port != former)
      try passage.expect(passage.sent(.rst) { $0.sequence = 1001 }, becomes: passage.onward)
      #expect(try passage.counters()["tcp_reset"] == 1)
      #expect(try passage.counters()["tcp_opened"] == 2)
    }
  }

  @Test func retransmissionsAndGapsAreSeen() throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath)
      try passage.open()
      func data(_ sequence: UInt32, _ length: Int) -> Segment {
        passage.sent(.ack) {
          $0.sequence = sequence
          $0.payload = [UInt8](repeating: 7, count: length)
        }
      }
      for segment in [data(1001, 100), data(1101, 100), data(1101, 100), data(1401, 100), data(1201, 200)] {
        try passage.expect(segment, becomes: passage.onward)
      }
      // Keeping alive is no retransmission.
      try passage.expect(data(1500, 1), becomes: passage.onward)
      var counters = try passage.counters()
      #expect(counters["tcp_retransmitted"] == 2 && counters["tcp_gaps"] == 1)
      try passage.expect(
        passage.answered(.ack) {
          $0.sequence = 5000
          $0.payload = [1]
        }, becomes: { passage.back($0) })
      counters = try passage.counters()
      #expect(counters["tcp_gaps"] == 2 && counters["tcp_reply_retransmitted"] == nil)
    }
  }

  @Test func roundTripsByTimestamps() throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath)
      func stamps(_ value: UInt32, _ echo: UInt32) -> [UInt8] {
        [1, 1, 8, 10] + Segment.long(value) + Segment.long(echo)
      }
      let start = realtimeNs()
      try passage.open(at: start)
      try passage.expect(
        passage.sent(.ack) {
          $0.sequence = 1001
          $0.payload = [1, 2, 3, 4]
          $0.options = stamps(77, 5)
        }, becomes: passage.onward, at: start + 1_000_000)
      // An echo of something older answers nothing.
      try passage.expect(
        passage.answered(.ack) { $0.options = stamps(6, 76) }, becomes: { passage.back($0) },
        at: start + 2_000_000)
      try passage.expect(
        passage.answered(.ack) {
          $0.options = stamps(8, 77)
          $0.sequence = 1001
          $0.payload = [9]
        }, becomes: { passage.back($0) }, at: start + 5_000_000)
      try passage.expect(
        passage.sent(.ack) {
          $0.sequence = 1005
          $0.options = stamps(80, 8)
        }, becomes: passage.onward, at: start + 12_000_000)
      let flow = try datapath.flow(at: 3)
      #expect(flow.variations.ipdv.histogram.durations.maxNs == 4_000_000)
      #expect(flow.variations.pdv.histogram.durations.maxNs == 7_000_000)
      #expect(flow.variations.ipdv.histogram.durations.total == 1)
    }
  }

  /// What a SYN announces is lowered to the smaller of both links, wherever the option stands.
  @Test(arguments: [0, 1, 2])
  func theMSSIsClamped(padding: Int) throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath, to: "10.9.5.2:8080")
      func options(_ mss: UInt16) -> [UInt8] {
        let all = [UInt8](repeating: 1, count: padding) + [2, 4] + Frame.big(mss)
        return all + [UInt8](repeating: 0, count: (8 - all.count) % 4)
      }
      let syn = passage.sent(.syn) { $0.options = options(1460) }
      let run = try passage.run(syn.bytes)
      #expect(run.verdict == redirect)
      passage.port = UInt16(run.packet[34]) << 8 | UInt16(run.packet[35])
      #expect(run.packet == passage.onward(syn.with { $0.options = options(560) }).bytes)
      try passage.expect(
        passage.answered([.syn, .ack]) { $0.options = options(1460) },
        becomes: { passage.back($0.with { $0.options = options(560) }) })
      // One that is small enough stays.
      let small = passage.sent(.syn, from: 40_001) { $0.options = options(500) }
      let smallRun = try passage.run(small.bytes)
      passage.port = UInt16(smallRun.packet[34]) << 8 | UInt16(smallRun.packet[35])
      #expect(smallRun.packet == passage.onward(small).bytes)
      #expect(try passage.counters()["tcp_clamped"] == 2)
      // A segment that is too large all the same is dropped, not cut.
      let large = passage.sent(.ack, from: 40_001) { $0.payload = [UInt8](repeating: 0, count: 700) }
      #expect(try passage.run(large.bytes).verdict == shot)
      #expect(try passage.counters()["drop_mtu"] == 1)
      // A GSO packet is as large as its segments are.
      try passage.expect(large, becomes: passage.onward, gso: 350)
    }
  }

  @Test func hostileOptionsEnd() throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath, to: "10.9.5.2:8080")
      for (number, options): (Int, [UInt8]) in [
        [3, 0, 0, 0], [3, 1, 2, 4], [2, 4, 0xff, 0xff], [2, 3, 0, 0], [254, 255, 0, 0], [1, 1, 1, 2],
        [0, 2, 4, 255],
        [UInt8](repeating: 1, count: 40), [UInt8](repeating: 2, count: 40),
        [3, 37] + [UInt8](repeating: 4, count: 38),
      ].enumerated() {
        let syn = passage.sent(.syn, from: UInt16(41_000 + number)) { $0.options = options }
        #expect(try passage.run(syn.bytes).verdict == redirect, "\(options)")
      }
    }
  }

  @Test(arguments: [false, true])
  func errorsAreTranslated(ipv6: Bool) throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath, ipv6: ipv6)
      try passage.open()
      let router = ipv6 ? "fd09::77" : "10.9.0.77"
      let own = "\(passage.relay.ingress.address)"
      let (type, code): (UInt8, UInt8) = ipv6 ? (2, 0) : (3, 4)
      let sent = passage.sent(.ack) {
        $0.sequence = 2001
        $0.payload = [UInt8](repeating: 3, count: 100)
      }
      for quoted in [8, 120] {
        // What this node sent to the sink.
        let onward = passage.onward(sent)
        let run = try passage.run(
          onward.error(from: router, type: type, code: code, word: 1280, quoted: quoted))
        #expect(run.verdict == redirect)
        var wanted = sent.with { $0.ttl -= 1 }.error(
          from: own, type: type, code: code, word: 1280, ttl: 59, quoted: quoted,
          sourceMAC: [2, 0, 0, 0, 0, 1],
          destinationMAC: [2, 0, 0, 0, 0, 9])
        Self.excuseQuotedChecksum(run.packet, &wanted, ipv6: ipv6)
        #expect(run.packet == wanted, "quoted \(quoted)")
        // And what it sent to the source.
        let answer = passage.answered(.ack) { $0.payload = [UInt8](repeating: 4, count: 100) }
        let back = passage.back(answer)
        let other = try passage.run(
          back.error(from: router, type: type, code: code, word: 1280, quoted: quoted))
        #expect(other.verdict == redirect)
        var wantedBack = answer.with { $0.ttl -= 1 }.error(
          from: own, type: type, code: code, word: 1280, ttl: 59, quoted: quoted,
          sourceMAC: [2, 0, 0, 0, 0, 1],
          destinationMAC: [2, 0, 0, 0, 0, 2])
        Self.excuseQuotedChecksum(other.packet, &wantedBack, ipv6: ipv6)
        #expect(other.packet == wantedBack, "quoted \(quoted)")
      }
      #expect(try passage.counters()["icmp_translated"] == 4)
      // About what this node never sent, no error, and an answer to a ping.
      let foreign = Segment(
        ipv6 ? "[fd09::1]:5" : "10.9.0.1:5", ipv6 ? "[fd09::2]:8080" : "10.9.0.2:8080", .ack)
      #expect(try passage.run(foreign.error(from: router, type: type, code: code)).verdict == pass)
      #expect(
        try passage.run(passage.onward(sent).error(from: router, type: ipv6 ? 129 : 0, code: 0)).verdict == pass
      )
      #expect(try passage.counters()["icmp_translated"] == 4)
    }
  }

  /// Nobody checks the checksum of a quoted segment, and the datapath leaves it: so the ICMP checksum differs too.
  /// That it is right is checked here, and what differs is made the same.
  private static func excuseQuotedChecksum(_ found: [UInt8], _ wanted: inout [UInt8], ipv6: Bool) {
    let icmp = ipv6 ? 54 : 34
    let check = icmp + 8 + (ipv6 ? 40 : 20) + 16
    guard found.count == wanted.count, found.count > check + 1 else { return }
    let cover: [UInt8]
    if ipv6 {
      cover = Array(found[22..<54]) + [0, 0] + Frame.big(UInt16(found.count - icmp)) + [0, 0, 0, 58]
    } else {
      cover = []
    }
    #expect(Frame.checksum(cover + found[icmp...]) == 0)
    wanted.replaceSubrange(check..<check + 2, with: found[check..<check + 2])
    wanted.replaceSubrange(icmp + 2..<icmp + 4, with: found[icmp + 2..<icmp + 4])
  }

  @Test func silenceEndsAConnection() throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath)
      let start = realtimeNs()
      try passage.open(at: start)
      let later = start + (UInt64(SR_ESTABLISHED_SECONDS.rawValue) - 10) * Self.second
      try passage.expect(passage.sent(.ack) { $0.sequence = 1001 }, becomes: passage.onward, at: later)
      let tooLate = later + (UInt64(SR_ESTABLISHED_SECONDS.rawValue) + 1) * Self.second
      let run = try passage.run(passage.sent(.ack) { $0.sequence = 1001 }.bytes, at: tooLate)
      #expect(run.verdict == pass)
      // One that was never answered has less time.
      _ = try passage.run(passage.sent(.syn, from: 40_001).bytes, at: start)
      #expect(datapath.connections.sweep(nowNs: start + 239 * Self.second)[3]?.open == 1)
      let found = datapath.connections.sweep(nowNs: start + 241 * Self.second)[3]
      #expect(found?.open == 0 && found?.expired == 1)
      #expect(datapath.connections.sweep(nowNs: start)[3] == nil)
    }
  }

  /// More connections than the table holds: the longest silent ones make room, what goes on stays.
  @Test func theTableOverflows() throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath, sources: ["10.9.0.0/24"])
      try passage.open()
      let port = passage.port
      for number in 0..<20_000 {
        let syn = Segment("10.9.0.\(100 + number / 60_000):\(1000 + number)", "10.9.0.1:80", .syn)
        #expect(try passage.run(syn.bytes).verdict == redirect)
        if number % 50 == 0 {
          passage.port = port
          try passage.expect(passage.sent(.ack) { $0.sequence = 1001 }, becomes: passage.onward)
          try passage.expect(passage.answered(.ack) { $0.sequence = 1001 }, becomes: { passage.back($0) })
        }
      }
      let open = datapath.connections.sweep()[3]?.open ?? 0
      #expect(open > 1000 && open <= UInt64(SR_DEFAULT_CONNECTIONS.rawValue))
    }
  }

  @Test func aDeployChangesWhoMayStay() throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath, sources: ["10.9.0.0/24"])
      try passage.open()
      var other = passage.relay
      other.sinks[0].destination = Endpoint("10.9.0.2:9090")!
      let former = passage.relay
      try passage.stand(other)
      // It stays with its sink; a new one goes to the new sink.
      passage.relay = former
      try passage.expect(passage.sent(.ack) { $0.sequence = 1001 }, becomes: passage.onward)
      try passage.expect(passage.answered(.ack) { $0.sequence = 1001 }, becomes: { passage.back($0) })
      passage.relay = other
      try passage.open(from: 40_001)
      // Its source is no longer allowed, in either direction.
      other.sources = [AddressPrefix("10.9.0.10")!]
      try passage.stand(other)
      #expect(try passage.run(passage.answered(.ack).bytes).verdict == shot)
      #expect(try passage.run(passage.sent(.ack, from: 40_001).bytes).verdict == shot)
      #expect(try passage.counters()["drop_source"] == 2)
      // Nor is there anything once the relay is gone.
      try passage.stand(former)
      try passage.open(from: 40_002)
      try passage.fall()
      #expect(try passage.run(passage.answered(.ack).bytes).verdict == pass)
      #expect(try passage.run(passage.sent(.ack, from: 40_002).bytes).verdict == pass)
    }
  }

  @Test func codePointsAreWrittenBothWays() throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath, dscp: 46)
      let syn = passage.sent(.syn) { $0.trafficClass = 0x03 }
      let run = try passage.run(syn.bytes)
      passage.port = UInt16(run.packet[34]) << 8 | UInt16(run.packet[35])
      #expect(run.packet == passage.onward(syn).with { $0.trafficClass = 46 << 2 | 3 }.bytes)
      try passage.expect(
        passage.answered([.syn, .ack]), becomes: { passage.back($0).with { $0.trafficClass = 46 << 2 } })
    }
  }

  @Test func portsKeepClearOfTheKernels() {
    #expect(SourcePorts(local: "32768\t60999\n").ranges == [10_000...32_767, 61_000...65_535])
    #expect(SourcePorts(local: "9000 65535").ranges == [10_000...65_535])
    #expect(SourcePorts(local: "10000 64511").ranges == [64_512...65_535])
    #expect(SourcePorts(local: "").ranges == [10_000...65_535])
  }

  /// Segments, errors, and what was bent in them at random: nothing crashes, and nothing of a stranger's passes.
  @Test func randomSegments() throws {
    try Self.inNetwork { datapath in
      let passage = try Passage(datapath)
      try passage.open()
      var source = SeededRandom()
      let seed = source.seed
      for round in 0..<5000 {
        var bytes =
          [
            passage.sent([.syn], from: UInt16.random(in: 1...65_535, using: &source)),
            passage.answered(.ack), passage.sent(.ack) { $0.options = [2, 4, 5, 180] },
          ][round % 3].bytes
        if round % 4 == 0 {
          bytes = passage.onward(passage.sent(.ack)).error(from: "10.9.0.77", type: 3, code: 1)
        }
        for _ in 0..<Int.random(in: 0...4, using: &source) {
          bytes[Int.random(in: 12..<bytes.count, using: &source)] = UInt8.random(in: 0...255, using: &source)
        }
        bytes.removeLast(Int.random(in: 0...8, using: &source))
        let run = try passage.run(bytes)
        let isStranger = bytes[26..<30] != [10, 9, 0, 9] && bytes[23] == 6 && bytes[30..<34] == [10, 9, 0, 1]
        if isStranger, bytes[36..<38] == [0, 80] {
          #expect(run.verdict != redirect, "seed \(seed), round \(round)")
        }
      }
    }
  }
}
