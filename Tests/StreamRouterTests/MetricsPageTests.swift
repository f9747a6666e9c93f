import Foundation
import Testing

@testable import StreamRouter

/// The text that Prometheus reads.
@Suite struct MetricsPageTests {
  private let page = MetricsSample.page()
  private let cam = #"topology="studio",node="edge",stream="cam1",hop="0""#

  @Test func everyFamilyHasItsHelpItsTypeAndASample() {
    let lines = page.split(separator: "\n")
    for family in MetricFamily.all {
      #expect(lines.count { $0.hasPrefix("# HELP \(family.name) ") } == 1, "\(family.name)")
      #expect(lines.count { $0 == "# TYPE \(family.name) \(family.kind.rawValue)" } == 1, "\(family.name)")
      #expect(lines.contains { $0.hasPrefix(family.name) }, "\(family.name) has no sample")
    }
    #expect(lines.count { $0.hasPrefix("# TYPE ") } == MetricFamily.all.count)
  }

  /// A family's samples stand together below its TYPE, carry the labels that it declares, and no two are alike.
  @Test func samplesStandBelowTheirFamilyWithItsLabels() throws {
    var family: MetricFamily?
    var seen: Set<Substring> = []
    for line in page.split(separator: "\n") {
      if line.hasPrefix("# TYPE ") {
        let name = line.split(separator: " ")[2]
        family = MetricFamily.all.first { $0.name == name }
        continue
      }
      if line.hasPrefix("#") { continue }
      let family = try #require(family)
      let name = try #require(line.split(separator: "{").first)
      let suffixes: [String] =
        switch family.kind {
        case .histogram: ["_bucket", "_sum", "_count"]
        case .summary: ["_sum", "_count"]
        default: [""]
        }
      #expect(suffixes.map { family.name + $0 }.contains(String(name)), "\(line)")
      let value = try #require(line.lastIndex(of: " "))
      #expect(Double(line[line.index(after: value)...]) != nil, "\(line)")
      #expect(seen.insert(line[..<value]).inserted, "twice: \(line)")
      let labels = line.matches(of: /[{,]([a-z]+)="/).map { String($0.output.1) }
      let expected = ["topology", "node"] + family.labels + (name.hasSuffix("_bucket") ? ["le"] : [])
      #expect(labels == expected, "\(line)")
    }
  }

  @Test func namesFollowTheGuide() {
    #expect(Set(MetricFamily.all.map(\.name)).count == MetricFamily.all.count)
    for family in MetricFamily.all {
      #expect(family.name.wholeMatch(of: /streamrouter(_[a-z0-9]+)+/) != nil, "\(family.name)")
      #expect(family.name.hasSuffix("_total") == (family.kind == .counter), "\(family.name)")
      #expect(!family.help.isEmpty && !family.help.hasSuffix("."), "\(family.name)")
      #expect(!family.labels.contains { ["ssrc", "port", "address"].contains($0) }, "\(family.name)")
    }
  }

  @Test func countersAreThoseOfTheSnapshot() throws {
    let relays = MetricsSample.snapshot().relays
    let relay = try #require(relays.first)
    let web = #"topology="studio",node="edge",stream="web",hop="0""#
    for (counter, family) in MetricFamily.relayCounters {
      let ofMedia = counter.kind == .tcp ? nil : relay.counters[counter.name].map { "\($0)" }
      let ofTCP = counter.kind == .rtp ? nil : relays[2].counters[counter.name].map { "\($0)" }
      #expect(MetricsSample.value("\(family.name){\(cam)}", in: page) == ofMedia, "\(family.name)")
      #expect(MetricsSample.value("\(family.name){\(web)}", in: page) == ofTCP, "\(family.name)")
    }
    #expect(MetricsSample.value("streamrouter_relay_tcp_opened_total{\(web)}", in: page) == "12")
    #expect(MetricsSample.value("streamrouter_relay_open_connections{\(web)}", in: page) == "3")
    let roundTrip = "streamrouter_relay_round_trip_seconds_count{\(web)"
    #expect(MetricsSample.value("\(roundTrip),side=\"sink\"}", in: page) == "5")
    #expect(MetricsSample.value("\(roundTrip),side=\"source\"}", in: page) == "2")
    // Segments have no jitter.
    #expect(MetricsSample.value("streamrouter_relay_interarrival_jitter_seconds{\(web)}", in: page) == nil)
    for counter in Counter.drops {
      let sample = "streamrouter_relay_dropped_packets_total{\(cam),reason=\"\(counter.dropReason)\"}"
      #expect(MetricsSample.value(sample, in: page) == "\(relay.counters[counter.name] ?? 99)", "\(sample)")
    }
    #expect(MetricFamily.relayCounters.count + Counter.drops.count == Counter.relay.count)
  }

  /// 512 ns is below no boundary but 1,024; the bounds are ours, so nothing is guessed.
  @Test func residenceIsACumulativeHistogramInSeconds() {
    func bucket(_ bound: String) -> String? {
      MetricsSample.value("streamrouter_relay_residence_seconds_bucket{\(cam),le=\"\(bound)\"}", in: page)
    }
    #expect(bucket("5.12e-07") == "3")
    #expect(bucket("1.024e-06") == "8")
    #expect(bucket("1.6384e-05") == "13")
    #expect(bucket("1.073741824") == "13")
    #expect(bucket("+Inf") == "15")
    #expect(MetricsSample.value("streamrouter_relay_residence_seconds_count{\(cam)}", in: page) == "15")
    #expect(
      MetricsSample.value("streamrouter_relay_residence_seconds_sum{\(cam)}", in: page)
        == "\(Double(500 * 3 + 512 * 4 + 1_023 + 9_000 * 5 + 4_000_000_000) / 1e9)")
  }

  @Test func eachBoundaryIsOneOfTheDatapath() {
    let ours = Set((0..<ResidenceHistogram.bucketCount).map { ResidenceHistogram.upperBoundNs(bucket: $0) })
    #expect(Set(ResidenceBuckets.boundsNs).isSubset(of: ours))
    #expect(ResidenceBuckets.boundsNs == ResidenceBuckets.boundsNs.sorted())
    // Whatever is counted, and however short the array, the last is the sum.
    var histogram = ResidenceHistogram(counts: (0..<112).map { UInt64($0) })
    #expect(ResidenceBuckets.cumulative(histogram).last == histogram.total)
    histogram.counts = [1, 2]
    #expect(ResidenceBuckets.cumulative(histogram).last == 3)
    histogram.counts = []
    #expect(ResidenceBuckets.cumulative(histogram).last == 0)
  }

  @Test func namesThatNeedItAreEscaped() {
    #expect(page.contains(#"stream="tele\"metry\\\n",hop="1""#))
  }

  @Test func whatIsNotCountedHasNoSample() {
    var snapshot = MetricsSample.snapshot()
    snapshot.load = NodeLoad(runnableThreads: 0, processors: 1, softirqSeconds: 0, totalSeconds: 0)
    snapshot.datapath = [:]
    snapshot.relays[0].lastSeenNs = 0
    let bare = MetricsSample.page(snapshot)
    for name in [
      "node_steal_seconds_total", "node_cpu_pressure_ratio", "node_net_rx_softirqs_total",
      "datapath_seen_total", "relay_last_packet_timestamp_seconds{\(cam)",
    ] {
      #expect(!bare.contains("\nstreamrouter_\(name)"), "\(name)")
    }
    #expect(bare.contains("# TYPE streamrouter_node_steal_seconds_total counter\n"))
    // No sequence numbers, no loss.
    #expect(
      !page.contains("streamrouter_relay_rtp_missing_total{topology=\"studio\",node=\"edge\",stream=\"tele"))
  }

