import CStreamRouter
import Foundation
import Synchronization
import Topology

/// Busy threads at normal priority: what a relay must live with.
final class BenchLoad: Sendable {
  private let stop = Atomic<Bool>(false)

  /// - Parameter processor: Where all of them run; nil leaves them to the scheduler.
  init(threads: Int, processor: Int?) {
    for _ in 0..<threads {
      Thread.detachNewThread { [self] in
        sr_thread_begin("sr-load", Int32(processor ?? -1))
        var work: UInt64 = 0x9e37_79b9
        while !stop.load(ordering: .relaxed) {
          for _ in 0..<10_000 { work = work &* 6_364_136_223_846_793_005 &+ 1 }
          last.store(work, ordering: .relaxed)
        }
      }
    }
  }

  /// Where the work ends up, so that the compiler cannot leave it out.
  private let last = Atomic<UInt64>(0)

  func end() { stop.store(true, ordering: .relaxed) }
}

/// A sender on processor 0: 200-byte datagrams at a rate, or as fast as one core hands them over.
final class BenchFlood: Sendable {
  private let stop = Atomic<Bool>(false)
  private let sentDatagrams = Atomic<UInt64>(0)
  private let done = DispatchSemaphore(value: 0)

  static let payloadBytes = 200
  /// Datagrams of the longest train (UDP_SEGMENT) that the sender hands over; the kernel cuts it before the wire.
  private static let longestTrain = 60
  /// Trains a second, so that a paced stream is no row of bursts.
  private static let trainsPerSecond = 50_000.0

  /// - Parameter packetsPerSecond: nil sends without a pause.
  init(from namespace: String, to destination: Endpoint, packetsPerSecond: Double? = nil) throws {
    let descriptor = try Self.socket(in: namespace)
    Thread.detachNewThread { [self] in
      sr_thread_begin("sr-flood", 0)
      run(descriptor, destination, packetsPerSecond)
      close(descriptor)
      done.signal()
    }
  }

  /// Datagrams handed to the kernel so far.
  var sent: UInt64 { sentDatagrams.load(ordering: .relaxed) }

  func end() {
    stop.store(true, ordering: .relaxed)
    done.wait()
  }

  static func socket(in namespace: String, address: String = "10.77.1.2", port: UInt16 = 4000) throws -> Int32 {
    try NetworkNamespace.run(in: namespace) {
      var local = sr_udp_address(address: IPAddress(address)!.words, port: port)
      var step: UnsafePointer<CChar>?
      let descriptor = sr_udp_open(&local, 8 << 20, &step)
      guard descriptor >= 0 else { throw NetworkNamespace.Failure(name: namespace, errno: -descriptor) }
      return descriptor
    }
  }

  private func run(_ descriptor: Int32, _ destination: Endpoint, _ packetsPerSecond: Double?) {
    let datagrams =
      packetsPerSecond.map { min(Self.longestTrain, max(1, Int($0 / Self.trainsPerSecond))) }
      ?? Self.longestTrain
    let length = Self.payloadBytes * datagrams
    let bytes = UnsafeMutableRawPointer.allocate(byteCount: length, alignment: 8)
    bytes.initializeMemory(as: UInt8.self, repeating: 0x5a, count: length)
    let sender = sr_sender_make()
    defer {
      sr_sender_free(sender)
      bytes.deallocate()
    }
    var train = sr_train(
      first_piece: 0, pieces: 1, segment: datagrams > 1 ? UInt32(Self.payloadBytes) : 0, dscp: 0)
    var piece = iovec(iov_base: bytes, iov_len: length)
    var to = sr_udp_address(address: destination.address.words, port: destination.port)
    sr_sender_load(sender, &train, 1, 1, &piece)
    sr_sender_address(sender, &to, nil)
    var next = ContinuousClock.now
    while !stop.load(ordering: .relaxed) {
      if let packetsPerSecond {
        next += .seconds(Double(datagrams) / packetsPerSecond)
        // Pauses shorter than a timer's slack are waited for, so that the rate is kept.
        while ContinuousClock.now < next {}
      }
      if sr_send(sender, descriptor, 0, 1) == 1 {
        sentDatagrams.wrappingAdd(UInt64(datagrams), ordering: .relaxed)
      } else {
        _ = sr_udp_wait_writable(descriptor, 10)
      }
    }
  }
}

