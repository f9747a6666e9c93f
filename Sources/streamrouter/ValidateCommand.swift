import ArgumentParser
import Foundation
import StreamRouter
import Topology

/// `streamrouter validate FILE...`.
struct ValidateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate",
    abstract: "Check topology files and report every error in them.",
    discussion: """
      Prints one line for each valid file on standard output, and every error as \
      FILE:LINE:COLUMN: error: MESSAGE; REMEDY on standard error.
      Exit status: 0 all files are valid, 64 at least one is not.

      Example: streamrouter validate topologies/three-hop.yaml
      """)

  @Argument(help: "Topology files; - is standard input.", completion: .file(extensions: ["yaml", "yml"]))
  var files: [String]

  @Flag(help: "Print the errors as one JSON array on standard output; it is empty when there are none.")
  var json = false

  func run() throws {
    var problems: [Problem] = []
    for file in files {
      do throws(TopologyError) {
        let topology = try Topology.loadWithExtensions(path: file)
        if !json { print("\(file): ok: \(topology.summary)") }
      } catch {
        problems += error.problems
      }
    }
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(problems), as: UTF8.self))
    } else {
      FileHandle.standardError.write(Data(problems.map { "\($0)\n" }.joined().utf8))
    }
    if !problems.isEmpty { throw ExitCode(EX_USAGE) }
  }
}
