import CStreamRouter
import Foundation
import Synchronization
import Testing
import Topology

@testable import StreamRouter

/// A fast stream of numbered RTP packets, and a receiver that notes each number and one byte that an extension writes.
///
/// Sends batches of single datagrams, no trains; sender and receiver each have a thread of their own.
final class SwapTraffic: Sendable {
  static let stampOffset = 20
  private static let bytes = 64
  private static let batch = 32

  private let stop = Atomic<Bool>(false)
  private let sentCount = Atomic<Int>(0)
  private let sender = DispatchSemaphore(value: 0)
  private let receiver = DispatchSemaphore(value: 0)
  /// How often each number came, and how often each stamp.
  private let seen: Mutex<[UInt8]>
  private let stamps = Mutex<[UInt8: Int]>([:])

  var sent: Int { sentCount.load(ordering: .acquiring) }

  /// - Parameter most: Packets at the most.
  init(
    from source: NamespaceSocket, to ingress: Endpoint, into sink: NamespaceSocket, perSecond rate: Double,
    most: Int
  ) {
    seen = Mutex([UInt8](repeating: 0, count: most))
    Thread.detachNewThread { [self] in
      receive(sink.descriptor)
      receiver.signal()
    }
    Thread.detachNewThread { [self] in
      send(source.descriptor, ingress, rate, most)
      sender.signal()
    }
  }

  /// Ends the sender, waits for what is under way, and tells what came.
  func end() -> (lost: Int, repeated: Int, stamps: [UInt8: Int]) {
    stop.store(true, ordering: .releasing)
    sender.wait()
    receiver.wait()
    return seen.withLock { seen in
      let sent = seen.prefix(self.sent)
      return (
        sent.count { $0 == 0 }, sent.reduce(0) { $0 + max(0, Int($1) - 1) }, stamps.withLock { $0 }
      )
    }
  }

  private func send(_ descriptor: Int32, _ ingress: Endpoint, _ rate: Double, _ most: Int) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: Self.batch * Self.bytes, alignment: 8)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: Self.batch * Self.bytes)
    var trains: [sr_train] = []
    var pieces: [iovec] = []
    for place in 0..<Self.batch {
      trains.append(sr_train(first_piece: UInt32(place), pieces: 1, segment: 0, dscp: 0))
      pieces.append(iovec(iov_base: memory + place * Self.bytes, iov_len: Self.bytes))
    }
    guard let out = sr_sender_make() else { return }
    defer {
      sr_sender_free(out)
      memory.deallocate()
    }
    var address = sr_udp_address(address: ingress.address.words, port: ingress.port)
    sr_sender_load(out, &trains, UInt32(Self.batch), 1, &pieces)
    sr_sender_address(out, &address, nil)
    var next = ContinuousClock.now
    var number = 0
    while !stop.load(ordering: .acquiring), number + Self.batch <= most {
      for place in 0..<Self.batch {
        let packet = memory + place * Self.bytes
        packet.storeBytes(of: UInt16(0x8060).bigEndian, as: UInt16.self)
        packet.storeBytes(of: UInt16(truncatingIfNeeded: number).bigEndian, toByteOffset: 2, as: UInt16.self)
        packet.storeBytes(of: UInt32(truncatingIfNeeded: number).bigEndian, toByteOffset: 4, as: UInt32.self)
        packet.storeBytes(of: 0x53, toByteOffset: 8, as: UInt32.self)
        packet.storeBytes(of: UInt64(number), toByteOffset: 12, as: UInt64.self)
        number += 1
      }
      var done: UInt32 = 0
      while done < UInt32(Self.batch) {
        let count = sr_send(out, descriptor, done, UInt32(Self.batch) - done)
        if count > 0 { done += UInt32(count) } else { _ = sr_udp_wait_writable(descriptor, 10) }
      }
      sentCount.store(number, ordering: .releasing)
      // What comes late is made up for, but not in a burst that overflows a queue.
      next = max(next + .seconds(Double(Self.batch) / rate), .now - .milliseconds(3))
      while ContinuousClock.now < next { usleep(20) }
    }
  }

  private func receive(_ descriptor: Int32) {
    let input = sr_receiver_make()
    defer { sr_receiver_free(input) }
    var messages = [sr_received](repeating: sr_received(), count: Int(SR_RECEIVE_BATCH.rawValue))
    var quiet = 0
    while quiet < 10 {
      var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&poller, 1, 100) > 0 else {
        quiet = stop.load(ordering: .acquiring) ? quiet + 1 : 0
        continue
      }
      let count = sr_receive(input, descriptor, &messages)
      guard count > 0 else { continue }
      seen.withLock { seen in
        stamps.withLock { stamps in
          for message in messages.prefix(Int(count)) where message.length >= Self.bytes {
            let bytes = UnsafeRawPointer(message.bytes!)
            let number = Int(bytes.loadUnaligned(fromByteOffset: 12, as: UInt64.self))
            if seen.indices.contains(number) { seen[number] &+= 1 }
            stamps[bytes.load(fromByteOffset: Self.stampOffset, as: UInt8.self), default: 0] += 1
          }
        }
      }
    }
  }
}
