import ArgumentParser
import Foundation
import StreamRouter

extension BenchCommand {
  /// `streamrouter bench compare`.
  struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "compare",
      abstract: "Two results side by side: ratios, and which differences are beyond the spread.",
      discussion: "Exit status: 0 whatever they say, 65 a file is no result.")
    @Argument(help: "The results.json before, or its folder.", completion: .file(extensions: ["json"]))
    var before: String
    @Argument(help: "The results.json after, or its folder.", completion: .file(extensions: ["json"]))
    var after: String

    func run() throws {
      do {
        print(BenchComparison(try BenchResults(path: before), try BenchResults(path: after)).text)
      } catch {
        throw BenchOptions.fail(error)
      }
    }
  }

  /// `streamrouter bench report`.
  struct ReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "report",
      abstract: "Results once more: as text, or as a page of Markdown with charts.",
      discussion:
        "Example: streamrouter bench report .build/bench --markdown docs/RESULTS.md --pictures docs/img")
    @Argument(help: "A results.json, or its folder.", completion: .file(extensions: ["json"]))
    var results: String
    @Option(
      help: "Write a page of Markdown there; - is standard output.", completion: .file(extensions: ["md"]))
    var markdown: String?
    @Option(
      help: "Draw the charts of the page into this folder, as results-FIGURE.svg (gnuplot).",
      completion: .directory)
    var pictures: String?
    @Flag(help: "No characters beyond ASCII in charts.")
    var ascii = false

    func run() async throws {
      do {
        let results = try BenchResults(path: results)
        guard let markdown else {
          print(BenchText(results: results, style: BenchOptions.style(ascii: ascii)).text)
          return
        }
        var link: String?
        if let pictures {
          if let obstacle = try await BenchFolder(path: pictures).draw(
            results, prefix: "results-", types: ["svg"])
          {
            Report.note(obstacle)
          } else {
            link = Self.link(from: markdown, to: pictures) + "/results-"
          }
        }
        let page = BenchMarkdown(results: results, pictures: link).text
        if markdown == "-" {
          print(page, terminator: "")
        } else {
          try page.write(toFile: markdown, atomically: true, encoding: .utf8)
        }
      } catch {
        throw BenchOptions.fail(error)
      }
    }

    /// A folder as a page refers to it.
    static func link(from page: String, to folder: String) -> String {
      let own = URL(fileURLWithPath: page == "-" ? "./page" : page).deletingLastPathComponent().standardized
        .pathComponents
      let other = URL(fileURLWithPath: folder).standardized.pathComponents
      let common = zip(own, other).prefix { $0 == $1 }.count
      return (Array(repeating: "..", count: own.count - common) + other[common...]).joined(separator: "/")
    }
  }
}
