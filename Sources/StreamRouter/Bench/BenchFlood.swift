import CStreamRouter
import Foundation
import Topology

/// A sender on a processor of its own at SCHED_FIFO: datagrams at a rate, or as fast as one core hands them over. It takes
/// the readings itself, at the beginning and the end of the time that counts: nothing that must wait for a processor
/// stands between them.
struct BenchFlood: Sendable {
  static let processor = 0

  /// What came of one offered rate.
  struct Step: Sendable {
    var offeredPerSecond: Double
    /// Of those that were offered: where each goes to several sinks, it counts once.
    var deliveredPerSecond: Double
    var softirq: SoftirqReading
    /// Rounds of the background threads' work, a second.
    var workPerSecond = 0.0
  }

  var network: BenchNetwork
  /// Taken in turn, train by train.
  var destinations: [Endpoint]
  var sink: SinkProgram
  /// Before the time that counts, and that time.
  var warmUpSeconds: Double
  var seconds: Double
  /// Datagrams that should arrive for each that is sent.
  var copies = 1
  /// Background threads whose work is read too.
  var load: BenchLoad?
  /// After which silence all that was under way has arrived.
  var quietSeconds = 0.03

  /// Datagrams of the longest train (UDP_SEGMENT) that the sender hands over; the kernel cuts it before the wire.
  private static let longestTrain = 60
  /// Trains a second, so that a paced stream is no row of bursts.
  private static let trainsPerSecond = 50_000.0

  /// - Parameter packetsPerSecond: nil sends without a pause.
  func run(packetsPerSecond: Double?) async throws -> Step {
    let descriptor = try BenchSocket.open(in: network.source)
    defer { close(descriptor) }
    let source = network.softirqs
    let outcome = try await BenchThread.run("sr-flood", processor: Self.processor, realtime: 40) {
      send(descriptor, packetsPerSecond, source)
    }
    try Task.checkCancellation()
    try await drain(outcome.expected)
    return outcome.step
  }

  private struct Outcome: Sendable {
    var step: Step
    /// What the sink will have counted once all has arrived.
    var expected: UInt64
  }

  private func send(
    _ descriptor: Int32, _ packetsPerSecond: Double?, _ softirqs: SoftirqReading.Source
  ) -> Outcome {
    let datagrams =
      packetsPerSecond.map { min(Self.longestTrain, max(1, Int($0 / Self.trainsPerSecond))) }
      ?? Self.longestTrain
    let length = BenchSettings.payloadBytes * datagrams
    let bytes = UnsafeMutableRawPointer.allocate(byteCount: length, alignment: 8)
    bytes.initializeMemory(as: UInt8.self, repeating: 0x5a, count: length)
    for place in 0..<datagrams { BenchSocket.writeHeader(bytes + place * BenchSettings.payloadBytes) }
    let senders = destinations.map { _ in sr_sender_make() }
    defer {
      senders.forEach { sr_sender_free($0) }
      bytes.deallocate()
    }
    var train = sr_train(
      first_piece: 0, pieces: 1, segment: datagrams > 1 ? UInt32(BenchSettings.payloadBytes) : 0, dscp: 0)
    var piece = iovec(iov_base: bytes, iov_len: length)
    for (sender, destination) in zip(senders, destinations) {
      var to = sr_udp_address(address: destination.address.words, port: destination.port)
      sr_sender_load(sender, &train, 1, 1, &piece)
      sr_sender_address(sender, &to, nil)
    }

    var sent: UInt64 = 0
    let first = sink.datagrams
    let pauseNs = packetsPerSecond.map { Double(datagrams) / $0 * 1e9 }
    let startNs = monotonicNs()
    var next = Double(startNs)
    func send(untilNs end: UInt64) {
      var now = monotonicNs()
      while now < end {
        if let pauseNs {
          next += pauseNs
          // Pauses shorter than a timer's slack are waited for, so that the rate is kept.
          while Double(now) < next && now < end { now = monotonicNs() }
        }
        let turn = Int(sent / UInt64(datagrams)) % senders.count
        if sr_send(senders[turn], descriptor, 0, 1) == 1 {
          sent += UInt64(datagrams)
        } else {
          _ = sr_udp_wait_writable(descriptor, 10)
        }
        now = monotonicNs()
      }
    }
    send(untilNs: startNs + UInt64(warmUpSeconds * 1e9))
    let softirqBefore = softirqs.read()
    let before = (sink.datagrams, sent, monotonicNs(), load?.work ?? 0)
    next = Double(before.2)
    send(untilNs: before.2 + UInt64(seconds * 1e9))
    let after = (sink.datagrams, sent, monotonicNs(), load?.work ?? 0)
    let softirqAfter = softirqs.read()
    let elapsed = Double(after.2 - before.2) / 1e9
    return Outcome(
      step: Step(
        offeredPerSecond: Double(after.1 - before.1) / elapsed,
        deliveredPerSecond: Double(after.0 - before.0) / elapsed / Double(copies),
        softirq: softirqAfter - softirqBefore, workPerSecond: Double(after.3 - before.3) / elapsed),
      expected: first + sent * UInt64(copies))
  }

  /// Waits until what waits in queues is through, so that it does not count for what is measured next.
  private func drain(_ expected: UInt64) async throws {
    let deadline = ContinuousClock.now + .seconds(3)
    var last = sink.datagrams
    while last < expected, ContinuousClock.now < deadline {
      try await Task.sleep(for: .seconds(quietSeconds))
      let now = sink.datagrams
      if now == last { return }
      last = now
    }
  }
}

/// A thread of a benchmark: bound to a processor, real-time where that is permitted.
enum BenchThread {
  static func run<T: Sendable>(
    _ name: String, processor: Int, realtime: Int32, _ body: @escaping @Sendable () throws -> T
  ) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        sr_thread_begin(name, Int32(processor))
        sr_thread_timer_slack(1)
        guard TrafficThread.becomeFIFO(priority: realtime) else {
          return continuation.resume(
            throwing: BenchError.needs("SCHED_FIFO for sender and receiver: run as root or with CAP_SYS_NICE"))
        }
        continuation.resume(with: Result { try body() })
      }
    }
  }
}

/// The sockets of a benchmark, and what its datagrams begin with.
enum BenchSocket {
  /// Where the payload begins: before is an RTP header, since some peers look for one.
  static let headerBytes = 12

  static func open(in namespace: String, address: String = "10.77.1.2", port: UInt16 = 4000) throws -> Int32 {
    try NetworkNamespace.run(in: namespace) {
      var local = sr_udp_address(address: IPAddress(address)!.words, port: port)
      var step: UnsafePointer<CChar>?
      let descriptor = sr_udp_open(&local, 8 << 20, &step)
      guard descriptor >= 0 else { throw NetworkNamespace.Failure(name: namespace, errno: -descriptor) }
      return descriptor
    }
  }

  /// Version 2, payload type 0 (RFC 3551), and an SSRC.
  static func writeHeader(_ bytes: UnsafeMutableRawPointer) {
    let header: [UInt8] = [0x80, 0, 0, 1, 0, 0, 0, 1, 0x53, 0x52, 0, 1]
    bytes.copyMemory(from: header, byteCount: headerBytes)
  }
}
