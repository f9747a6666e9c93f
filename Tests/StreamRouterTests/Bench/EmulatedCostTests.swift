import Foundation
import Testing

@testable import StreamRouter

/// Instructions that guests counted: the file of Tests/VM/cost.sh, and what results make of it.
@Suite struct EmulatedCostTests {
  private static let text = """
    {"format": 1, "date": "2026-11-29T06:00:00Z", "revision": "0123abc+", "qemu": "7.2.22", "guests": [
      {"kernel": "6.1.0-57-amd64", "upcallPrivate": 11, "upcallShared": 12, "roundTripFIFO": 13, "roundTripOther": 14},
      {"kernel": "6.12.117+deb12-amd64", "upcallPrivate": 21, "upcallShared": 22, "roundTripFIFO": 23, "roundTripOther": 24}
    ]}
    """

  private func read(_ text: String) throws -> EmulatedCost {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).json")
    defer { try? FileManager.default.removeItem(at: file) }
    try text.write(to: file, atomically: true, encoding: .utf8)
    do {
      return try EmulatedCost(path: file.path)
    } catch {
      #expect("\(error)".hasPrefix(file.path + ": "))
      throw error
    }
  }

  @Test("each kernel has a row of each mode and of each policy, and each row says that it is emulated")
  func rows() throws {
    var results = BenchFixture.results()
    try read(Self.text).add(to: &results)
    let figure = try #require(results.figure("cost-instructions"))
    #expect(figure.unit == "instructions")
    #expect(
      figure.series.map(\.way) == [
        "null upcall, mode private, kernel 6.1 (emulated)", "null upcall, mode shared, kernel 6.1 (emulated)",
        "woken process and back, SCHED_FIFO, kernel 6.1 (emulated)",
        "woken process and back, SCHED_OTHER, kernel 6.1 (emulated)",
        "null upcall, mode private, kernel 6.12 (emulated)",
        "null upcall, mode shared, kernel 6.12 (emulated)",
        "woken process and back, SCHED_FIFO, kernel 6.12 (emulated)",
        "woken process and back, SCHED_OTHER, kernel 6.12 (emulated)",
      ])
    #expect(figure.series.map { $0.points[0].values } == [[11], [12], [13], [14], [21], [22], [23], [24]])
    for word in ["QEMU 7.2.22", "icount", "not time", "6.12.117+deb12-amd64", "2026-11-29", "commit 0123abc+"] {
      #expect(figure.note.contains(word))
    }
    let page = BenchMarkdown(results: results, pictures: nil).text
    #expect(page.contains("| null upcall, mode shared, kernel 6.12 (emulated) | 22.0 |"))
    let shown = BenchText(results: results, style: .ascii).text
    #expect(shown.contains("null upcall, mode private, kernel 6.1 (emulated)"))
  }

  @Test("a tree that is no repository has no revision")
  func noRevision() throws {
    let cost = try read(Self.text.replacing("\"revision\": \"0123abc+\", ", with: ""))
    #expect(cost.revision == nil)
    var results = BenchFixture.results()
    cost.add(to: &results)
    #expect(results.figure("cost-instructions")?.note.contains("commit") == false)
  }

  @Test(
    "what the script cannot have written is refused, with the reason",
    arguments: [
      ("\"format\": 1", "\"format\": 2", "format 2"),
      ("\"format\": 1, ", "", "no file of Tests/VM/cost.sh"),
      ("\"upcallShared\": 12", "\"upcallShared\": 0", "0 instructions cannot be, of null upcall, mode shared"),
      ("\"roundTripFIFO\": 23", "\"roundTripFIFO\": -1", "-1 instructions cannot be"),
      ("\"roundTripFIFO\": 23", "\"roundTripFIFO\": 1000000001", "cannot be"),
      ("\"roundTripFIFO\": 23, ", "", "no file of Tests/VM/cost.sh"),
      ("\"roundTripOther\": 24", "\"roundTripOther\": \"24\"", "no file of Tests/VM/cost.sh"),
      ("6.1.0-57-amd64", "6.12.9-amd64", "two guests of one kernel"),
      ("6.1.0-57-amd64", "", "no short word"),
      ("7.2.22", "7.2\\u001b[2J", "no short word"),
      ("7.2.22", String(repeating: "7", count: 65), "no short word"),
      (text, "{\"format\": 1, \"date\": \"today\", \"qemu\": \"7\", \"guests\": []}", "no guest"),
      (text, "", "no file of Tests/VM/cost.sh"),
      (text, "[]", "no file of Tests/VM/cost.sh"),
    ])
  func refused(part: String, instead: String, reason: String) {
    #expect {
      try read(Self.text.replacing(part, with: instead))
    } throws: {
      "\($0)".contains(reason)
    }
  }

  @Test("a file that is not there is refused with its name")
  func missing() {
    #expect {
      try EmulatedCost(path: "/nowhere/upcall-cost.json")
    } throws: {
      "\($0)".hasPrefix("/nowhere/upcall-cost.json: ")
    }
  }
}
