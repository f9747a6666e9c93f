import Testing

@testable import Topology

@Suite struct WordsTests {
  @Test(arguments: [
    ("adress", "address"), ("ADDRESS", "address"), ("clock_rate", "clockRate"), ("fron", "from"),
    ("adderss", "address"), ("too", "to"), ("kernel", nil), ("", nil), ("x", nil),
    (String(repeating: "address", count: 100), nil),
  ])
  func nearest(word: String, expected: String?) {
    #expect(Words.nearest(to: word, in: ["address", "clockRate", "from", "to", "sandbox"]) == expected)
  }

  @Test func distanceCountsSwapsOnce() {
    #expect(Words.distance(Array("abcd".utf8), Array("acbd".utf8)) == 1)
    #expect(Words.distance(Array("kitten".utf8), Array("sitting".utf8)) == 3)
    #expect(Words.distance([], Array("abc".utf8)) == 3)
  }

  @Test func quotedTextIsShortAndHarmless() {
    #expect(Words.quote("a\u{1b}[1m\u{202e}b") == "'a\\u{1b}[1m\\u{202e}b'")
    #expect(Words.quote(String(repeating: "x", count: 61)).hasSuffix("x...'"))
  }
}
