/// The report as one page of HTML that needs nothing else: no script, no network, no font. It is well-formed XML too.
extension PeriodReport {
  /// Events on the page, the latest.
  private static let eventsOnPage = 500

  public func html() -> String {
    let name = topology.isEmpty ? "streamrouter" : topology
    var html = """
      <!DOCTYPE html>
      <html xmlns="http://www.w3.org/1999/xhtml" lang="en">
      <head>
      <meta charset="utf-8"/>
      <meta name="viewport" content="width=device-width, initial-scale=1"/>
      <meta name="color-scheme" content="light dark"/>
      \(HTMLText.element("title", "\(name): streams from \(MonitorDocument.text(timeNs: startNs))"))
      <style>
      \(Self.style)
      </style>
      </head>
      <body>
      <header>
      \(HTMLText.element("h1", name))
      <p>\(HTMLText.escape(head))</p>

      """
    if streams.count > 1 {
      html += "<nav aria-label=\"streams\"><ul>"
      html += streams.enumerated().map {
        "<li><a href=\"#stream\($0.offset)\">\(HTMLText.escape($0.element.name))</a></li>"
      }
      .joined()
      html += "</ul></nav>\n"
    }
    html += "</header>\n<main>\n"
    for (index, stream) in streams.enumerated() { html += section(stream, index) }
    if streams.isEmpty { html += "<p>No stream was relayed.</p>\n" }
    html += nodesSection() + linksSection() + eventsSection()
    return html
      + "</main>\n<footer><p>streamrouter \(HTMLText.escape(Version.current))</p></footer>\n</body>\n</html>\n"
  }

  private var head: String {
    "\(Figure.duration(seconds: seconds)) from \(MonitorDocument.text(timeNs: startNs)) to "
      + "\(MonitorDocument.text(timeNs: endNs)), \(readings) readings. Times are UTC."
  }

  private func section(_ stream: Stream, _ index: Int) -> String {
    var html = "<section id=\"stream\(index)\">\n<h2>\(HTMLText.escape(stream.name)) "
    html += "<small>\(HTMLText.escape(stream.transport.rawValue))</small></h2>\n"
    if let limits = stream.limits?.limits, !limits.isEmpty {
      html += HTMLText.element("p", "Expected: " + limits.map(\.description).joined(separator: ", ")) + "\n"
    }
    html += remarks(stream)
    let columns = tableColumns(stream.transport)
    html += HTMLText.table(
      caption: "Hop by hop", ["way"] + columns.map(\.title),
      stream.hops.map { hop in [hop.way] + columns.map { $0.text(hop) } },
      figuresFrom: columns.prefix { $0.format == .text }.count + 1)
    let names = stream.hops.map { "hop \($0.row.relay.hop), \($0.row.node)" }
    html += HTMLLine.legend(Array(names.prefix(HTMLLine.most)))
    if names.count > HTMLLine.most {
      html += HTMLText.element("p", "The charts show the first \(HTMLLine.most) of \(names.count) hops.") + "\n"
    }
    html += charts(stream, names) + tables(stream, names)
    return html + "</section>\n"
  }

  /// What went wrong, in sentences.
  private func remarks(_ stream: Stream) -> String {
    var found = stream.broken.map { broken in
      "Limit broken at hop \(broken.worst.hop), node \(broken.worst.node), for "
        + "\(Figure.duration(seconds: broken.seconds)), \(Figure.clock(timeNs: broken.firstNs)) to "
        + "\(Figure.clock(timeNs: broken.lastNs)). The worst: \(broken.worst)."
    }
    for hop in stream.hops {
      if !hop.drops.isEmpty {
        let causes = hop.drops.map { "\(Figure.grouped($0.packets)) \($0.counter.name) (\($0.counter.text))" }
        found.append("Node \(hop.row.node) dropped " + causes.joined(separator: ", ") + ".")
      }
      if hop.restarts > 0 {
        found.append("The counters of node \(hop.row.node) began anew \(hop.restarts) times.")
      }
      if hop.row.rates == nil { found.append("Of node \(hop.row.node) nothing is known of this time.") }
    }
    guard !found.isEmpty else { return "" }
    return "<ul class=\"remarks\">\n" + found.map { HTMLText.element("li", $0) + "\n" }.joined() + "</ul>\n"
  }

  /// A figure over time: its title, where it comes from and how it reads.
  private struct Chart: Sendable {
    var title: String
    /// The axis goes at least that far: what is next to nothing looks so.
    var least: Double
    var value: @Sendable (PeriodHop.Part) -> Double?
    var text: @Sendable (Double) -> String
  }

  private static let charts = [
    Chart(title: "Packets a second", least: 4, value: { $0.packetsPerSecond }, text: { Figure.scaled($0) }),
    Chart(title: "Loss on arrival, %", least: 0.01, value: { $0.lossRatio }, text: { Figure.percent($0) }),
    Chart(
      title: "Jitter (RFC 3550)", least: 1e-6, value: { $0.jitterSeconds },
      text: { Figure.duration(seconds: $0) }),
    Chart(
      title: "Residence, 99 of 100 packets", least: 1e-6, value: { $0.residenceP99Seconds },
      text: { Figure.duration(seconds: $0) }),
  ]

  private func charts(_ stream: Stream, _ names: [String]) -> String {
    var html = "<div class=\"charts\">\n"
    for chart in Self.charts {
      let lines = zip(names, stream.hops).map { name, hop in
        (name: name, values: hop.parts.map { $0.flatMap(chart.value) })
      }
      html += figure(
        chart.title,
        LineChart(title: chart.title, timesNs: timesNs, lines: lines, least: chart.least, text: chart.text)
          .svg())
    }
    let histogram = HistogramChart(
      title: "Residence", rows: zip(names, stream.hops).map { (name: $0, histogram: $1.residence) })
    if let svg = histogram.svg() { html += figure("Residence: how many packets stayed how long", svg) }
    return html + "</div>\n"
  }

