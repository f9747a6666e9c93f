import Foundation
import TestSupport
import Testing

@testable import channelpeer

/// Two processes and what kill -9 leaves of them.
///
///     channelpeer producer ==> ring, slots ==> channelpeer consumer
///              \__ halves' descriptors __ keeper (this test) __/
@Suite(.serialized) struct KillTests {
  @Test(
    "either side is killed 1,000 times at random points: no slot is lost, no packet garbled or repeated",
    .timeLimit(.minutes(5)), arguments: [1, 3])
  func killed(threads: Int) async throws {
    var random = SeededRandom()
    let comment = Comment(rawValue: "seed \(random.seed)")
    let family = try ChannelFamily(threads: threads)
    let tally = family.tally
    for round in 0..<1_000 {
      // From before a side has started to well after it works.
      let pause = UInt32.random(in: 0...(round % 4 == 0 ? 30_000 : 12_000), using: &random)
      try await Task.sleep(for: .microseconds(Int(pause)))
      let side = Bool.random(using: &random) ? ChannelFamily.Role.producer : .consumer
      family.end(side)
      try family.start(side)
      family.take(.producer)
      family.take(.consumer)
    }
    // Both at work at last, then at rest.
    for _ in 0..<200 {
      family.take(.producer, milliseconds: 5)
      family.take(.consumer, milliseconds: 5)
    }
    let received = tally[.received]
    try await settle(comment) { tally[.received] > received + 10_000 }
    tally[.order] = Tally.Order.rest.rawValue
    let rests = (tally[.producerRests], tally[.consumerRests])
    try await settle(comment) {
      tally[.producerRests] > rests.0 + 5 && tally[.consumerRests] > rests.1 + 5 && tally[.held] == 0
        && tally[.free] == 1_024
    }
    #expect(tally[.free] == 1_024, comment)
    #expect(tally[.held] == 0, comment)
    for word in [Tally.Word.corrupted, .repeated, .eventsRepeated, .invalid] {
      #expect(tally[word] == 0, "\(word), \(comment): \(tally.text)")
    }
    // That the kills met sides at work: each kind of recovery had something to do.
    #expect(tally[.reclaimed] > 0 && tally[.kept] > 0 && tally[.abandoned] > 0, "\(tally.text)")
    #expect(tally[.received] + 1_024 * 1_000 > tally[.sent], comment)
    print("killed 1,000 times, \(threads) threads: \(tally.text)")
  }

  private func settle(_ comment: Comment, _ condition: () -> Bool) async throws {
    for _ in 0..<3_000 {
      if condition() { return }
      try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record(comment)
  }
}
