import Foundation

/// The folder that a run leaves: results.json, one CSV file a figure, and charts where gnuplot is installed.
public struct BenchFolder: Sendable {
  private let path: String

  public init(path: String) { self.path = path }

  /// Writes results.json alone.
  public func keep(_ results: BenchResults) throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try results.json().write(to: URL(fileURLWithPath: path + "/results.json"), options: .atomic)
  }

  /// Writes everything, and says what was written.
  public func write(_ results: BenchResults) async throws -> [String] {
    try keep(results)
    for figure in results.figures {
      try (BenchFigure.csvHeader + figure.csvBody()).write(
        toFile: "\(path)/\(figure.key).csv", atomically: true, encoding: .utf8)
    }
    let drawn = try await draw(results, prefix: "", types: ["svg", "png"])
    return ["\(path): results.json, \(results.figures.count) CSV files" + (drawn == nil ? ", charts" : "")]
      + (drawn.map { [$0] } ?? [])
  }

  /// Draws the figures as PREFIXkey.TYPE.
  ///
  /// - Returns: Why there are no charts, nil where there are.
  public func draw(_ results: BenchResults, prefix: String, types: [String]) async throws -> String? {
    guard BenchPeer.path(of: "gnuplot") != nil else {
      return
        "no charts: gnuplot is not installed (Debian: apt-get install gnuplot-nox, or scripts/setup.sh bench)"
    }
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    for figure in results.figures where BenchPlot.draws(figure) {
      for type in types {
        let script = BenchPlot(figure: figure).script(output: "\(path)/\(prefix)\(figure.key).\(type)")
        let outcome = try await LabShell.attempt("gnuplot", ["-"], input: script)
        guard outcome.succeeded else {
          return "no charts: gnuplot ended with \(outcome.status): \(outcome.errors)"
        }
      }
    }
    return nil
  }
}
