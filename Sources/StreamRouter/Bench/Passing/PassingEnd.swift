import CStreamRouter
import Foundation
import SandboxChannel

/// One process's end of a way: it sends in one direction and receives in the other. Each packet's bytes are written by
/// the sender and read by the receiver.
protocol PassingEnd: AnyObject {
  /// Sends packets, and waits until they are taken. `last` marks the last one of a measurement.
  func send(_ count: Int, last: Bool) throws
  /// Waits for packets. How many came, and whether the last one is among them.
  func receive() throws -> (count: Int, last: Bool)
}

/// What the receiver makes of a packet's bytes, so that it reads them.
struct PassingSum {
  private(set) var value: UInt64 = 0

  @inline(__always)
  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    var offset = 0
    while offset + 8 <= bytes.count {
      value &+= bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      offset += 8
    }
  }
}

/// A channel there and one back.
final class ChannelEnd: PassingEnd {
  private let out: ChannelProducer
  private let cache: SlotCache
  private let back: ChannelConsumer
  private let bytes: Int
  private let batch: Int
  /// Where the other one sleeps, and where this one does.
  private let doorbells: (other: Int32, own: Int32)?
  private let template: [UInt8]
  private let room = UnsafeMutableBufferPointer<Descriptor>.allocate(capacity: PassingWay.most)
  private var sum = PassingSum()

  init(
    out: ChannelProducer, back: ChannelConsumer, way: PassingWay, bytes: Int,
    doorbells: (other: Int32, own: Int32)?
  ) {
    (self.out, self.back, self.bytes, self.doorbells) = (out, back, bytes, doorbells)
    cache = out.cache()
    batch = way.batch
    template = (0..<max(bytes, 1)).map { UInt8(truncatingIfNeeded: $0) }
  }

  deinit { room.deallocate() }

  func send(_ count: Int, last: Bool) throws {
    var rest = count
    while rest > 0 {
      let got = cache.allocate(into: .init(rebasing: room[..<min(rest, batch)]))
      if got == 0 { continue }
      rest -= got
      if bytes > 0 { cache.prefetch(.init(rebasing: room[..<got]), length: bytes) }
      for index in 0..<got {
        if bytes > 0 {
          room[index].length = UInt16(bytes)
          let slot = try cache.bytes(of: room[index])
          template.withUnsafeBytes { slot.copyMemory(from: $0) }
        }
        // The mark of the last one; where no bytes are sent its length is not 0.
        room[index].offset = last && rest == 0 && index == got - 1 ? Self.mark : 0
      }
      let sent = try cache.send(.init(rebasing: room[..<got]))
      guard sent == got else { throw BenchError.failed("the ring of a channel was full") }
      if let doorbells { out.wake(doorbells.other) }
    }
  }

  func receive() throws -> (count: Int, last: Bool) {
    var count = 0
    while true {
      count = back.receive(into: .init(rebasing: room[..<batch]))
      if count > 0 { break }
      if let doorbells { _ = back.wait(doorbells.own, milliseconds: 10_000) }
    }
    var last = false
    if bytes > 0 { back.prefetch(.init(rebasing: room[..<count])) }
    for packet in room[..<count] {
      if packet.offset == Self.mark { last = true }
      if bytes > 0 { sum.add(try back.bytes(of: packet)) }
    }
    try back.release(.init(rebasing: room[..<count]))
    return (count, last)
  }

  private static let mark: UInt16 = 1
}

/// A pipe or socket there and one back.
final class SocketEnd: PassingEnd {
  private let descriptors: (out: Int32, back: Int32)
  private let way: PassingWay
  private let size: Int
  private let template: [UInt8]
  private let outgoing: UnsafeMutableRawBufferPointer
  private let incoming: UnsafeMutableRawBufferPointer
  private var sum = PassingSum()

  /// - Parameter bytes: Of a packet; 0: a word that stands for one.
  init(out: Int32, back: Int32, way: PassingWay, bytes: Int) {
    descriptors = (out, back)
    self.way = way
    size = max(bytes, 8)
    template = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
    outgoing = .allocate(byteCount: size * PassingWay.most, alignment: 64)
    incoming = .allocate(byteCount: size * PassingWay.most, alignment: 64)
  }

  deinit {
    outgoing.deallocate()
    incoming.deallocate()
  }

  func send(_ count: Int, last: Bool) throws {
    var rest = count
    while rest > 0 {
      let some = min(rest, way.batch)
      rest -= some
      for index in 0..<some {
        template.withUnsafeBytes {
          UnsafeMutableRawBufferPointer(rebasing: outgoing[(index * size)...]).copyMemory(from: $0)
        }
      }
      if last, rest == 0 {
        outgoing.storeBytes(of: UInt64.max, toByteOffset: (some - 1) * size, as: UInt64.self)
      }
      let result = sr_pass_send(descriptors.out, way.kind, outgoing.baseAddress, size, UInt32(some))
      guard result == 0 else { throw BenchError.failed("\(way.title): \(String(cString: strerror(-result)))") }
    }
  }

  func receive() throws -> (count: Int, last: Bool) {
    let count = sr_pass_receive(
      descriptors.back, way.kind, incoming.baseAddress, size, UInt32(PassingWay.most))
    guard count > 0 else { throw BenchError.failed("\(way.title): \(String(cString: strerror(-count)))") }
    var last = false
    for index in 0..<Int(count) {
      let packet = UnsafeRawBufferPointer(rebasing: incoming[(index * size)..<((index + 1) * size)])
      if packet.load(as: UInt64.self) == .max { last = true }
      if size > 8 { sum.add(packet) }
    }
    return (Int(count), last)
  }
}

/// Two rings of io_uring: each process waits at its own, and sends to the other's.
final class RingEnd: PassingEnd {
  private let own: OpaquePointer
  private let other: Int32
  private var words = [UInt64](repeating: 0, count: PassingWay.most)

  init(own: OpaquePointer, other: Int32) { (self.own, self.other) = (own, other) }

  func send(_ count: Int, last: Bool) throws {
    var rest = count
    while rest > 0 {
      let some = min(rest, PassingWay.most)
      rest -= some
      for index in 0..<some { words[index] = last && rest == 0 && index == some - 1 ? .max : UInt64(index) }
      let result = sr_pass_ring_send(own, other, words, UInt32(some))
      guard result == 0 else { throw BenchError.failed("io_uring: \(String(cString: strerror(-result)))") }
    }
  }

  func receive() throws -> (count: Int, last: Bool) {
    let count = sr_pass_ring_receive(own, &words, UInt32(PassingWay.most))
    guard count > 0 else { throw BenchError.failed("io_uring: \(String(cString: strerror(-count)))") }
    return (Int(count), words[..<Int(count)].contains(.max))
  }
}
