import Foundation
import Testing
import Topology

@testable import StreamRouter

/// A snapshot with everything that metrics can say, and a reader of what they said.
enum MetricsSample {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static func text(of path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  /// Debian's package prometheus has promtool.
  static let hasPromtool = LabShell.searchPath.split(separator: ":").contains {
    FileManager.default.isExecutableFile(atPath: "\($0)/promtool")
  }
  static let needsPromtool: Comment = "needs promtool: run scripts/setup.sh test"

  /// Each family has a sample: every kernel file was there, engine process runs a chain of extensions.
  static func snapshot() -> NodeSnapshot {
    var rtp = MonitorSample.relay("cam1", hop: 0, seconds: 10, lost: 7, dropped: 3)
    rtp.residence = histogram([(500, 3), (512, 4), (1_023, 1), (9_000, 5), (2_000_000_000, 2)])
    rtp.peers = PeerReportViewTests.account
    rtp.peers?.reports[0].timeNs = MonitorSample.startNs
    rtp.peers?.reports[1].timeNs = MonitorSample.startNs
    rtp.worker = RelayWorkerSnapshot(restarts: 2, latest: "police: crashed")
    rtp.extensions = [
      ExtensionSnapshot(
        name: "police", version: "1", content: "c", runs: 512, forwarded: 500, dropped: 11, faults: 1,
        timedRuns: 2, timedSumNs: 300, maxNs: 200, counters: ["late": 4, "over": 7]),
      ExtensionSnapshot(name: "police", version: "1", content: "c", runs: 500),
    ]
    let udp = MonitorSample.relay("tele\"metry\\\n", hop: 1, seconds: 10, transport: .udp)
    var tcp = MonitorSample.relay("web", hop: 0, seconds: 10, transport: .tcp)
    tcp.counters["tcp_opened"] = 12
    tcp.tcp = ConnectionAccount(
      open: 3, sinkRoundTrip: VariationHistogram(durations: histogram([(400_000, 5)])),
      sourceRoundTrip: VariationHistogram(durations: histogram([(90_000, 2)])))
    var link = LinkSnapshot(
      peer: "studio", local: IPAddress("10.0.0.2")!, remote: Endpoint("10.0.0.3:8622")!, intervalMs: 200)
    (link.sent, link.answered, link.lostForward, link.lostBackward, link.lostEither) = (100, 90, 4, 3, 1)
    (link.reflected, link.lastAnswerNs) = (99, MonitorSample.startNs)
    (link.clockOffsetNs, link.clockErrorNs) = (-1_500_000, 20_000)
    link.roundTrip = histogram([(300_000, 90)])
    link.ipdvForward.durations = histogram([(9_000, 80)])
    link.ipdvBackward.durations = histogram([(5_000, 80)])
    return NodeSnapshot(
      topology: "studio", node: "edge", timeNs: MonitorSample.startNs + 10_000_000_000, pid: 1,
      startedNs: MonitorSample.startNs,
      load: NodeLoad(
        runnableThreads: 3, processors: 2, softirqSeconds: 1.5, totalSeconds: 20, stealSeconds: 0.25,
        ksoftirqdSeconds: 0.5, pressure: .init(tenSecondShare: 0.125, waitingSeconds: 4),
        byProcessor: [
          .init(number: 0, netRxSoftirqs: 10, interruptSeconds: 1),
          .init(number: 2, netRxSoftirqs: 30, interruptSeconds: 2),
        ]),
      datapath: Dictionary(
        uniqueKeysWithValues: Counter.node.map { ($0.name, UInt64($0.index + 1)) }),
      relays: [rtp, udp, tcp], links: [link])
  }

  /// A histogram of so many packets of each residence in nanoseconds.
  static func histogram(_ packets: [(ns: UInt64, count: UInt64)]) -> ResidenceHistogram {
    var histogram = ResidenceHistogram()
    for (ns, count) in packets {
      let bucket =
        (0..<ResidenceHistogram.bucketCount).first { ResidenceHistogram.upperBoundNs(bucket: $0) > ns }
        ?? ResidenceHistogram.bucketCount - 1
      histogram.counts[bucket] += count
      histogram.sumNs += ns * count
      histogram.maxNs = max(histogram.maxNs, ns)
    }
    return histogram
  }

  static func page(_ snapshot: NodeSnapshot = snapshot(), _ health: NodeHealth.State = .init()) -> String {
    MetricsPage(
      snapshot: snapshot, health: health, version: "9.8.7",
      certificateEnd: Date(timeIntervalSince1970: 1_800_000_000.5)
    ).text()
  }

  /// The value of a sample by its name and labels, as they stand in the text; nil where there is none.
  static func value(_ sample: String, in page: String) -> String? {
    page.split(separator: "\n").first { $0.hasPrefix(sample + " ") }.map {
      String($0.dropFirst(sample.count + 1))
    }
  }
}