  private func figure(_ caption: String, _ svg: String) -> String {
    "<figure>\(HTMLText.element("figcaption", caption))\n\(svg)</figure>\n"
  }

  /// The same as the charts show, for those who do not see them.
  private func tables(_ stream: Stream, _ names: [String]) -> String {
    var html = "<details><summary>The charts as tables</summary>\n"
    for (name, hop) in zip(names, stream.hops) {
      let rows = zip(timesNs, hop.parts).map { timeNs, part in
        [Figure.clock(timeNs: timeNs)]
          + Self.charts.map { chart in part.flatMap(chart.value).map(chart.text) ?? Figure.none }
      }
      html += HTMLText.table(
        caption: "\(name), over time", ["until"] + Self.charts.map(\.title), rows, figuresFrom: 1)
      let buckets = hop.residence.counts.indices.filter { hop.residence.counts[$0] > 0 }
      if !buckets.isEmpty {
        html += HTMLText.table(
          caption: "\(name), residence", ["below", "packets"],
          buckets.map { [HistogramChart.bound($0), Figure.grouped(hop.residence.counts[$0])] }, figuresFrom: 0)
      }
    }
    return html + "</details>\n"
  }

  private func nodesSection() -> String {
    guard !nodes.isEmpty else { return "" }
    let columns = Node.columns
    var html = "<section>\n<h2>Nodes</h2>\n"
    html += HTMLText.table(
      caption: "How busy they were: mean, and the highest of an interval",
      ["node", "at the end"] + columns.map(\.title),
      nodes.map { node in [node.name, node.condition.rawValue] + columns.map { $0.text(node) } }, figuresFrom: 2
    )
    if !gaps.isEmpty {
      html += "<ul class=\"remarks\">\n" + gaps.map { HTMLText.element("li", $0) + "\n" }.joined() + "</ul>\n"
    }
    return html + "</section>\n"
  }

  private func linksSection() -> String {
    guard !links.isEmpty else { return "" }
    let columns = PeriodLink.columns
    return "<section>\n<h2>Links</h2>\n"
      + HTMLText.table(
        caption: "What test packets told, from either end", ["link"] + columns.map(\.title),
        links.map { link in [link.way] + columns.map { $0.text(link) } }, figuresFrom: 2)
      + "</section>\n"
  }

  private func eventsSection() -> String {
    guard !events.isEmpty else { return "" }
    let shown = events.suffix(Self.eventsOnPage)
    let all = events.count + eventsLeftOut
    return "<section>\n<h2>Events</h2>\n"
      + HTMLText.table(
        caption: shown.count < all ? "The last \(shown.count) of \(all)" : "All \(all)",
        ["time", "event", "where", "what"],
        shown.map { [Figure.clock(timeNs: $0.timeNs), $0.kind.rawValue, $0.place, $0.text] }, figuresFrom: 4)
      + "</section>\n"
  }

  /// Colours that people who see few of them tell apart, on light and on dark; the lines differ by their dashes too.
  private static let style = """
    :root { color-scheme: light dark; --ink: #1c2024; --faint: #5f6873; --rule: #d5dae0; --paper: #ffffff;
      --mark: #b42318; --line0: #0066a8; --line1: #c2510a; --line2: #007a57; --line3: #a8438a; --line4: #7a6000;
      --line5: #3f4fc4; --line6: #a3293b; --line7: #4d5a66; }
    @media (prefers-color-scheme: dark) {
      :root { --ink: #e6e9ed; --faint: #9aa5b1; --rule: #3a424c; --paper: #14181d; --mark: #ff8a7a;
        --line0: #58b4f0; --line1: #ff9f5c; --line2: #3fcf9f; --line3: #ec93cf; --line4: #e0c04a; --line5: #9aa6ff;
        --line6: #ff8593; --line7: #b4c0cc; } }
    body { margin: 0 auto; max-width: 84rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
      font: 15px/1.5 system-ui, sans-serif; }
    h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; }
    h2 small, header p, caption, footer, figcaption { color: var(--faint); font-weight: normal; }
    nav ul, .legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.3rem 1.4rem; }
    a { color: var(--line0); }
    .remarks li { color: var(--mark); }
    .wide { overflow-x: auto; margin: 0.8rem 0; }
    table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.87rem; }
    caption { text-align: left; padding-bottom: 0.3rem; }
    th, td { text-align: left; padding: 0.25rem 0.9rem 0.25rem 0; border-bottom: 1px solid var(--rule);
      white-space: nowrap; }
    th { font-weight: 600; } .figure { text-align: right; }
    .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem 2rem; }
    figure { margin: 0; break-inside: avoid; } .chart { width: 100%; height: auto; display: block; }
    .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
    .grid { stroke: var(--rule); stroke-width: 0.7; } .axis { stroke: var(--faint); stroke-width: 1; }
    .tick { fill: var(--faint); font-size: 11px; } .name { fill: var(--ink); font-size: 11px; }
    summary { cursor: pointer; margin: 1rem 0; }
    @media print { body { padding: 0; max-width: none; font-size: 11px; } nav, details { display: none; }
      section { break-before: auto; } .wide { overflow: visible; } }
    @media (max-width: 30rem) { .charts { grid-template-columns: 1fr; } }
    """
}