/// A paced stream whose datagrams carry their departure, and the receiver that takes the kernel's receive time of
/// each: transit is what lies between. Both run at SCHED_FIFO, so that only the relay waits for the scheduler.
final class BenchTransit: Sendable {
  private static let magic: UInt64 = 0x5352_7472_616e_7369

  /// Transit of each datagram in nanoseconds, in order of arrival, and how many were sent.
  static func run(
    network: BenchNetwork, destination: Endpoint, packetsPerSecond: Int, count: Int
  ) async throws -> (transitNs: [UInt64], sent: Int) {
    let out = try BenchFlood.socket(in: network.source)
    let back = try BenchFlood.socket(
      in: network.sinkName, address: BenchNetwork.sink.address.description, port: BenchNetwork.sink.port)
    defer {
      close(out)
      close(back)
    }
    let stop = Flag()
    return try await withCheckedThrowingContinuation { continuation in
      let results = Results()
      let received = DispatchSemaphore(value: 0)
      Thread.detachNewThread {
        results.realtime = TrafficThread.becomeFIFO(priority: 50)
        results.values = receive(back, expected: count, stop: stop)
        received.signal()
      }
      Thread.detachNewThread {
        sr_thread_begin("sr-pace", 0)
        _ = TrafficThread.becomeFIFO(priority: 40)
        send(out, to: destination, interval: 1_000_000_000 / UInt64(packetsPerSecond), count: count)
        // What is still under way gets a second.
        Thread.sleep(forTimeInterval: 1)
        stop.set()
        received.wait()
        if results.realtime {
          continuation.resume(returning: (results.values, count))
        } else {
          continuation.resume(
            throwing: BenchError.needs("SCHED_FIFO for sender and receiver: run as root or with CAP_SYS_NICE"))
        }
      }
    }
  }

  private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
  }

  /// Written by the receiver before it signals, read by the sender after.
  private final class Results: @unchecked Sendable {
    var values: [UInt64] = []
    var realtime = false
  }

  private static func send(_ descriptor: Int32, to destination: Endpoint, interval: UInt64, count: Int) {
    let bytes = UnsafeMutableRawPointer.allocate(byteCount: BenchFlood.payloadBytes, alignment: 8)
    bytes.initializeMemory(as: UInt8.self, repeating: 0, count: BenchFlood.payloadBytes)
    let sender = sr_sender_make()
    defer {
      sr_sender_free(sender)
      bytes.deallocate()
    }
    var train = sr_train(first_piece: 0, pieces: 1, segment: 0, dscp: 0)
    var piece = iovec(iov_base: bytes, iov_len: BenchFlood.payloadBytes)
    var to = sr_udp_address(address: destination.address.words, port: destination.port)
    sr_sender_load(sender, &train, 1, 1, &piece)
    sr_sender_address(sender, &to, nil)
    var next = timespec()
    clock_gettime(CLOCK_MONOTONIC, &next)
    for _ in 0..<count {
      next.tv_nsec += Int(interval)
      if next.tv_nsec >= 1_000_000_000 {
        next.tv_nsec -= 1_000_000_000
        next.tv_sec += 1
      }
      clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &next, nil)
      bytes.storeBytes(of: magic, as: UInt64.self)
      bytes.storeBytes(of: realtimeNs(), toByteOffset: 8, as: UInt64.self)
      _ = sr_send(sender, descriptor, 0, 1)
    }
  }

  private static func receive(_ descriptor: Int32, expected: Int, stop: Flag) -> [UInt64] {
    var transit: [UInt64] = []
    transit.reserveCapacity(expected)
    let receiver = sr_receiver_make()
    defer { sr_receiver_free(receiver) }
    var messages = [sr_received](repeating: sr_received(), count: Int(SR_RECEIVE_BATCH.rawValue))
    while !stop.isSet {
      var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&poller, 1, 100) > 0 else { continue }
      let count = sr_receive(receiver, descriptor, &messages)
      guard count > 0 else { continue }
      // The relay may send trains, which arrive as one message.
      for message in messages.prefix(Int(count)) where message.segment == BenchFlood.payloadBytes {
        for offset in stride(from: 0, to: Int(message.length), by: Int(message.segment)) {
          let bytes = UnsafeRawPointer(message.bytes!) + offset
          guard bytes.loadUnaligned(as: UInt64.self) == magic else { continue }
          let departed = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
          transit.append(message.arrival_ns > departed ? message.arrival_ns - departed : 0)
        }
      }
    }
    return transit
  }
}
