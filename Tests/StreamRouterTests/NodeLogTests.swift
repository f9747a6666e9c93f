import Foundation
import Logging
import Testing

@testable import StreamRouter

@Suite struct NodeLogTests {
  private static let noon = Date(timeIntervalSince1970: 1_800_000_000)

  private func text(
    _ format: NodeLog.Format, journal: Bool, _ level: Logger.Level, _ message: Logger.Message,
    _ fields: Logger.Metadata = [:]
  ) -> String {
    NodeLog(label: "edge", format: format, isJournal: journal).text(level, message, fields, at: Self.noon)
  }

  @Test func aTerminalGetsTheTime() {
    #expect(
      text(.text, journal: false, .info, "it runs", ["relays": "2"])
        == "08:00:00.000 info edge: it runs relays=2\n")
  }

  @Test(
    "journald gets a priority, and gives the time itself",
    arguments: [
      (Logger.Level.debug, 7), (.info, 6), (.notice, 5), (.warning, 4), (.error, 3), (.critical, 2),
    ])
  func journal(level: Logger.Level, priority: Int) {
    #expect(text(.text, journal: true, level, "it runs") == "<\(priority)>\(level) edge: it runs\n")
  }

  @Test func eachLineOfALongMessageHasThePriority() {
    #expect(
      text(.text, journal: true, .error, "refused:\n0: R1\n1: R2")
        == "<3>error edge: refused:\n<3>0: R1\n<3>1: R2\n")
  }

  @Test(arguments: [false, true]) func anObjectIsALine(journal: Bool) throws {
    var line = text(.json, journal: journal, .warning, "a \"quote\"\nand a line", ["stream": "video"])
    #expect(line.filter { $0 == "\n" }.count == 1)
    if journal {
      #expect(line.hasPrefix("<4>{"))
      line.removeFirst(3)
    }
    let object = try JSONDecoder().decode([String: String].self, from: Data(line.utf8))
    #expect(object["message"] == "a \"quote\"\nand a line" && object["stream"] == "video")
    #expect(object["level"] == "warning" && object["node"] == "edge")
    #expect((object["time"] == nil) == journal)
  }
}
