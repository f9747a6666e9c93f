import CStreamRouter
import Foundation
import Testing

@testable import SandboxChannel

/// Whose pages are whose, as the kernel says it.
@Suite struct ProtectionTests {
  private static func mappings(of memory: UnsafeMutableRawPointer, bytes: UInt64) throws -> [(
    range: Range<UInt>, mode: Substring
  )] {
    let start = UInt(bitPattern: memory)
    return try Self.maps().split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ")
      let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
      guard ends.count == 2, ends[0] < start + UInt(bytes) + 4_096, ends[1] > start - 4_096 else { return nil }
      return (ends[0]..<ends[1], fields[1])
    }
  }

  /// All of it, though other tests map and unmap meanwhile: a short read is not the end.
  private static func maps() throws -> String {
    let file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    var text: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while case let count = read(file, &chunk, chunk.count), count > 0 { text += chunk[..<count] }
    return String(decoding: text, as: UTF8.self)
  }

  @Test func theOwnHalfIsWrittenTheOthersReadAndNothingExecuted() throws {
    let producer = try ChannelProducer(ChannelGeometry(slotCount: 64))
    let half = try ChannelHalf(dup(producer.descriptor), of: SR_SIDE_PRODUCER)
    let places = producer.geometry.producerPlaces
    try withExtendedLifetime((producer, half)) {
      for (memory, mode) in [(producer.half.half.memory, "rw-s"), (half.memory, "r--s")] {
        let found = try Self.mappings(of: memory, bytes: places.bytes)
        let start = UInt(bitPattern: memory)
        // Guard, control, guard, slots, guard.
        let kinds = found.map(\.mode)
        #expect(kinds.filter { $0 == mode }.count == 2, "\(kinds)")
        #expect(kinds.allSatisfy { !$0.contains("x") }, "\(kinds)")
        for page in [start - 4_096, start + UInt(places.guard), start + UInt(places.bytes)] {
          #expect(found.contains { $0.range.contains(page) && $0.mode.hasPrefix("---") }, "page \(page)")
        }
      }
    }
  }

  @Test func nobodyMapsASealedHalfToWriteAndItsSizeStays() throws {
    let producer = try ChannelProducer(ChannelGeometry(slotCount: 64))
    let bytes = Int(producer.geometry.producerPlaces.bytes)
    #expect(mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, producer.descriptor, 0) == MAP_FAILED)
    #expect(errno == EPERM)
    #expect(ftruncate(producer.descriptor, 0) == -1 && errno == EPERM)
    var byte: UInt8 = 0
    #expect(pwrite(producer.descriptor, &byte, 1, 0) == -1 && errno == EPERM)
    // The control: before it is sealed it can be.
    let unsealed = sr_channel_make("test", bytes)
    let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, unsealed, 0)
    #expect(memory != MAP_FAILED)
    munmap(memory, bytes)
    #expect(throws: ChannelError.self) { try ChannelConsumer(producer: unsealed) }
  }

  @Test func whatIsNoHalfIsRefused() throws {
    let producer = try ChannelProducer(ChannelGeometry(slotCount: 64))
    let consumer = try ChannelConsumer(beside: producer)
    #expect(throws: ChannelError.foreign("it is the other side's")) {
      try ChannelConsumer(producer: dup(consumer.descriptor))
    }
    #expect(throws: ChannelError.foreign("it is too short")) {
      try ChannelConsumer(producer: sr_channel_make("short", 16))
    }
    #expect(throws: ChannelError.foreign("it does not begin with SRCH")) {
      try ChannelConsumer(producer: sr_channel_make("zeros", 65_536))
    }
    let other = try ChannelProducer(ChannelGeometry(slotCount: 128))
    #expect(throws: ChannelError.foreign("its geometry is another")) {
      try consumer.attach(producer: dup(other.descriptor))
    }
  }
}
