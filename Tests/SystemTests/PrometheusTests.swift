import Foundation
import Testing
import Topology

@testable import StreamRouter

/// A real Prometheus scrapes a lab through which packets went, and says what the nodes' own account says.
///
///     sender --> camera ---- edge ---- studio --> receiver
///                   \-------- | --------/  127.0.0.1:port, +1, +2
///                         prometheus
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct PrometheusTests {
  private static let obstacle =
    LabShell.searchPath.split(separator: ":").contains {
      FileManager.default.isExecutableFile(atPath: "\($0)/prometheus")
    } ? nil : "needs prometheus: run scripts/setup.sh test"

  @Test(
    "Prometheus finds the lab, and its counters are those of the snapshot",
    .enabled(if: obstacle == nil, "\(obstacle ?? "")"), .timeLimit(.minutes(2)))
  func scrapesALab() async throws {
    let live = try LiveLab(
      "prometheus", engine: .sandbox,
      streams: #"  cam: {protocol: rtp, from: "camera:5004", to: "studio:5004"}"#)
    let port = 21_000 + UInt16(getpid() % 10_000)
    defer { try? FileManager.default.removeItem(at: live.folder) }
    _ = try await live.lab.up(live.topology, file: .init(live.file.path), metrics: port)
    do {
      // Without a port a lab that runs is left as it is; for another one it says what to do.
      #expect(try await live.up() == .unchanged)
      await #expect(
        throws: LabError.metricsChanged(topology: live.topology.name, running: port, asked: port + 1)
      ) {
        try await live.lab.up(live.topology, file: .init(live.file.path), metrics: port + 1)
      }
      let status = try await live.lab.status()
      #expect(status.nodes.map(\.metrics) == (0..<3).map { "127.0.0.1:\(port + UInt16($0))" })
      try await scrape(live, port)
    } catch {
      _ = try? await live.lab.downAnyway(live.topology)
      throw error
    }
    _ = try await live.lab.downAnyway(live.topology)
    #expect(!LabFiles.exists(live.lab.metricsTargets), "lab down leaves no targets")
  }

  private func scrape(_ live: LiveLab, _ port: UInt16) async throws {
    let collector = try DatagramCollector(live, node: "studio", at: "10.78.0.3:5004")
    let sender = try NamespaceSocket(namespace: live.namespace("camera"), family: AF_INET)
    let ingress = try #require(Endpoint("10.78.0.1:5004"))
    // Every tenth sequence number is left out: loss that both must show.
    for number in 0..<500 where number % 10 != 9 {
      let sequence = UInt16(number)
      try sender.send(
        [0x80, 96, UInt8(sequence >> 8), UInt8(sequence & 0xff), 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3], to: ingress)
      if number % 20 == 0 { try await Task.sleep(for: .milliseconds(1)) }
    }
    #expect(try await collector.all(expecting: 450).count == 450)

    let configuration = live.folder.appending(path: "prometheus.yml")
    try """
    global: {scrape_interval: 1s}
    scrape_configs:
      - job_name: streamrouter
        honor_labels: true
        file_sd_configs: [{files: ["\(live.lab.metricsTargets)"], refresh_interval: 1s}]

    """.write(to: configuration, atomically: true, encoding: .utf8)
    let prometheus = try LabProcess.startDetached(
      [
        "prometheus", "--config.file=\(configuration.path)", "--web.listen-address=127.0.0.1:\(port + 10)",
        "--storage.tsdb.path=\(live.folder.appending(path: "tsdb").path)",
      ], log: .init(live.folder.appending(path: "prometheus.log").path),
      mark: Lab.mark(topology: live.topology.name))
    do {
      try await compare(live, port + 10)
    } catch {
      await LabProcess.end([prometheus], patience: .seconds(5))
      throw error
    }
    await LabProcess.end([prometheus], patience: .seconds(5))
  }

  private func compare(_ live: LiveLab, _ port: UInt16) async throws {
    let nodes = live.topology.nodes.map(\.name)
    let deadline = ContinuousClock.now + .seconds(40)
    while try await query("up == 1", port).count < nodes.count {
      try #require(
        ContinuousClock.now < deadline, "Prometheus did not scrape every node within 40 s")
      try await Task.sleep(for: .milliseconds(200))
    }
    let hops = try await live.account("cam")
    #expect(hops.map { $0.counters["rtp_missing"] } == [49, 49, 49])
    for (node, relay) in zip(nodes, hops) {
      let labels = "{node=\"\(node)\",stream=\"cam\",hop=\"\(relay.hop)\"}"
      // Those of connections are of tcp relays only.
      for (counter, family) in MetricFamily.relayCounters where counter.kind != .tcp {
        let found = try await query(family.name + labels, port)
        #expect(found == [Double(relay.counters[counter.name] ?? 0)], "\(node) \(family.name)")
      }
      for counter in Counter.drops {
        let sample = MetricFamily.drops.name + labels.dropLast() + ",reason=\"\(counter.dropReason)\"}"
        #expect(
          try await query(sample, port) == [Double(relay.counters[counter.name] ?? 0)], "\(node) \(sample)")
      }
      let name = MetricFamily.residence.name
      for (suffix, expected) in [
        ("_count" + labels, Double(relay.residence.total)),
        ("_sum" + labels, Double(relay.residence.sumNs) / 1e9),
        ("_bucket" + labels.dropLast() + ",le=\"+Inf\"}", Double(relay.residence.total)),
      ] {
        #expect(try await query(name + suffix, port) == [expected], "\(node) \(name + suffix)")
      }
    }
    let quantile = try await query(
      "histogram_quantile(0.999, \(MetricFamily.residence.name)_bucket{node=\"edge\"})", port)
    #expect(quantile.count == 1 && (quantile.first ?? 0) > 0)
    #expect(try await query(MetricFamily.up.name, port) == [1, 1, 1])
  }

  /// The values of an instant query, by the HTTP API of Prometheus.
  private func query(_ expression: String, _ port: UInt16) async throws -> [Double] {
    let escaped = try #require(
      expression.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
    let outcome = try await LabShell.attempt(
      "curl", ["-s", "http://127.0.0.1:\(port)/api/v1/query?query=\(escaped)"])
    guard
      let object = try? JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any],
      let data = object["data"] as? [String: Any], let result = data["result"] as? [[String: Any]]
    else { return [] }
    return result.compactMap { (($0["value"] as? [Any])?.last as? String).flatMap { Double($0) } }
  }
}
