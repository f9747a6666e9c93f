import JitterStats
import Testing

/// Bursts and gaps of RFC 3611 section 4.7.2, worked by hand: `.` is a packet received, `x` one lost.
@Suite struct LossPatternTests {
  static func pattern(_ packets: String) -> LossPattern {
    var pattern = LossPattern()
    for packet in packets { if packet == "x" { pattern.lost() } else { pattern.received() } }
    pattern.finish()
    return pattern
  }

  static let sixteen = String(repeating: ".", count: 16)

  @Test func singleLossesBelongToGaps() {
    let pattern = Self.pattern(Self.sixteen + "x" + Self.sixteen + "x" + Self.sixteen)
    #expect(pattern.bursts == 0)
    #expect(pattern.gapPackets == 50)
    #expect(pattern.gapLosses == 2)
    #expect(pattern.longestRun == 1)
  }

  /// 15 received packets do not end a burst, 16 do.
  @Test func sixteenReceivedPacketsEndABurst() {
    let fifteen = String(Self.sixteen.dropFirst())
    let one = Self.pattern("x" + fifteen + "x" + Self.sixteen)
    #expect(one.bursts == 1)
    #expect(one.burstPackets == 17)
    #expect(one.burstLosses == 2)
    #expect(one.gapPackets == 16)
    #expect(Self.pattern("x" + Self.sixteen + "x").bursts == 0)
  }

  @Test func twoBurstsAndTheirGaps() {
    let pattern = Self.pattern("..xx.x" + Self.sixteen + "x" + Self.sixteen + "xxx....")
    #expect(pattern.bursts == 2)
    #expect(pattern.burstPackets == 4 + 3)
    #expect(pattern.burstLosses == 3 + 3)
    #expect(pattern.longestBurst == 4)
    #expect(pattern.longestRun == 3)
    #expect(pattern.gapPackets == 2 + 33 + 4)
    #expect(pattern.gapLosses == 1)
  }

  @Test func lossesAtTheEndAreFollowedByReceivedPackets() {
    let pattern = Self.pattern("....xx")
    #expect(pattern.bursts == 1)
    #expect(pattern.gapPackets == 4)
  }
}
