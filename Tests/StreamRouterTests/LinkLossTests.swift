import Testing
import Topology

@testable import StreamRouter

/// Who lost a packet: the link, the hop before, or an extension that means to.
struct LinkLossTests {
  /// camera -> edge -> studio, as the monitor reads them each second: counters at the end of each.
  private static func board(_ seconds: [(edge: RelaySnapshot, studio: RelaySnapshot)]) -> MonitorBoard {
    var board = MonitorBoard()
    for (second, relays) in seconds.enumerated() {
      var edge = relays.edge
      edge.sinks[0].name = "studio"
      board.take(
        [
          MonitorSample.node("edge", seconds: second, relays: [edge]),
          MonitorSample.node("studio", seconds: second, relays: [relays.studio]),
        ], timeNs: MonitorSample.startNs + UInt64(second) * 1_000_000_000)
    }
    return board
  }

  private static func relay(
    hop: Int, _ seconds: Int, lost: UInt64 = 0, drops: [String: UInt64] = [:],
    extensions: [ExtensionSnapshot] = [],
    transport: StreamProtocol = .rtp
  ) -> RelaySnapshot {
    var relay = MonitorSample.relay("cam", hop: hop, seconds: seconds, lost: lost, transport: transport)
    let dropped = drops.values.reduce(0, +)
    relay.counters.merge(drops) { $1 }
    relay.counters["packets_out"] = relay.counters["packets_in"]! - dropped
    relay.extensions = extensions
    return relay
  }

  private static func conditions(
    _ edge: (Int) -> RelaySnapshot, _ studio: (Int) -> RelaySnapshot, seconds: Int = 3
  ) -> [MonitorRow.Condition] {
    board((0..<seconds).map { (edge($0), studio($0)) }).rows.map(\.condition)
  }

  @Test func theLinkThatLosesIsNamed() {
    let board = Self.board(
      (0..<3).map { (Self.relay(hop: 0, $0), Self.relay(hop: 1, $0, lost: UInt64($0) * 5)) })
    #expect(board.rows.map(\.condition) == [.ok, .loss])
    #expect(board.rows.map(\.linkLost) == [0, 5])
  }

  @Test func lossBeforeTheFirstHopIsNoLinksFault() {
    let lost = { (second: Int) in UInt64(second) * 5 }
    let board = Self.board(
      (0..<4).map { (Self.relay(hop: 0, $0, lost: lost($0)), Self.relay(hop: 1, $0, lost: lost($0))) })
    #expect(board.rows.map(\.condition) == [.loss, .ok])
  }

  @Test func whatAnExtensionDropsIsNoLoss() {
    let found = [ExtensionSnapshot(name: "thin", version: "1", content: "c")]
    #expect(
      Self.conditions(
        { Self.relay(hop: 0, $0, drops: ["drop_extension": UInt64($0) * 250], extensions: found) },
        { Self.relay(hop: 1, $0, lost: UInt64($0) * 250) }) == [.cut, .ok])
  }

  /// Behind an extension that drops every second packet the link drops one in ten of the rest.
  @Test func aLinkBehindAnExtensionIsJudgedByCounts() {
    let found = [ExtensionSnapshot(name: "thin", version: "1", content: "c")]
    let board = Self.board(
      (0..<6).map {
        (
          Self.relay(hop: 0, $0, drops: ["drop_extension": UInt64($0) * 250], extensions: found),
          Self.relay(hop: 1, $0, lost: UInt64($0) * 275)
        )
      })
    #expect(board.rows.map(\.condition) == [.cut, .loss])
    #expect(board.rows[1].linkLost == 25)
  }

  @Test func aHopThatDropsIsNamedAndNotTheNext() {
    #expect(
      Self.conditions(
        { Self.relay(hop: 0, $0, drops: ["drop_route": UInt64($0) * 10]) },
        { Self.relay(hop: 1, $0, lost: UInt64($0) * 10) }) == [.drop, .ok])
  }

  /// A full receive queue at the hop itself is its own drop, whatever the sequence numbers say.
  @Test func aFullQueueIsNotTheLinksFault() {
    #expect(
      Self.conditions(
        { Self.relay(hop: 0, $0) },
        { Self.relay(hop: 1, $0, lost: UInt64($0) * 10, drops: ["drop_queue": UInt64($0) * 10]) }) == [
          .ok, .drop,
        ])
  }

  /// The next hop's account is read a moment earlier or later than the first one's.
  @Test(arguments: [-4, 4]) func readingsAtDifferentMomentsAreNoLoss(_ skewMs: Int) {
    let board = Self.board(
      (0..<8).map { second in
        // 500 packets a second, a tenth of them missing from the third second to the fifth, before the first hop.
        let lost = UInt64(max(0, min(second, 5) - 2)) * 50
        let skewed = Int(lost) + (second > 2 && second < 6 ? skewMs * 50 / 1000 : 0)
        return (Self.relay(hop: 0, second, lost: lost), Self.relay(hop: 1, second, lost: UInt64(skewed)))
      })
    #expect(board.rows[1].condition == .ok)
  }

  @Test func udpIsJudgedByCounts() {
    let board = Self.board(
      (0..<4).map { second in
        var studio = Self.relay(hop: 1, second, transport: .udp)
        studio.counters["packets_in"]! -= UInt64(second) * 50
        return (Self.relay(hop: 0, second, transport: .udp), studio)
      })
    #expect(board.rows.map(\.condition) == [.ok, .loss])
  }

  @Test func countersThatBeginAgainTellNothing() {
    var link = LinkLoss()
    let relay = Self.relay(hop: 1, 1)
    let rates = RelayRates(from: Self.relay(hop: 1, 2), at: 1, to: relay, at: 2)
    #expect(rates?.restarted == true)
    #expect(link.update(received: .init(relay: relay, rates: rates), sent: nil) == nil)
  }
}
