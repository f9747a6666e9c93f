import Foundation
import Testing

@testable import StreamRouter

/// What is made of results: files, charts, tables, a comparison, a page.
@Suite struct BenchOutputTests {
  @Test("JSON comes back as it went")
  func json() throws {
    let results = BenchFixture.results()
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("results.json")
    try results.json().write(to: file)
    #expect(try BenchResults(path: file.path) == results)
    #expect(try BenchResults(path: folder.path) == results)
  }

  @Test("a file of another format, or none, is refused with its name")
  func unreadable() throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).json")
    defer { try? FileManager.default.removeItem(at: file) }
    for text in ["{\"format\": 99}", "{}", "no json"] {
      try text.write(to: file, atomically: true, encoding: .utf8)
      #expect {
        try BenchResults(path: file.path)
      } throws: {
        "\($0)".hasPrefix(file.path)
      }
    }
    #expect(throws: BenchError.self) { try BenchResults(path: "/nowhere/results.json") }
  }

  @Test("CSV has a line for each value")
  func csv() throws {
    let lines = BenchFixture.results().csv().split(separator: "\n")
    #expect(lines[0] == "figure,unit,axis,way,x,round,value")
    #expect(lines.contains("udp-best,packets/s,background threads,sandbox,64,2,520000.0"))
    #expect(lines.count == 1 + 24 + 12 + 3 + 3)
  }

  @Test("a chart in block characters, on a logarithmic scale where a linear one would hide the low ones")
  func chart() throws {
    var figure = ThroughputBench.best
    for (way, values) in [("process", [100_000.0, 10_000]), ("sandbox", [400_000, 400_000])] {
      for (x, value) in zip([0, 8], values) { figure.add(value, way: way, x: x, round: 0) }
    }
    let linear = BenchChart(figure: figure, style: .blocks, width: 16)
    #expect(
      linear.lines.joined(separator: "\n") == """
        UDP throughput at each way's best rate, thousand packets/s
          0 background threads
            process  ████ 100
            sandbox  ████████████████ 400
          8 background threads
            process  ▍ 10.0
            sandbox  ████████████████ 400
        """)
    figure.add(4000, way: "process", x: 64, round: 0)
    let ascii = BenchChart(figure: figure, style: .ascii, width: 20)
    #expect(
      ascii.lines.joined(separator: "\n") == """
        UDP throughput at each way's best rate, thousand packets/s (bars on a logarithmic scale)
          0 background threads
            process  ############### 100
            sandbox  #################### 400
          8 background threads
            process  ###### 10.0
            sandbox  #################### 400
          64 background threads
            process  ## 4.00
        """)
  }

  @Test("of many places of the axis a chart shows the first, the middle and the last")
  func places() {
    #expect(BenchChart.shown([0, 1, 2, 4, 8, 16, 32, 64]) == [0, 8, 64])
    #expect(BenchChart.shown([1, 2]) == [1, 2])
  }

  @Test("the text has medians, the span, ratios and what was not measured")
  func text() {
    let text = BenchText(results: BenchFixture.results(), style: .ascii).text
    #expect(text.contains("Abacus, 2 processors, Linux 6.18, bare metal"))
    #expect(text.contains("525 +-3%"))
    #expect(text.contains("not measured: udp, socat: socat is not installed"))
    // 500/400, 528/440, 525/420
    #expect(text.split(separator: "\n").contains { $0.hasPrefix("  kernel forwarding") && $0.contains("1.25") })
    #expect(text.utf8.allSatisfy { $0 < 128 })
  }

  @Test("gnuplot gets the values, ticks for the places, and a logarithmic scale where it is needed")
  func plot() {
    let figure = BenchFixture.results().figure("udp-best")!
    let script = BenchPlot(figure: figure).script(output: "a.svg")
    #expect(script.contains("set output 'a.svg'"))
    #expect(script.contains("set xtics ('0' 0, '64' 1)"))
    #expect(script.contains("set logscale y"))
    #expect(script.contains("0 525.0 500.0 528.0"))
    #expect(!BenchPlot.draws(CostBench.path))
    #expect(!BenchPlot.draws(ThroughputBench.bestKsoftirqd))
  }

  @Test("a comparison says what is beyond the spread of both, and in which direction")
  func comparison() throws {
    let before = BenchFixture.results()
    var after = before
    for place in after.figures.indices {
      for series in after.figures[place].series.indices {
        for point in after.figures[place].series[series].points.indices {
          after.figures[place].series[series].points[point].values =
            after.figures[place].series[series].points[point].values.map { $0.map { $0 * 1.2 } }
        }
      }
    }
    let rows = BenchComparison(before, after).rows
    let sandbox = try #require(rows.first { $0.figure == "udp-best" && $0.way == "sandbox" && $0.x == 0 })
    #expect(sandbox.verdict == "better")
    #expect(abs(sandbox.ratio - 1.2) < 1e-9)
    // 140 to 160 ns against 168 to 192: more is worse.
    #expect(rows.first { $0.figure == "cost-path" }?.verdict == "worse")
    // A share is neither good nor bad; one value each time would be no spread, but three equal ones are one.
    #expect(rows.first { $0.figure == "udp-best-ksoftirqd" }?.better == .neither)
    let same = BenchComparison(before, before)
    #expect(same.rows.allSatisfy { $0.verdict == "within the spread" })
    #expect(same.text.hasSuffix("0 better and 0 worse beyond the spread of both runs"))
    #expect(same.remarks.isEmpty)
  }

  @Test("other machines, settings and figures are remarked on")
  func comparisonRemarks() {
    let before = BenchFixture.results()
    var after = before
    after.machine.kernel = "6.1"
    after.settings.repetitions = 9
    after.figures.removeAll { $0.key == "cost-path" }
    let remarks = BenchComparison(before, after).remarks
    #expect(remarks.count == 3)
    #expect(remarks.last == "only in the first: cost-path")
  }

  @Test("a way that one result alone has is remarked on, with its value where there is but one")
  func comparisonLone() {
    var (before, after) = (BenchFixture.results(), BenchFixture.results())
    before.add(1370, to: UpcallCost.run, way: UpcallCost.series(mode: "private"), round: 0)
    after.add(991, to: UpcallCost.run, way: UpcallCost.series(mode: "shared"), round: 0)
    after.add(5, to: ThroughputBench.best, way: "srt", x: 0, round: 0)
    #expect(
      BenchComparison(before, after).remarks == [
        "only in the first: cost-upcall, null upcall, mode private: 1,370 cycles",
        "only in the second: udp-best, srt-live-transmit",
        "only in the second: cost-upcall, null upcall, mode shared: 991 cycles",
      ])
  }

  @Test("demands are judged by what was found; what was not measured is said to be so")
  func judged() throws {
    let results = BenchFixture.results()
    let all = BenchJudgement.all(results)
    func verdict(_ beginning: String) throws -> String {
      try #require(all.first { $0.subject.hasPrefix(beginning) }).verdict
    }
    #expect(try verdict("UDP at the best rate, no threads: sandbox to process") == "reached")
    #expect(try verdict("UDP at the best rate, no threads: sandbox to kernel") == "reached")
    #expect(
      try verdict("UDP at the best rate, no threads: sandbox to the best peer (nginx stream)") == "reached")
    // 490/500, 520/528, 500/525: the median is 0.98.
    #expect(try verdict("UDP at the best rate: sandbox with 64") == "reached")
    #expect(try verdict("Relay path in BPF test-run") == "reached")
    #expect(try verdict("TCP, 8 threads: packet mode to the best proxy") == "not measured")
    #expect(try verdict("Each further sink") == "not measured")
    #expect(all.count == 18)
    var slow = results
    for place in slow.figures.indices where slow.figures[place].key == "cost-path" {
      slow.figures[place].series[0].points[0].values = [150, 151, 150]
    }
    let path = try #require(BenchJudgement.all(slow).first { $0.subject.hasPrefix("Relay path in BPF") })
    #expect(path.verdict == "not reached")
  }

  @Test("the page has the judged table, commands, pictures or bars, the paper's figures and the limits")
  func markdown() throws {
    let page = BenchMarkdown(results: BenchFixture.results(), pictures: "img/results-").text
    let lines = page.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.first == "# Results")
    #expect(
      lines.contains(
        "| UDP at the best rate, no threads: sandbox to kernel forwarding | at least 1.15 | 1.25 (1.20 to 1.25) | reached |"
      ))
    #expect(
      lines.contains("| TCP, no threads: packet mode to kernel forwarding | at least 0.95 | - | not measured |")
    )
    #expect(lines.contains("`sudo streamrouter bench cost`"))
    #expect(page.contains("![UDP throughput at each way's best rate](img/results-udp-best.svg)"))
    #expect(page.contains("| packet, sandbox | 3,145 (3,140 to 3,160) | 6,360 |"))
    #expect(page.contains("- udp, socat: socat is not installed"))
    #expect(page.contains("## What they show, and what they do not"))
    #expect(page.hasSuffix("\n"))
    let plain = BenchMarkdown(results: BenchFixture.results(), pictures: nil).text
    #expect(!plain.contains("!["))
    #expect(plain.contains("█"))
  }
}
