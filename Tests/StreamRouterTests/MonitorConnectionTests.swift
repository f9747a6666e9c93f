import Foundation
import Testing
import Topology

@testable import StreamRouter

/// Streams of protocol tcp in monitor, JSON and report.
@Suite struct MonitorConnectionTests {
  /// Ten connections a second, each of which stays; a segment in a hundred is sent again.
  private func readings(seconds: Int) -> [NodeReading] {
    let second = UInt64(seconds)
    var relay = MonitorSample.relay(
      "web", hop: 0, seconds: seconds, engine: .process, transport: .tcp, next: nil)
    relay.counters["tcp_opened"] = 10 * second
    relay.counters["tcp_retransmitted"] = 5 * second
    relay.counters["tcp_reply_retransmitted"] = 2 * second
    relay.counters["reply_packets"] = 100 * second
    relay.counters["reply_bytes"] = 125_000 * second
    relay.tcp = ConnectionAccount(
      open: 10 * second,
      sinkRoundTrip: VariationHistogram(
        durations: MetricsSample.histogram([(1_000_000, 10 * second)]), maxAtNs: MonitorSample.time(1)),
      sourceRoundTrip: VariationHistogram(
        durations: MetricsSample.histogram([(20_000_000, 10 * second)]), maxAtNs: MonitorSample.time(1)))
    return [MonitorSample.node("edge", seconds: seconds, relays: [relay])]
  }

  private var board: MonitorBoard {
    var board = MonitorBoard()
    for second in 1...3 { board.take(readings(seconds: second), timeNs: MonitorSample.time(second)) }
    return board
  }

  private func shown(_ column: String, _ row: MonitorRow) throws -> String {
    let column = try #require(MonitorColumn.named(column))
    return MonitorColumn.shown(column.value(row), format: column.format)
  }

  @Test func columns() throws {
    let row = try #require(board.rows.first)
    for (column, text) in [
      ("connections", "30"), ("opened", "10"), ("retransmitted", "7"), ("reply-bits", "1.00M"),
      ("rtt", "1.00ms"),
      ("rtt99", "1.00ms"), ("source-rtt", "20.0ms"), ("state", "ok"),
      // What segments have not.
      ("jitter", "-"), ("jitter-max", "-"), ("loss", "-"), ("lost", "-"), ("link-lost", "-"), ("ipdv", "-"),
      ("pdv", "-"),
    ] {
      #expect(try shown(column, row) == text, "\(column)")
    }
    let media = try #require(MonitorSample.board().rows.first)
    for column in ["connections", "opened", "retransmitted", "reply-bits", "rtt", "source-rtt99"] {
      #expect(try shown(column, media) == "-", "\(column)")
    }
  }

  @Test func detailPage() {
    var state = MonitorState(size: .init(columns: 110, rows: 90))
    for second in 1...3 { state.take(readings(seconds: second), timeNs: MonitorSample.time(second)) }
    _ = state.press(.enter)
    let page = MonitorSample.text(state)
    for line in [
      "replies           100 packets/s, 1.00M bit/s", "TCP", "  open            30",
      "  rtt to sink     p50 1.00ms, p99 1.00ms, max 1.00ms; since deployed max 1.00ms at",
      "  rtt to source   p50 20.0ms, p99 20.0ms, max 20.0ms; since deployed max 20.0ms at",
      "  tcp_opened                    30     +10",
    ] {
      #expect(page.contains(line), "\(line) in:\n\(page)")
    }
    #expect(!page.contains("rtp_packets") && !page.contains("jitter            "), "\(page)")
  }

  @Test func json() throws {
    let text = try MonitorDocument(board, order: MonitorOrder()).json(pretty: false)
    for member in [
      #""connectionsOpen":30"#, #""connectionsOpenedPerSecond":10"#, #""segmentsRetransmitted":7"#,
      #""connections":{"open":30,"sinkRoundTrip":{"interval":{"#, #""jitterSeconds":null"#,
      #""protocol":"tcp""#,
    ] {
      #expect(text.contains(member), "\(member) in \(text)")
    }
  }

  @Test func report() throws {
    var builder = PeriodBuilder(intervals: 3)
    var board = MonitorBoard()
    for second in 1...3 {
      board.take(readings(seconds: second), timeNs: MonitorSample.time(second))
      builder.take(board, beginsAnew: second == 1)
    }
    let report = builder.result()
    let hop = try #require(report.streams.first?.hops.first)
    #expect(hop.row.rates?.counters["tcp_opened"] == 20)
    #expect(hop.sinkRoundTrip.total == 20 && hop.sourceRoundTrip.total == 20)
    #expect(report.text().contains("OPENED"))
    #expect(try report.json().contains(#""sinkRoundTripP99Seconds" : 0.001"#))
  }
}
