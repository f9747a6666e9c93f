import Foundation
import Testing

@testable import StreamRouter

/// What stands beside the code and must agree with it: docs/METRICS.md, the dashboard, the alert rules.
@Suite struct MetricsDocumentTests {
  private static let document = "docs/METRICS.md"
  private static let dashboard = "packaging/grafana/streamrouter.json"
  private static let rules = "packaging/prometheus/streamrouter.rules.yml"
  private static let ruleTests = "packaging/prometheus/streamrouter.rules.test.yml"
  private static let configuration = "packaging/prometheus/prometheus.yml"

  /// Every name that may stand in an expression.
  private static let samples = Set(
    MetricFamily.all.flatMap { family in
      switch family.kind {
      case .histogram: ["_bucket", "_sum", "_count"].map { family.name + $0 }
      case .summary: ["_sum", "_count"].map { family.name + $0 }
      case .counter, .gauge: [family.name]
      }
    })

  private static func metrics(in text: String) -> Set<String> {
    Set(text.matches(of: /\bstreamrouter(_[a-z0-9]+)+/).map { String($0.output.0) })
  }

  // MARK: docs/METRICS.md

  private static var tables: [(marker: String, table: String)] {
    let families = MetricFamily.all.map { family in
      let labels = family.labels.map { "`\($0)`" }.joined(separator: ", ")
      return "| `\(family.name)` | \(family.kind.rawValue) | \(labels) | \(family.help) |"
    }
    let reasons = Counter.drops.map { "| `\($0.dropReason)` | \($0.text) |" }
    return [
      (
        "families",
        (["| family | type | further labels | what it says |", "|---|---|---|---|"] + families)
          .joined(separator: "\n")
      ),
      ("reasons", (["| reason | what it means |", "|---|---|"] + reasons).joined(separator: "\n")),
    ]
  }

  /// With `SR_REGENERATE=1` it writes them.
  @Test func tablesOfTheDocumentAreThoseOfTheCode() throws {
    var text = try MetricsSample.text(of: Self.document)
    for (marker, table) in Self.tables {
      let begin = try #require(text.range(of: "<!-- \(marker)"))
      let line = try #require(text[begin.lowerBound...].firstIndex(of: "\n"))
      let end = try #require(text.range(of: "<!-- end -->", range: line..<text.endIndex))
      let expected = "\n" + table + "\n"
      guard ProcessInfo.processInfo.environment["SR_REGENERATE"] == nil else {
        text.replaceSubrange(line..<end.lowerBound, with: expected)
        continue
      }
      #expect(
        text[line..<end.lowerBound] == expected,
        "run SR_REGENERATE=1 swift test --filter MetricsDocumentTests and commit \(Self.document)")
    }
    if ProcessInfo.processInfo.environment["SR_REGENERATE"] != nil {
      try text.write(
        to: MetricsSample.root.appending(path: Self.document), atomically: true, encoding: .utf8)
    }
  }

  /// In prose too: whole names exist.
  @Test func theDocumentNamesNoOtherMetric() throws {
    let families = Set(MetricFamily.all.map(\.name))
    for name in Self.metrics(in: try MetricsSample.text(of: Self.document)) {
      #expect(families.contains(name) || Self.samples.contains(name), "\(name)")
    }
  }

  // MARK: Dashboard and rules

  @Test(arguments: [dashboard, rules, ruleTests])
  func everyMetricIsOneThatTheCodeWrites(file: String) throws {
    let used = Self.metrics(in: try MetricsSample.text(of: file))
    #expect(used.count > 5, "\(file) names hardly any metric: is the pattern right?")
    for name in used { #expect(Self.samples.contains(name), "\(file) names \(name)") }
  }

  /// Labels in selectors and legends are those that the metric, or Prometheus itself, has.
  @Test(arguments: [dashboard, rules])
  func labelsAreThoseOfTheFamilies(file: String) throws {
    let known = Set(
      MetricFamily.all.flatMap(\.labels) + ["topology", "node", "le", "job", "instance", "severity"])
    let text = try MetricsSample.text(of: file)
    let found =
      text.matches(of: /[{,] ?([a-z_]+)(=~|!=|!~|=)\\?"/).map { String($0.output.1) }
      + text.matches(of: /\$labels\.([a-z_]+)/).map { String($0.output.1) }
      + text.matches(of: /\{\{([a-z_]+)\}\}/).map { String($0.output.1) }
    #expect(found.count > 10)
    for label in Set(found) { #expect(known.contains(label), "\(file) uses label \(label)") }
  }

  @Test func theDashboardIsOneThatGrafanaImports() throws {
    let object = try JSONSerialization.jsonObject(with: Data(MetricsSample.text(of: Self.dashboard).utf8))
    let dashboard = try #require(object as? [String: Any])
    #expect(dashboard["uid"] as? String == "streamrouter")
    #expect(dashboard["schemaVersion"] as? Int == 38)
    let variables = ((dashboard["templating"] as? [String: Any])?["list"] as? [[String: Any]]) ?? []
    #expect(variables.compactMap { $0["name"] as? String } == ["datasource", "topology", "node", "stream"])
    let panels = (dashboard["panels"] as? [[String: Any]]) ?? []
    #expect(panels.count > 15)
    #expect(Set(panels.compactMap { $0["id"] as? Int }).count == panels.count)
    for panel in panels where panel["type"] as? String != "row" {
      let title = panel["title"] as? String ?? "?"
      #expect((panel["datasource"] as? [String: Any])?["uid"] as? String == "${datasource}", "\(title)")
      #expect((panel["description"] as? String)?.isEmpty == false, "\(title)")
      #expect((panel["targets"] as? [[String: Any]])?.isEmpty == false, "\(title)")
    }
  }

  /// Each alert says what, where and what to do, has unit tests both ways, and a section in the document.
  @Test func everyAlertIsExplainedAndTested() throws {
    let rules = try MetricsSample.text(of: Self.rules)
    let tests = try MetricsSample.text(of: Self.ruleTests)
    let document = try MetricsSample.text(of: Self.document)
    let alerts = rules.components(separatedBy: "- alert: ").dropFirst()
    #expect(alerts.count >= 6)
    for alert in alerts {
      let name = String(alert.prefix { $0 != "\n" })
      for part in ["expr:", "severity:", "summary:", "description:"] {
        #expect(alert.contains(part), "\(name) has no \(part)")
      }
      #expect(alert.contains("runbook: docs/METRICS.md#\(name.lowercased())\n"), "\(name)")
      #expect(document.contains("\n### \(name)\n\n"), "\(name) has no section in the document")
      let cases = tests.components(separatedBy: "alertname: \(name)\n").dropFirst().map {
        $0.prefix(60).contains("exp_alerts: []")
      }
      #expect(cases.contains(true) && cases.contains(false), "\(name) is not tested both ways")
    }
  }

  @Test(.enabled(if: MetricsSample.hasPromtool, MetricsSample.needsPromtool))
  func promtoolTakesRulesAndConfiguration() async throws {
    for (command, file) in [
      (["check", "rules"], Self.rules), (["test", "rules"], Self.ruleTests),
      (["check", "config"], Self.configuration),
    ] {
      let path = MetricsSample.root.appending(path: file).path
      let outcome = try await LabShell.attempt("promtool", command + [path])
      #expect(outcome.succeeded && outcome.output.contains("SUCCESS"), "\(file): \(outcome)")
    }
  }
}
