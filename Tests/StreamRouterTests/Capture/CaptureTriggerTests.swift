import JitterStats
import Testing

@testable import StreamRouter

/// When a capture is triggered.
@Suite struct CaptureTriggerTests {
  private static func trigger(_ text: String) throws -> CaptureTrigger {
    CaptureTrigger([try #require(Threshold(text))], clockRate: 90_000)
  }

  /// Packets of 1 kHz; those that are named are lost.
  private static func feed(
    _ trigger: inout CaptureTrigger, _ numbers: Range<Int>, without lost: Set<Int> = [], lateNs: UInt64 = 0
  ) -> [String] {
    numbers.filter { !lost.contains($0) }.compactMap { number in
      trigger.receive(
        RTPHeader(sequence: UInt16(truncatingIfNeeded: number), timestamp: UInt32(number) * 90, ssrc: 1),
        timeNs: 5_000_000_000 + UInt64(number) * 1_000_000 + (number % 2 == 0 ? lateNs : 0))
    }
  }

  @Test("one lost packet, and for how long it counts")
  func loss() throws {
    var trigger = try Self.trigger("loss>0")
    #expect(Self.feed(&trigger, 0..<500).isEmpty)
    let words = Self.feed(&trigger, 500..<1500, without: [700])
    // From 701 on, through this second and the next.
    #expect(words.count == 1500 - 701)
    #expect(words.first == "loss>0: 1 of 702 packets missing")
    #expect(Self.feed(&trigger, 1500..<2000).count == 500)
    #expect(Self.feed(&trigger, 2000..<4000).isEmpty)
  }

  @Test("a share of the packets")
  func share() throws {
    var trigger = try Self.trigger("loss>1%")
    #expect(Self.feed(&trigger, 0..<1000, without: [900]).isEmpty)
    #expect(!Self.feed(&trigger, 1000..<2000, without: Set(1500..<1530)).isEmpty)
  }

  @Test("jitter, as RFC 3550 estimates it")
  func jitter() throws {
    var trigger = try Self.trigger("jitter>400us")
    #expect(Self.feed(&trigger, 0..<1000).isEmpty)
    let words = Self.feed(&trigger, 1000..<2000, lateNs: 500_000)
    #expect(words.first?.hasPrefix("jitter>400us: jitter is 4") == true, "\(words.first ?? "none")")
    // The estimate needs some 25 packets to get there.
    #expect(words.count > 900 && words.count < 990)
  }
}
