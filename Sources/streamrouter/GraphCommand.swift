import ArgumentParser
import Foundation
import StreamRouter
import Topology

/// `streamrouter graph FILE`.
struct GraphCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "graph",
    abstract: "Draw a topology: nodes, links, and the hops, ports and sinks of every stream.",
    discussion: """
      Exit status: 0 drawn, 64 the file is not valid.

      Examples:
        streamrouter graph topologies/three-hop.yaml
        streamrouter graph topologies/three-hop.yaml --format dot | dot -Tsvg > three-hop.svg
      """)

  @Argument(help: "Topology file; - is standard input.", completion: .file(extensions: ["yaml", "yml"]))
  var file: String

  @Option(help: "What to write: text, dot (Graphviz) or mermaid (Markdown).")
  var format = Graph.Format.text

  func run() throws {
    do throws(TopologyError) {
      let topology = try Topology.loadWithExtensions(path: file)
      print(Graph(topology).render(format), terminator: "")
    } catch {
      FileHandle.standardError.write(Data("\(error)\n".utf8))
      throw ExitCode(EX_USAGE)
    }
  }
}

extension Graph.Format: ExpressibleByArgument {}
