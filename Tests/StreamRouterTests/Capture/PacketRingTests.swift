import TestSupport
import Testing

@testable import StreamRouter

/// The memory of the last seconds, against a model that is an array.
@Suite struct PacketRingTests {
  private struct Packet: Hashable {
    var bytes: [UInt8]
    var timeNs: UInt64
  }

  @Test("keeps the latest packets, whole and in order, whatever their sizes")
  func model() throws {
    var random = SeededRandom()
    for _ in 0..<20 {
      var ring = PacketRing(bytes: 1 << 20)
      var model: [Packet] = []
      for step in UInt64(0)..<20_000 {
        let size =
          random.once(in: 10)
          ? Int.random(in: 0...9000, using: &random) : Int.random(in: 0...300, using: &random)
        let packet = Packet(
          bytes: [UInt8](repeating: UInt8(truncatingIfNeeded: step &* 31), count: size), timeNs: step)
        packet.bytes.withUnsafeBytes {
          ring.push($0, originalBytes: UInt32(size), timeNs: step, interface: UInt32(step % 3))
        }
        model.append(packet)
        if random.once(in: 200) {
          let before = step - min(step, .random(in: 0...3000, using: &random))
          ring.drop(before: before)
          model.removeAll { $0.timeNs < before }
        }
        model.removeFirst(model.count - ring.count)
        guard random.once(in: 5000) else { continue }
        var drained: [Packet] = []
        try ring.drain { (bytes, originalBytes, timeNs, interface) throws(CaptureError) in
          #expect(originalBytes == UInt32(bytes.count) && interface == UInt32(timeNs % 3))
          drained.append(Packet(bytes: Array(bytes), timeNs: timeNs))
        }
        let isSame = drained == model
        #expect(isSame && ring.count == 0, "SR_SEED=\(random.seed)")
        model = []
      }
      // What was evicted was so for want of memory: a megabyte holds more than this.
      #expect(model.reduce(0) { $0 + $1.bytes.count } <= 1 << 20)
    }
  }

  @Test("fills its memory before it lets go of anything")
  func capacity() {
    var ring = PacketRing(bytes: 1 << 20)
    let packet = [UInt8](repeating: 1, count: 1000)
    for time in UInt64(0)..<1000 {
      packet.withUnsafeBytes { ring.push($0, originalBytes: 1000, timeNs: time, interface: 0) }
    }
    #expect(ring.count == 1000 && ring.evicted == 0)
    for time in UInt64(1000)..<2000 {
      packet.withUnsafeBytes { ring.push($0, originalBytes: 1000, timeNs: time, interface: 0) }
    }
    #expect(ring.count > 1000 && ring.count + Int(ring.evicted) == 2000)
  }

  @Test("a packet larger than the memory is left out")
  func tooLarge() {
    var ring = PacketRing(bytes: 0)
    [UInt8](repeating: 1, count: 2 << 20).withUnsafeBytes {
      ring.push($0, originalBytes: 1, timeNs: 1, interface: 0)
    }
    #expect(ring.count == 0 && ring.evicted == 1)
  }
}
