import Testing

@testable import StreamRouter

/// Whole frames, compared as text. A frame that changes on purpose is replaced here after reading it.
@Suite struct MonitorFrameTests {
  @Test func tableAt60Columns() {
    let frame = MonitorSample.text(MonitorSample.state(columns: 60, rows: 12))
    #expect(
      frame == """
        studio  3 of 4 nodes up, 1 down  5 relays       15:10:11 UTC
          STREAM▲   NODE     STATE  PKT/S  BIT/S LOSS% JITTER    P99
        › cam1      camera   ok       500  4.80M     0 12.0us 9.00us
          cam1      edge     loss     488  4.68M  2.40 48.0us 9.00us
          cam1      studio-… ok       500  4.80M     0 90.0us 9.00us
          telemetry camera   ok     20.0k   192M     -  352us  450us
          telemetry edge     drop   20.0k   192M     -  410us 3.40ms
        camera       up     3 runnable on 2 CPUs, softirq 12.5%
        edge         up     3 runnable on 2 CPUs, softirq 3.10%
        studio-main  up     3 runnable on 2 CPUs, softirq 12.5%
        spare        down   never answered: connection refused
        q quit  ? help  enter detail  e events  / filter
        """)
  }

  @Test func tableAt80Columns() {
    let frame = MonitorSample.text(MonitorSample.state(columns: 80, rows: 14))
    #expect(
      frame == """
        studio  3 of 4 nodes up, 1 down  5 relays                           15:10:11 UTC
          STREAM▲   NODE      ENGINE  STATE  PKT/S  BIT/S LOSS% JITTER    P99 JITTER 60s
        › cam1      camera    sandbox ok       500  4.80M     0 12.0us 9.00us   ▄█▆██▆██
          cam1      edge      sandbox loss     488  4.68M  2.40 48.0us 9.00us   ▄█▆██▆██
          cam1      studio-m… sandbox ok       500  4.80M     0 90.0us 9.00us   ▄█▆██▆██
          telemetry camera    sandbox ok     20.0k   192M     -  352us  450us   ▄█▆██▆██
          telemetry edge      process drop   20.0k   192M     -  410us 3.40ms   ▄█▆██▆██


        camera       up     3 runnable on 2 CPUs, softirq 12.5%
        edge         up     3 runnable on 2 CPUs, softirq 3.10%
        studio-main  up     3 runnable on 2 CPUs, softirq 12.5%
        spare        down   never answered: connection refused
        q quit  ? help  enter detail  e events  / filter  space freeze  < > sort: stream
        """)
  }

  @Test func tableAt120Columns() {
    let frame = MonitorSample.text(MonitorSample.state(columns: 120, rows: 16))
    #expect(
      frame == """
        studio  3 of 4 nodes up, 1 down  5 relays                                                                   15:10:11 UTC
          STREAM▲   HOP NODE        ENGINE  STATE  PKT/S  BIT/S LOSS% DROPS JITTER    P50    P99    MAX JITTER 60s
        › cam1        0 camera      sandbox ok       500  4.80M     0     0 12.0us 9.00us 9.00us 9.00us       ▃▆▇█▄▆█▃▅▇█▄▆█▃▅▆█
          cam1        1 edge        sandbox loss     488  4.68M  2.40     0 48.0us 9.00us 9.00us 9.00us       ▃▆▇█▄▆█▃▅▇█▄▆█▃▅▆█
          cam1        2 studio-main sandbox ok       500  4.80M     0     0 90.0us 9.00us 9.00us 9.00us       ▃▆▇█▄▆█▃▅▇█▄▆█▃▅▆█
          telemetry   0 camera      sandbox ok     20.0k   192M     -     0  352us  450us  450us  450us       ▃▆▇█▄▆█▃▅▇█▄▆█▃▅▆█
          telemetry   1 edge        process drop   20.0k   192M     -     7  410us 3.40ms 3.40ms 3.40ms       ▃▆▇█▄▆█▃▅▇█▄▆█▃▅▆█




        camera       up     3 runnable on 2 CPUs, softirq 12.5%
        edge         up     3 runnable on 2 CPUs, softirq 3.10%
        studio-main  up     3 runnable on 2 CPUs, softirq 12.5%
        spare        down   never answered: connection refused
        q quit  ? help  enter detail  e events  / filter  space freeze  < > sort: stream  r reverse  j k select
        """)
  }

  @Test func tableAt200Columns() {
    let frame = MonitorSample.text(MonitorSample.state(columns: 200, rows: 14))
    #expect(
      frame == """
        studio  3 of 4 nodes up, 1 down  5 relays                                                                                                                                                   15:10:11 UTC
          STREAM▲   HOP NODE        ENGINE  STATE  PKT/S  BIT/S LOSS% DROPS JITTER    P50    P99    MAX JITTER 60s
        › cam1        0 camera      sandbox ok       500  4.80M     0     0 12.0us 9.00us 9.00us 9.00us                ▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂
          cam1        1 edge        sandbox loss     488  4.68M  2.40     0 48.0us 9.00us 9.00us 9.00us                ▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂
          cam1        2 studio-main sandbox ok       500  4.80M     0     0 90.0us 9.00us 9.00us 9.00us                ▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂
          telemetry   0 camera      sandbox ok     20.0k   192M     -     0  352us  450us  450us  450us                ▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂
          telemetry   1 edge        process drop   20.0k   192M     -     7  410us 3.40ms 3.40ms 3.40ms                ▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂


        camera       up     3 runnable on 2 CPUs, softirq 12.5%
        edge         up     3 runnable on 2 CPUs, softirq 3.10%
        studio-main  up     3 runnable on 2 CPUs, softirq 12.5%
        spare        down   never answered: connection refused
        q quit  ? help  enter detail  e events  / filter  space freeze  < > sort: stream  r reverse  j k select
        """)
  }

  /// A node that fell silent keeps its relays, says how old they are, and shows no figure as if it were fresh.
  @Test func staleNodeWithASCII() {
    var state = MonitorState(size: .init(columns: 80, rows: 12))
    state.take(MonitorSample.readings(seconds: 44), timeNs: MonitorSample.time(44))
    var silent = MonitorSample.readings(seconds: 45)
    silent[1] = NodeReading(node: "edge", snapshot: nil, problem: "timed out after 1s")
    state.take(silent, timeNs: MonitorSample.time(57))
    let frame = MonitorSample.text(state, style: MonitorStyle(colour: false, unicode: false))
    #expect(frame.allSatisfy { $0.isASCII })
    #expect(
      frame == """
        studio  2 of 4 nodes up, 1 stale, 1 down  5 relays                  15:10:23 UTC
          STREAM^   NODE      ENGINE  STATE  PKT/S  BIT/S LOSS% JITTER    P99 JITTER 60s
        > cam1      camera    sandbox ok       500  4.80M     0 12.0us 9.00us        # .
          cam1      edge      sandbox stale      -      -     -      -      -        #
          cam1      studio-m~ sandbox ok       500  4.80M     0 90.0us 9.00us        # .
          telemetry camera    sandbox ok     20.0k   192M     -  352us  450us        # .
          telemetry edge      process stale      -      -     -      -      -        #
        camera       up     3 runnable on 2 CPUs, softirq 12.5%
        edge         stale  last answer 13s ago: timed out after 1s
        studio-main  up     3 runnable on 2 CPUs, softirq 12.5%
        spare        down   never answered: connection refused
        q quit  ? help  enter detail  e events  / filter  space freeze  < > sort: stream
        """)
  }

  @Test func detail() {
    var state = MonitorSample.state(columns: 100, rows: 51)
    _ = state.press(.down)
    _ = state.press(.enter)
    #expect(
      MonitorSample.text(state) == """
        studio  3 of 4 nodes up, 1 down  5 relays                                               15:10:11 UTC
        stream cam1, hop 1 on node edge  loss
        ingress           10.0.1.1:5004 rtp
        engine            sandbox
        sinks             node next at 10.0.2.1:5004, from 10.0.1.1:5004
        last seen         0s ago
        ssrc              0xcafe
        jitter            48.0us, at most 960us since deployed
                                         ▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂▃▃▄▅▆▆▇█▂ 60s, up to 432us
        in                488 packets/s, 4.68M bit/s
        out               488 packets/s, 4.68M bit/s
        lost              12 since deployed, 0.05%; 12 in the interval, 12 of them on the way here

        Packets
          packets_in                22 488    +488  datagrams that arrived from an allowed source
          bytes_in              26 985 600   +586k  UDP payload bytes of those datagrams
          packets_out               22 488    +488  datagrams sent or delivered, all sinks together
          bytes_out             26 985 600   +586k  UDP payload bytes sent or delivered
          unmeasured                     0          datagrams not looked at: another processor was at it

        RTP
          rtp_packets               22 488    +488  RTP packets among packets_in
          rtcp_packets                   0          RTCP packets among packets_in
          rtp_missing                   12     +12  sequence numbers skipped when a later one arrived
          rtp_late                       0          skipped packets that arrived after all, out of order
          rtp_duplicates                 0          packets whose sequence number had arrived before
          rtp_restarts                   0          new SSRCs and jumps of the sequence number

        Dropped at this hop
          drop_source                    0          source address that the stream does not allow
          drop_malformed                 0          lengths in the headers that contradict the packet
          drop_fragment                  0          first fragment of a fragmented datagram
          drop_not_rtp                   0          neither RTP nor RTCP version 2 on an RTP relay
          drop_ttl                       0          TTL or hop limit used up
          drop_route                     0          no route to the sink
          drop_neighbour                 0          link-layer address of the next hop not known yet
          drop_mtu                       0          datagram larger than the MTU towards the sink
          drop_send                      0          the kernel refused to send or to copy the packet
          drop_extension                 0          an extension of the stream decided so
          drop_fault                     0          an extension trapped, crashed, or is missing
          drop_busy                      0          another processor held the extensions' state
          drop_train                     0          GSO packet for extensions, which see single datagrams
          drop_queue                     0          receive queue full before the relay could read it

        Residence: arrival to transmit, since deployed
          interval        p50 9.00us, p99 9.00us, max 9.00us
          since deployed  p50 9.00us, p99 9.00us, max 9.00us
          < 16.4us              22 488  ████████████████████████████████████████████████████████████


        q quit  esc back  j k scroll  space freeze
        """)
  }

  @Test func help() {
    var state = MonitorSample.state(columns: 80, rows: 40)
    _ = state.press(.character("?"))
    #expect(
      MonitorSample.text(state) == """
        studio  3 of 4 nodes up, 1 down  5 relays                           15:10:11 UTC
        Keys
          q  Ctrl-C    quit
          Q            quit and leave the last picture on the terminal
          ?  h         this help
          esc          back; in the table: clear the filter
          arrows  j k  select a relay, or scroll
          g  G         first, last
          PgUp  PgDn   a screen up, down
          enter        all about the selected relay
          e            what happened: streams start, stop, lose; limits; silent nodes
          /            filter by stream, node, engine or state; !text shows the others
          <  >         sort by the column to the left, to the right
          r            reverse the order
          space        freeze the picture; readings go on behind it

        Columns (a narrow terminal shows fewer)
          STREAM       the stream's name in the topology
          HOP          place on the stream's way, 0 where it enters
          NODE         the node that runs the relay
          ENGINE       where the relay runs
          STATE        ok, idle, loss, drop, limit broken, cut by extension, new, stale
          PKT/S        datagrams a second that arrived
          BIT/S        bits a second of payload that arrived
          LOSS%        RTP packets missing on arrival, of those expected in the interval
          DROPS        packets this hop dropped in the interval
          JITTER       interarrival jitter of RFC 3550, in its own smoothing
          P50          arrival to transmit in the interval, half of the packets
          P99          the same, 99 of 100 packets
          MAX          the same, the slowest packet
          JITTER 60s   jitter over the last minute, from zero

        Figures
          LOSS%        in JSON and CSV a ratio from 0 to 1
          -            not known: one reading only, no packets, or the node is stale
          p50 p99 max  upper bounds of histogram steps, up to 25% too high
          softirq      share of all processor time; relays of engine sandbox run there


        q quit  esc back  j k scroll  space freeze
        """)
  }

  @Test func tableReport() {
    let text = TableReport.text(MonitorSample.board(), order: MonitorOrder(), style: MonitorSample.plain)
    #expect(
      text == """
        STREAM     HOP  NODE         ENGINE   STATE  PKT/S  BIT/S  LOSS%  DROPS  JITTER     P50     P99     MAX
        cam1         0  camera       sandbox  ok       500  4.80M      0      0  12.0us  9.00us  9.00us  9.00us
        cam1         1  edge         sandbox  loss     488  4.68M   2.40      0  48.0us  9.00us  9.00us  9.00us
        cam1         2  studio-main  sandbox  ok       500  4.80M      0      0  90.0us  9.00us  9.00us  9.00us
        telemetry    0  camera       sandbox  ok     20.0k   192M      -      0   352us   450us   450us   450us
        telemetry    1  edge         process  drop   20.0k   192M      -      7   410us  3.40ms  3.40ms  3.40ms

        camera       up     3 runnable on 2 CPUs, softirq 12.5%
        edge         up     3 runnable on 2 CPUs, softirq 3.10%
        studio-main  up     3 runnable on 2 CPUs, softirq 12.5%
        spare        down   never answered: connection refused

        """)
  }

  @Test(arguments: [(39, 24), (80, 7), (1, 1), (20, 2)])
  func tooSmall(columns: Int, rows: Int) {
    let frame = MonitorView(
      state: MonitorSample.state(columns: columns, rows: rows), style: MonitorSample.plain
    ).frame()
    #expect(frame.count == rows)
    #expect(frame.allSatisfy { $0.cells <= columns })
    #expect(frame[0].text.hasPrefix("t") || columns == 1)
  }

  /// Whatever the size and page: as many lines as the terminal has, none wider.
  @Test func everySizeIsFilledExactly() {
    for columns in stride(from: 40, through: 210, by: 5) {
      for rows in [8, 9, 12, 24, 50] {
        for keys: [Key] in [
          [], [.enter], [.character("?")], [.character("/"), .character("x")], [.end, .enter, .end],
        ] {
          var state = MonitorSample.state(columns: columns, rows: rows, seconds: 43...45)
          for key in keys { _ = state.press(key) }
          let frame = MonitorView(state: state, style: MonitorSample.plain).frame()
          #expect(frame.count == rows)
          #expect(frame.allSatisfy { $0.cells <= columns }, "\(columns)x\(rows) \(keys)")
        }
      }
    }
  }

  @Test func leastImportantColumnsGoFirst() {
    func names(_ columns: Int) -> [String] {
      MonitorLayout(size: .init(columns: columns, rows: 24), nodes: 3, relays: 5).columns.map(\.name)
    }
    #expect(names(40) == ["stream", "node", "pps", "loss", "jitter"])
    #expect(names(60) == ["stream", "node", "state", "pps", "bits", "loss", "jitter", "p99"])
    #expect(names(200).count == MonitorColumn.all.filter { $0.importance != nil }.count)
    for columns in 40..<200 { #expect(Set(names(columns)).isSubset(of: names(columns + 1))) }
  }

  /// Messages come from other machines: they must not move the cursor.
  @Test func controlCharactersAreShownAsQuestionMarks() {
    var state = MonitorState(size: .init(columns: 80, rows: 12))
    state.take([NodeReading(node: "evil", snapshot: nil, problem: "a\u{1b}[2Jb\r\nc")], timeNs: 1)
    let frame = MonitorSample.text(state)
    #expect(frame.contains("never answered: a?[2Jb?c"))
    #expect(!frame.contains("\u{1b}"))
  }

  /// 1,000 relays: only those on the screen are rendered.
  @Test func manyRelaysAreCheap() throws {
    let relays = (0..<1000).map { MonitorSample.relay("stream-\($0)", hop: 0, seconds: 1) }
    var state = MonitorState(size: .init(columns: 160, rows: 40))
    state.take([MonitorSample.node("edge", seconds: 1, relays: relays)], timeNs: MonitorSample.time(1))
    let clock = ContinuousClock()
    let best = try #require(
      (0..<5).map { _ in
        clock.measure { _ = MonitorView(state: state, style: MonitorSample.plain).frame() }
      }.min())
    // 12 ms measured unoptimised; the bound leaves room for a busy machine.
    #expect(best < .milliseconds(100))
    let frame = MonitorSample.text(state)
    #expect(frame.contains("1000 relays"))
    #expect(frame.contains("stream-0 "))
    #expect(!frame.contains("stream-999"))
    _ = state.press(.character("G"))
    #expect(MonitorSample.text(state).contains("› stream-999"))
  }
}
