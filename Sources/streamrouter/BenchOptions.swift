import ArgumentParser
import Foundation
import StreamRouter

/// What all benchmarks take, and what is done with their results.
struct BenchOptions: ParsableArguments {
  @Option(
    help: "Background threads on the relay's processor, one measurement each (default: 0,1,2,4,8,16,32,64).",
    transform: { try usage { try BenchSettings.threads(from: $0) }($0) })
  var threads: [Int]?
  @Option(
    help: "Ways to measure, or own, peers, all (default: own).",
    transform: { try usage { try BenchSettings.ways(from: $0) }($0) })
  var ways: [BenchWay]?
  @Flag(help: "Also measure the peers that are installed: programs that users relay with today.")
  var peers = false
  @Option(
    help: "Thread counts at which peers join (default: 0,8,64).",
    transform: { try usage { try BenchSettings.threads(from: $0) }($0) })
  var peerThreads: [Int]?
  @Option(help: "Folder of the peers' configurations.", completion: .directory)
  var peersDirectory = "Benchmarks/peers"
  @Option(help: "Rounds in which the ways take turns; medians are reported (default: 3).")
  var repetitions: Int?
  @Option(help: "Seconds of each measurement of throughput (default: 0.3).")
  var seconds: Double?
  @Flag(help: "A first look: 0, 8 and 64 threads, one short round.")
  var quick = false
  @Option(
    help: "Also write results.json, a CSV file for each figure, and charts there (gnuplot).",
    completion: .directory)
  var output: String?
  @Flag(help: "Print the results as one JSON document.")
  var json = false
  @Flag(help: "Print the results as CSV, a line for each measured value.")
  var csv = false
  @Flag(help: "No characters beyond ASCII in charts.")
  var ascii = false

  func validate() throws {
    if let repetitions, repetitions < 1 { throw ValidationError("--repetitions must be at least 1") }
    if let seconds, !(seconds > 0 && seconds <= 60) {
      throw ValidationError("--seconds must be above 0, at most 60")
    }
    if json && csv { throw ValidationError("--json and --csv are two formats: choose one") }
  }

  /// A message of ours as the argument parser prints it.
  static func usage<T>(_ read: @escaping (String) throws -> T) -> (String) throws -> T {
    { text in
      do { return try read(text) } catch let error as BenchError { throw ValidationError("\(error)") }
    }
  }

  /// Runs parts and prints or writes what they found.
  func measure(
    _ parts: [BenchPart], emulated: EmulatedCost? = nil, _ change: (inout BenchSettings) -> Void
  ) async throws {
    var settings = BenchSettings(parts: parts)
    if quick { settings.makeQuick() }
    if let threads { settings.threads = threads }
    if let peerThreads { settings.peerThreads = peerThreads }
    if let ways { settings.ways = ways }
    if peers { settings.ways = BenchWay.allCases.filter { settings.ways.contains($0) || $0.isPeer } }
    if let repetitions { settings.repetitions = repetitions }
    if let seconds { settings.seconds = seconds }
    settings.peersDirectory = peersDirectory
    change(&settings)
    do {
      let folder = output.map { BenchFolder(path: $0) }
      let results = try await Bench(settings: settings, emulated: emulated, progress: { Report.note($0) }).run {
        results in
        try folder?.keep(results)
      }
      if json {
        print(String(decoding: try results.json(), as: UTF8.self))
      } else if csv {
        print(results.csv(), terminator: "")
      } else {
        print(BenchText(results: results, style: Self.style(ascii: ascii)).text)
      }
      if let folder {
        for note in try await folder.write(results) { Report.note(note) }
      }
    } catch is CancellationError {
      throw ExitCode(130)
    } catch {
      throw Self.fail(error)
    }
  }

  /// Block characters where the locale can show them.
  static func style(ascii: Bool) -> BenchChart.Style {
    let environment = ProcessInfo.processInfo.environment
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
    let isUTF8 = locale.uppercased().contains("UTF-8") || locale.uppercased().contains("UTF8")
    return ascii || !isUTF8 ? .ascii : .blocks
  }

  static func fail(_ error: any Error) -> ExitCode {
    Report.error("\(error)")
    switch error {
    case BenchError.needs: return ExitCode(77)
    case BenchError.usage: return ExitCode(64)
    case BenchError.unreadable: return ExitCode(65)
    default: return ExitCode(1)
    }
  }
}

/// Where the instructions are that guests counted.
struct EmulatedOption: ParsableArguments {
  @Option(
    help:
      "Instructions that emulated guests counted, a file of Tests/VM/cost.sh (default: \(EmulatedCost.usualFile), if there).",
    completion: .file(extensions: ["json"]),
    transform: { try BenchOptions.usage { try EmulatedCost(path: $0) }($0) })
  var emulated: EmulatedCost?

  /// The file that was named, or the usual one. That one nobody asked for, so it ends no run.
  func found() -> EmulatedCost? {
    if let emulated { return emulated }
    guard FileManager.default.fileExists(atPath: EmulatedCost.usualFile) else { return nil }
    do {
      return try EmulatedCost(path: EmulatedCost.usualFile)
    } catch {
      Report.note("left out: \(error)")
      return nil
    }
  }
}
