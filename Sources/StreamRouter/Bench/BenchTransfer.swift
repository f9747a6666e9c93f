import CStreamRouter
import Foundation
import Synchronization
import Topology

/// A paced stream whose datagrams carry their departure, and the receiver that takes the kernel's receive time of each:
/// the transfer time is what lies between. Sender and receiver run at SCHED_FIFO on a processor without background
/// threads, so that only the relay waits for the scheduler.
struct BenchTransfer: Sendable {
  private static let magic: UInt64 = 0x5352_7472_616e_7369

  /// What came of one stream.
  struct Outcome: Sendable {
    /// In order of arrival.
    var transferNs: [UInt64]
    var sent: Int
    var softirq: SoftirqReading
  }

  var network: BenchNetwork
  var destination: Endpoint
  var packetsPerSecond: Int
  var count: Int
  /// Packets before those that count: they resolve neighbours and open sessions.
  var warmUp = 500

  func run() async throws -> Outcome {
    let out = try BenchSocket.open(in: network.source)
    let back = try BenchSocket.open(
      in: network.sinkName, address: BenchNetwork.sink.address.description, port: BenchNetwork.sink.port)
    defer {
      close(out)
      close(back)
    }
    let stop = StopFlag()
    let before = network.softirqs.read()
    async let received = BenchThread.run("sr-take", processor: BenchFlood.processor, realtime: 50) {
      receive(back, stop)
    }
    do {
      try await BenchThread.run("sr-pace", processor: BenchFlood.processor, realtime: 40) { send(out) }
    } catch {
      stop.set()
      _ = try? await received
      throw error
    }
    let softirq = network.softirqs.read() - before
    // What is still under way gets a moment; where the run was cancelled it gets none.
    try? await Task.sleep(for: .milliseconds(400))
    stop.set()
    let transfer = try await received
    try Task.checkCancellation()
    return Outcome(transferNs: transfer, sent: count, softirq: softirq)
  }

  private func send(_ descriptor: Int32) {
    let interval = 1_000_000_000 / packetsPerSecond
    let bytes = UnsafeMutableRawPointer.allocate(byteCount: BenchSettings.payloadBytes, alignment: 8)
    bytes.initializeMemory(as: UInt8.self, repeating: 0, count: BenchSettings.payloadBytes)
    BenchSocket.writeHeader(bytes)
    let sender = sr_sender_make()
    defer {
      sr_sender_free(sender)
      bytes.deallocate()
    }
    var train = sr_train(first_piece: 0, pieces: 1, segment: 0, dscp: 0)
    var piece = iovec(iov_base: bytes, iov_len: BenchSettings.payloadBytes)
    var to = sr_udp_address(address: destination.address.words, port: destination.port)
    sr_sender_load(sender, &train, 1, 1, &piece)
    sr_sender_address(sender, &to, nil)
    var next = timespec()
    clock_gettime(CLOCK_MONOTONIC, &next)
    for number in 0..<warmUp + count {
      next.tv_nsec += interval
      if next.tv_nsec >= 1_000_000_000 {
        next.tv_nsec -= 1_000_000_000
        next.tv_sec += 1
      }
      clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &next, nil)
      // Peers that look into RTP expect numbers that rise.
      bytes.storeBytes(of: UInt16(truncatingIfNeeded: number).bigEndian, toByteOffset: 2, as: UInt16.self)
      let payload = bytes + BenchSocket.headerBytes
      payload.storeBytes(of: Self.magic, as: UInt64.self)
      payload.storeBytes(of: UInt64(number), toByteOffset: 16, as: UInt64.self)
      payload.storeBytes(of: realtimeNs(), toByteOffset: 8, as: UInt64.self)
      _ = sr_send(sender, descriptor, 0, 1)
    }
  }

  private func receive(_ descriptor: Int32, _ stop: StopFlag) -> [UInt64] {
    var transfer: [UInt64] = []
    transfer.reserveCapacity(count)
    let receiver = sr_receiver_make()
    defer { sr_receiver_free(receiver) }
    var messages = [sr_received](repeating: sr_received(), count: Int(SR_RECEIVE_BATCH.rawValue))
    while !stop.isSet {
      var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&poller, 1, 50) > 0 else { continue }
      let count = sr_receive(receiver, descriptor, &messages)
      guard count > 0 else { continue }
      // The relay may send trains, which arrive as one message.
      for message in messages.prefix(Int(count)) where message.segment == BenchSettings.payloadBytes {
        for offset in stride(from: 0, to: Int(message.length), by: Int(message.segment)) {
          let bytes = UnsafeRawPointer(message.bytes!) + offset + BenchSocket.headerBytes
          guard bytes.loadUnaligned(as: UInt64.self) == Self.magic,
            bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self) >= warmUp
          else { continue }
          let departed = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
          transfer.append(message.arrival_ns > departed ? message.arrival_ns - departed : 0)
        }
      }
    }
    return transfer
  }
}

/// What the transfer times of a stream say, in microseconds.
struct TransferFigures: Hashable, Sendable {
  var average: Double
  var p50: Double
  var p99: Double
  var p999: Double
  var max: Double
  /// Mean and largest difference between one packet's transfer time and the next one's: what RFC 3550 (6.4.1) smooths.
  var jitterAverage: Double
  var jitterMax: Double
  /// Mean and largest excess over the quickest packet (PDV, RFC 5481 section 4.2).
  var variationAverage: Double
  var variationMax: Double

  /// - Parameter transferNs: In order of arrival. nil where nothing arrived.
  init?(transferNs: [UInt64]) {
    guard !transferNs.isEmpty else { return nil }
    let sorted = transferNs.sorted()
    func quantile(_ share: Double) -> Double {
      Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1000
    }
    average = transferNs.reduce(0) { $0 + Double($1) } / Double(transferNs.count) / 1000
    (p50, p99, p999, max) = (quantile(0.5), quantile(0.99), quantile(0.999), Double(sorted.last!) / 1000)
    let differences = zip(transferNs, transferNs.dropFirst()).map { abs(Double($1) - Double($0)) / 1000 }
    jitterAverage = differences.isEmpty ? 0 : differences.reduce(0, +) / Double(differences.count)
    jitterMax = differences.max() ?? 0
    let quickest = Double(sorted.first!) / 1000
    variationAverage = average - quickest
    variationMax = max - quickest
  }
}
