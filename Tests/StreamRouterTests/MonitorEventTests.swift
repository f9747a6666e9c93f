import Testing
import Topology

@testable import StreamRouter

/// What is worth a line between two readings.
struct MonitorEventTests {
  private static func events(_ seconds: [[NodeReading]]) -> [String] {
    var board = MonitorBoard()
    for (second, readings) in seconds.enumerated() {
      board.take(readings, timeNs: MonitorSample.startNs + UInt64(second) * 1_000_000_000)
    }
    return board.events.map { "\($0.kind.rawValue) \($0.place): \($0.text)" }
  }

  /// One node's relay second by second.
  private static func relays(_ relays: [RelaySnapshot]) -> [[NodeReading]] {
    relays.enumerated().map { [MonitorSample.node("edge", seconds: $0, relays: [$1])] }
  }

  private static func relay(
    _ seconds: Int, lost: UInt64 = 0, dropped: UInt64 = 0, change: (inout RelaySnapshot) -> Void = { _ in }
  ) -> RelaySnapshot {
    var relay = MonitorSample.relay("cam", hop: 0, seconds: seconds, lost: lost, dropped: dropped)
    change(&relay)
    return relay
  }

  @Test func aSteadyStreamIsNoEvent() {
    #expect(Self.events(Self.relays((1...5).map { Self.relay($0) })) == [])
  }

  @Test func streamsStartAndStop() {
    #expect(
      Self.events(Self.relays([0, 0, 1, 2, 2, 2, 3].map { Self.relay($0) })) == [
        "stream-started cam at edge: packets arrive", "stream-stopped cam at edge: no packet arrives",
        "stream-started cam at edge: packets arrive",
      ])
  }

  @Test func lossAndDropsBeginAndEnd() {
    let relays = [(1, 0, 0), (2, 0, 0), (3, 5, 0), (4, 9, 0), (5, 9, 3), (6, 9, 3)].map {
      Self.relay($0, lost: $1, dropped: $2)
    }
    #expect(
      Self.events(Self.relays(relays)) == [
        "loss-began cam at edge: 5 packets lost before the stream comes here",
        "loss-ended cam at edge: no packet lost on the way here",
        "drops-began cam at edge: 3 drop_neighbour (link-layer address of the next hop not known yet)",
        "drops-ended cam at edge: drops nothing any more",
      ])
  }

  @Test func latePacketsBeginAndEnd() {
    let relays = [(1, 0), (2, 4), (3, 6), (4, 6), (5, 6)].map { second, late in
      Self.relay(second) { $0.counters["rtp_late"] = UInt64(late) }
    }
    #expect(
      Self.events(Self.relays(relays)) == [
        "late-began cam at edge: 4 packets arrived behind packets that were sent after",
        "late-ended cam at edge: packets arrive in order",
      ])
  }

  @Test func sourcesEnginesAndExtensionsChange() {
    let extended = ExtensionSnapshot(name: "thin", version: "2", content: String(repeating: "ab", count: 32))
    let relays = [
      Self.relay(1), Self.relay(2) { $0.counters["rtp_restarts"] = 1 },
      Self.relay(3) {
        $0.counters["rtp_restarts"] = 1
        $0.engine = .process
      },
      Self.relay(4) {
        $0.counters["rtp_restarts"] = 1
        $0.engine = .process
        $0.extensions = [extended]
      },
    ]
    #expect(
      Self.events(Self.relays(relays)) == [
        "source-restarted cam at edge: a new source, or one that began to number anew",
        "engine-changed cam at edge: engine sandbox became process",
        "extensions-changed cam at edge: thin 2 [abababababab]",
      ])
  }

  @Test func nodesAndRelaysComeAndGo() {
    let up = { (second: Int) in MonitorSample.node("edge", seconds: second, relays: [Self.relay(second)]) }
    let silent = NodeReading(node: "edge", snapshot: nil, problem: "no answer within 1 s")
    var restarted = MonitorSample.node("edge", seconds: 4, relays: [])
    restarted.snapshot?.startedNs += 5
    restarted.snapshot?.pid = 99
    #expect(
      Self.events([[up(0)], [up(1)], [silent], [up(3)], [restarted]]) == [
        "node-silent node edge: does not answer: no answer within 1 s", "node-answers node edge: answers",
        "node-restarted node edge: has a new daemon, process 99",
        "relay-removed cam at edge: is no longer relayed",
      ])
  }

  @Test func theLogIsBounded() {
    var board = MonitorBoard()
    for second in 0..<(2 * MonitorBoard.mostEvents) {
      let reading =
        second % 2 == 0
        ? MonitorSample.node("edge", seconds: second, relays: [])
        : NodeReading(node: "edge", snapshot: nil, problem: "gone")
      board.take([reading], timeNs: MonitorSample.startNs + UInt64(second) * 1_000_000_000)
    }
    #expect(board.events.count == MonitorBoard.mostEvents)
    #expect(board.newEvents == 1)
  }
}
