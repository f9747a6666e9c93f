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
        q quit  ? help  enter detail  n nodes  e events  / filter
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
        q quit  ? help  enter detail  n nodes  e events  / filter  l links  c columns
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
        q quit  ? help  enter detail  n nodes  e events  / filter  l links  c columns  space freeze  < > sort: stream  r reverse
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
        q quit  ? help  enter detail  n nodes  e events  / filter  l links  c columns  space freeze  < > sort: stream  r reverse  j k select
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
        q quit  ? help  enter detail  n nodes  e events  / filter  l links  c columns
        """)
  }

  @Test func detail() {
    var state = MonitorSample.state(columns: 100, rows: 77)
    _ = state.press(.down)
    _ = state.press(.enter)
    #expect(
      MonitorSample.text(state) == """
        studio  3 of 4 nodes up, 1 down  5 relays                                               15:10:11 UTC
        stream cam1, hop 1 on node edge  loss

        Path                                    PKT/S JITTER  LOST    P99  ADDED
         │ comes in at 10.0.0.1:5004                             0
         ● camera sandbox ok                      500 12.0us     0 9.00us      0
         │ link to edge                                         12
        ›● edge sandbox loss                      488 48.0us     0 9.00us      0
         │ link to studio-main                                   0
         ● studio-main sandbox ok                 500 90.0us     0 9.00us      0
         └ to 10.0.3.1:5004

        jitter  48.0us, at most 432us in 60 s
                              ▃▅█      ▃▅█      ▃▅█      ▃▅█      ▃▅█
                           ▃▅████   ▃▅████   ▃▅████   ▃▅████   ▃▅████
                         ▅███████▃▅███████▃▅███████▃▅███████▃▅███████▃
        residence p99  9.00us, at most 9.00us in 60 s
                         █████████████████████████████████████████████
                         █████████████████████████████████████████████
                         █████████████████████████████████████████████
        packets/s  488, at most 500 in 60 s
                         ████████████████████████████████████████████▇
                         █████████████████████████████████████████████
                         █████████████████████████████████████████████
        lost on the way or dropped  12, at most 12 in 60 s
                                                                     █
                                                                     █
                         ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█

        ingress           10.0.1.1:5004 rtp
        engine            sandbox
        sinks             node studio-main at 10.0.2.1:5004, from 10.0.1.1:5004
        last seen         0s ago
        ssrc              0xcafe
        jitter            48.0us, at most 960us since deployed
        in                488 packets/s, 4.68M bit/s
        out               488 packets/s, 4.68M bit/s
        lost              12 since deployed, 0.05%; 12 in the interval, 12 of them on the way here

        Packets
          packets_in                22 488    +488  datagrams or segments from an allowed source
          bytes_in              26 985 600   +586k  payload bytes of those
          packets_out               22 488    +488  of them sent or delivered, all sinks together
          bytes_out             26 985 600   +586k  payload bytes sent or delivered
          packets_made                   0          datagrams that extensions made, beside packets_in
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
          drop_hold                      0          hold queue full, or the time of release too far
          drop_train                     0          GSO packet for extensions, which see single datagrams
          drop_ports                     0          no source port left for another connection to the sink
          drop_queue                     0          receive queue full before the relay could read it

        Residence: arrival to transmit, since deployed
          interval        p50 9.00us, p99 9.00us, max 9.00us
          since deployed  p50 9.00us, p99 9.00us, max 9.00us
        q quit  esc back  tab next hop  j k scroll  space freeze  n nodes  e events
        """)
  }

  /// The place that adds the most is marked in words.
  @Test func pathNamesThePlaceThatAddsTheMost() {
    var state = MonitorState(size: .init(columns: 120, rows: 16))
    for second in 1...3 {
      state.take(MonitorSample.hurtReadings(seconds: second), timeNs: MonitorSample.time(second))
    }
    _ = state.press(.enter)
    #expect(
      MonitorSample.text(state) == """
        studio  3 of 3 nodes up  3 relays                                                                           15:09:29 UTC
        stream cam, hop 0 on node camera  ok

        Path                                              PKT/S JITTER  LOST    P99  ADDED
         │ comes in at 10.0.0.1:5004                                       0
        ›● camera sandbox ok                                500 48.0us     0 10.0us      0
         │ link to edge                                                    3         350us  █
         ● edge sandbox loss                                497 48.0us     0 4.01ms 4.00ms  ████████████ ◂ adds most
         │ └ to 10.0.9.9:7000
         │ link to studio                                                  0             0
         ● studio sandbox ok                                497 48.0us     0 9.00us      0
         └ to 10.0.3.1:5004

        jitter  48.0us, at most 48.0us in 60 s
                                                                    ▂█
        q quit  esc back  tab next hop  j k scroll  space freeze  n nodes  e events
        """)
  }

  @Test func nodesAt60Columns() {
    var state = MonitorSample.state(columns: 60, rows: 14)
    _ = state.press(.character("n"))
    #expect(
      MonitorSample.text(state) == """
        studio  3 of 4 nodes up, 1 down  5 relays       15:10:11 UTC
          NODE         STATE  RELAYS   PKT/S   RUN  CPUS  WAIT%
        › camera       up          2   20.5k     3     2      -
          edge         up          2   20.5k     3     2      -
          studio-main  up          1     500     3     2      -
          spare        down        -       -     -     -      -

        Columns (a narrow terminal shows fewer)
          NODE         the node's name in the topology
          STATE        up, stale (it answered once), down (it never…
          RELAYS       relays that it runs
          PKT/S        packets a second that arrived at its relays
          RUN          threads running or ready to run
        q quit  esc back  enter detail  j k select  space freeze
        """)
  }

  @Test func nodesAt200Columns() {
    var state = MonitorSample.state(columns: 200, rows: 24)
    for key: Key in [.character("n"), .down] { _ = state.press(key) }
    #expect(
      MonitorSample.text(state) == """
        studio  3 of 4 nodes up, 1 down  5 relays                                                                                                                                                   15:10:11 UTC
          NODE         STATE  RELAYS  ENGINES                PKT/S   RUN  CPUS  WAIT%  SIRQ%  KSIRQ%  STEAL%  RXTOP%     EXT           CLOCK    UP
          camera       up          2  sandbox 2              20.5k     3     2      -   12.5       -       -       -       -               -   45s
        › edge         up          2  process 1, sandbox 1   20.5k     3     2      -   3.10       -       -       -       -               -   45s
          studio-main  up          1  sandbox 1                500     3     2      -   12.5       -       -       -       -               -   45s
          spare        down        -  -                          -     -     -      -      -       -       -       -       -               -     -

        Columns (a narrow terminal shows fewer)
          NODE         the node's name in the topology
          STATE        up, stale (it answered once), down (it never did)
          RELAYS       relays that it runs
          ENGINES      and in which engines
          PKT/S        packets a second that arrived at its relays
          RUN          threads running or ready to run
          CPUS         processors
          WAIT%        time in which a thread that could run waited for a processor (PSI)
          SIRQ%        processor time in softirq; relays of engine sandbox run there
          KSIRQ%       of it in ksoftirqd, which waits for the scheduler like any thread
          STEAL%       processor time that the hypervisor kept for others
          RXTOP%       network receive work that the busiest processor did
          EXT          mean time of a run of its slowest extension
          CLOCK        how far its clock is ahead of the first node's, and how far that can be wrong
          UP           how long its daemon has run
        q quit  esc back  enter detail  j k select  space freeze
        """)
  }

  @Test func nodeAt100Columns() {
    var state = MonitorSample.state(columns: 100, rows: 36)
    for key: Key in [.character("n"), .down, .enter] { _ = state.press(key) }
    #expect(
      MonitorSample.text(state) == """
        studio  3 of 4 nodes up, 1 down  5 relays                                               15:10:11 UTC
        node edge  up
        daemon            process 4711, up 45s
        topology          studio
        threads           3 running or ready to run on 2 processors  more than can run
        waiting           - of the time a thread that could run waited (PSI)
        softirq           3.10% of processor time, - in ksoftirqd, which the scheduler runs
        steal             - of processor time kept by the hypervisor
        receiving         - of the network's receive work on the busiest processor

        runnable threads  3, at most 3 in 60 s
                        ██████████████████████████████████████████████
                        ██████████████████████████████████████████████
                        ██████████████████████████████████████████████
        softirq  3.10%, at most 3.10% in 60 s
                         █████████████████████████████████████████████
                         █████████████████████████████████████████████
                         █████████████████████████████████████████████

        Engines
          process         1 relay
                          engine sandbox needs CAP_BPF; run the node as root
          sandbox         1 relay

        Relays
          cam1       hop 1  loss   488 packets/s, adds 0 of delay variation
          telemetry  hop 1  drop   20.0k packets/s, adds 0 of delay variation

        Datapath of engine sandbox, relays or not
          seen            45 000  packets that entered the datapath
          relayed         0  packets whose address names a relay, dropped ones included
          passed_not_ip   0  neither IPv4 nor IPv6
          passed_not_udp  0  another transport protocol, or an IPv6 extension
          passed_short    0  headers cut short or of an impossible length
          passed_fragment 0  later fragments, which carry no ports
        q quit  esc back  j k scroll  space freeze
        """)
  }

  @Test func columnsPage() {
    var state = MonitorSample.state(columns: 80, rows: 30)
    for key: Key in [
      .character("c"), .down, .character(" "), .end, .character(" "), .character("K"),
    ] {
      _ = state.press(key)
    }
    #expect(
      MonitorSample.text(state) == """
        studio  3 of 4 nodes up, 1 down  5 relays                           15:10:11 UTC
          [x] state          ok, idle, loss, drop, limit broken, cut by extension, new,…
          [x] pps            datagrams a second that arrived
          [x] bits           bits a second of payload that arrived
          [x] loss           RTP packets missing on arrival, of those expected in the i…
          [x] dropped        packets this hop dropped in the interval
          [x] jitter         interarrival jitter of RFC 3550, in its own smoothing
          [x] p50            arrival to transmit in the interval, half of the packets
          [x] p99            the same, 99 of 100 packets
          [x] max            the same, the slowest packet
        › [x] source-rtt99   tcp: the same, 99 of 100
          [x] minute         jitter over the last minute, from zero
          [ ] hop            place on the stream's way, 0 where it enters
          [ ] pps-out        datagrams a second sent, all sinks together
          [ ] bits-out       bits a second of payload sent
          [ ] lost           RTP packets missing in the interval
          [ ] link-lost      packets lost between the hop before and here, in the inter…
          [ ] jitter-max     the largest that jitter ever was
          [ ] ipdv           change of delay from packet to packet on arrival (RFC 3393…
          [ ] pdv            delay over the quickest packet's on arrival (RFC 5481), 99…
          [ ] added          delay variation that this hop adds: residence p99 less p50
          [ ] link-added     delay variation that the way from the hop before adds: ris…
          [ ] connections    tcp: connections that are open
          [ ] opened         tcp: connections a second that sources began
          [ ] retransmitted  tcp: segments whose bytes had passed before, both ways, in…
          [ ] reply-bits     tcp: bits a second of payload from the sink
          [ ] rtt            tcp: round trip between this hop and the sink, half of wha…
          [ ] rtt99          tcp: the same, 99 of 100
          [ ] source-rtt     tcp: round trip between this hop and the source, half of w…
        q quit  esc back  space show or hide  J K move  d usual columns  j k select
        """)
  }

  @Test func help() {
    var state = MonitorSample.state(columns: 80, rows: 45)
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
          enter        the selected relay and its stream's path; the selected node
          <- ->  tab   there: the stream's hop before, its next hop
          n            nodes: load, engines, extensions
          l            links: loss, round trip, delay variation, clocks
          e            what happened: streams start, stop, lose; limits; silent nodes
          c            choose columns and their order
          t            next theme
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
    for columns in stride(from: 40, through: 250, by: 5) {
      for rows in [8, 9, 12, 24, 50] {
        for keys: [Key] in [
          [], [.enter], [.character("?")], [.character("n"), .end], [.character("n"), .enter],
          [.character("c"), .end], [.enter, .tab, .tab], [.character("/"), .character("x")],
          [.end, .enter, .end],
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

  @Test(arguments: [
    ([Key.enter], "stream cam1, hop 0"), ([.enter, .tab], "hop 1 on node edge"), ([.enter, .left], "hop 2"),
    ([.character("n"), .enter, .escape], "NODE "), ([.character("n"), .enter], "node camera  up"),
    ([.character("n"), .character("G"), .enter], "it never answered: connection refused"),
    ([.character("c"), .character("J"), .enter], "HOP STREAM"),
    ([.character("c"), .character(" "), .enter], "  HOP NODE"),
  ])
  func keysLeadToPages(keys: [Key], shown: String) {
    var state = MonitorSample.state(columns: 100, rows: 24, seconds: 43...45)
    for key in keys { _ = state.press(key) }
    #expect(MonitorSample.text(state).contains(shown))
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
