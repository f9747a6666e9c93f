import ArgumentParser
import Foundation
import StreamRouter
import Topology

/// `streamrouter check`: judges running streams by their limits.
struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Judge running streams by what the topology expects of them.",
    discussion: """
      A stream's limits stand under 'expect' in the topology: {jitter: 5ms, pdv-p99.9: 2ms, loss: 0.1%, rate: 1M..8M}. \
      Each --interval is judged at every hop. Where a limit is broken, the hop that breaks it first is named, not \
      those behind it, with the cause; on standard error when it is first seen, and in the report. Ends after --for, \
      or on Ctrl-C with the report so far.

        streamrouter check topologies/three-hop.yaml --for 30s
        streamrouter check --stream video --interval 500ms --json

      Exit status: 0 no limit was broken, 1 not everything could be judged, 2 a limit was broken, 64 wrong usage or no \
      stream has limits, 69 no node answers.
      """)

  @Argument(
    help:
      "The topology file, whose limits count. Without it: the lab that runs here, by the limits that its nodes know.",
    completion: .file(extensions: ["yaml", "yml"]))
  var file: String?

  @Option(help: "The topology's name, where its file is not at hand or several labs run.")
  var topology: String?

  @Option(help: "The only stream to judge.") var stream: String?

  @Option(name: .customLong("for"), help: ArgumentHelp("How long; 30s by default.", valueName: "time"))
  var duration: TimeSpan?

  @Option(help: "Time between two readings, 250ms to 60s.")
  var interval = Interval(.seconds(1))

  @Flag(help: "Print the report as one JSON document.") var json = false

  func run() async throws {
    let nodes = try await NodeReference(file: file, topology: topology)
    if let stream, let known = nodes.topology?.streams.map(\.name), !known.contains(stream) {
      throw ValidationError(
        "--stream \(stream): no such stream; \(file ?? "the topology") has \(known.joined(separator: ", "))")
    }
    let check = LimitCheck(
      source: nodes.source, limits: nodes.topology?.limits, stream: stream, interval: interval.duration,
      seconds: duration?.seconds ?? 30)
    let end = try await check.run { breach in
      Report.note("stream \(breach.stream), hop \(breach.hop), node \(breach.node): \(breach)")
    }
    switch end {
    case .noNodeAnswers(let readings):
      throw NodeReference.noNodeAnswers(readings, command: "check", file: file)
    case .noLimits:
      Report.error(
        (stream.map { "nothing is expected of stream \($0)" } ?? "no stream has limits")
          + (file.map { " in \($0)" } ?? "")
          + ": write 'expect: {loss: 0.1%, jitter: 5ms}' on a stream of the topology")
      throw ExitCode(64)
    case .done(let report): try tell(report)
    }
  }

  private func tell(_ report: LimitCheckReport) throws {
    if json { try LabExit.printJSON(report) } else { print(report.text) }
    for sentence in report.gaps + report.notes { Report.error(sentence) }
    if report.isBroken { throw ExitCode(TrafficExit.limitExceeded) }
    if !report.gaps.isEmpty { throw ExitCode.failure }
  }
}