  @Test func extensionsOfAChainAreToldApart() {
    let police = "\(cam),extension=\"police\""
    for (sample, value) in [
      ("extension_runs_total{\(police)}", "512"),
      ("extension_runs_total{\(cam),extension=\"police#2\"}", "500"),
      ("extension_verdicts_total{\(police),verdict=\"fault\"}", "1"),
      ("extension_run_seconds_sum{\(police)}", "3e-07"),
      ("extension_run_seconds_count{\(police)}", "2"),
      ("extension_events_total{\(police),counter=\"over\"}", "7"),
      ("relay_worker_restarts_total{\(cam)}", "2"),
    ] {
      #expect(MetricsSample.value("streamrouter_" + sample, in: page) == value, "\(sample)")
    }
  }

  @Test func healthIsSaid() {
    let node = #"topology="studio",node="edge""#
    #expect(MetricsSample.value("streamrouter_node_up{\(node)}", in: page) == "1")
    let health = NodeHealth()
    health.followed()
    health.refused("f.yaml:3:1: error: no")
    let refused = MetricsSample.page(MetricsSample.snapshot(), health.state)
    #expect(MetricsSample.value("streamrouter_node_up{\(node)}", in: refused) == "0")
    #expect(
      MetricsSample.value("streamrouter_node_reloads_total{\(node),result=\"refused\"}", in: refused) == "1")
    #expect(health.state.obstacle?.contains("f.yaml:3:1: error: no; correct the file") == true)
    health.followed()
    health.refreshed(problem: "gone")
    #expect(health.state.obstacle?.contains("gone") == true)
    health.refreshed(problem: nil)
    #expect(health.state.isReady && health.state.obstacle == nil)
  }

  @Test func numbersAreThoseOfTheFormat() {
    #expect(MetricsText.number(.infinity) == "+Inf")
    #expect(MetricsText.number(-.infinity) == "-Inf")
    #expect(MetricsText.number(.nan) == "NaN")
    #expect(MetricsText.number(0.1) == "0.1")
    #expect(MetricsText.escaped("a\"\\\nb", quotes: false) == "a\"\\\\\\nb")
  }

  @Test(.enabled(if: MetricsSample.hasPromtool, MetricsSample.needsPromtool))
  func promtoolFindsNothingToSay() async throws {
    let outcome = try await LabShell.attempt("promtool", ["check", "metrics"], input: page)
    #expect(outcome.succeeded && outcome.output + outcome.errors == "", "\(outcome)")
  }
}
