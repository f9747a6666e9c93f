import ArgumentParser
import Foundation
import StreamRouter

/// `streamrouter bench`: what the engines do on this machine, side by side in one run.
struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure the engines against each other and against kernel forwarding on this machine.",
    discussion: """
      Builds three network namespaces of its own and removes them. Takes about six minutes, needs root and two \
      processors, and wants an otherwise idle machine. Use a release build.
      """)

  @Option(help: "Rounds in which the ways take turns; medians are reported.")
  var repetitions = 7
  @Option(help: "Seconds at each offered rate.")
  var seconds = 0.3
  @Option(help: "Busy threads beside the relay.")
  var busyThreads = 8
  @Option(help: "Packets of each transit figure, at 5,000 a second.")
  var transitPackets = 50_000
  @Option(
    help: "Measure only this: \(Bench.Part.allCases.map(\.rawValue).joined(separator: ", ")). Repeatable.")
  var only: [Bench.Part] = []
  @Option(
    name: .customLong("extension"),
    help: "Also measure what this built extension costs: FILE or FILE,parameter=value,... Repeatable.",
    completion: .file(extensions: ["srx"]))
  var extensions: [String] = []
  @Flag(help: "Also measure costs with the account left out.")
  var withoutAccount = false
  @Flag(help: "Print the results as one JSON document.")
  var json = false

  func validate() throws {
    guard repetitions > 0, seconds > 0, busyThreads >= 0, transitPackets >= 1000 else {
      throw ValidationError(
        "repetitions and seconds must be above 0, busy threads at least 0, transit packets at least 1000")
    }
  }

  func run() async throws {
    var settings = Bench.Settings(
      repetitions: repetitions, seconds: seconds, busyThreads: busyThreads, transitPackets: transitPackets)
    if !only.isEmpty { settings.parts = Set(only) }
    settings.extensions = extensions
    settings.withoutAccount = withoutAccount
    let bench = Bench(
      settings: settings,
      progress: { Report.note($0) })
    do {
      let results = try await bench.run()
      if json {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        print(String(decoding: try encoder.encode(results), as: UTF8.self))
      } else {
        print(results.text)
      }
    } catch is CancellationError {
      throw ExitCode(130)
    } catch let error as BenchError {
      Report.error("\(error)")
      if case .needs = error { throw ExitCode(77) }
      throw ExitCode(1)
    }
  }
}

extension Bench.Part: ExpressibleByArgument {}
