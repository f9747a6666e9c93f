import CStreamRouter
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// The memory that the daemon, a keeper and its workers share.
///
/// Unchecked: the daemon reads single numbers of it at any time, and writes only while no worker may take packets.
final class WorkerMemory: @unchecked Sendable {
  let descriptor: Int32
  let shared: UnsafeMutablePointer<sr_worker_shared>

  /// New memory, all zeros.
  init() throws(EngineError) {
    descriptor = sr_memory_make("streamrouter-relay", nil, sr_worker_shared_bytes())
    guard descriptor >= 0 else { throw Self.failure(-descriptor) }
    guard let shared = Self.map(descriptor) else {
      let error = errno
      close(descriptor)
      throw Self.failure(error)
    }
    self.shared = shared
  }

  deinit {
    munmap(shared, sr_worker_shared_bytes())
    close(descriptor)
  }

  /// nil: `errno` says why.
  static func map(_ descriptor: Int32) -> UnsafeMutablePointer<sr_worker_shared>? {
    guard
      let base = mmap(nil, sr_worker_shared_bytes(), PROT_READ | PROT_WRITE, Int32(MAP_SHARED), descriptor, 0),
      base != MAP_FAILED
    else { return nil }
    return base.assumingMemoryBound(to: sr_worker_shared.self)
  }

  private static func failure(_ errno: Int32) -> EngineError {
    .failed(
      engine: .process, operation: "making", subject: "the memory of a worker", errno: errno,
      detail: "raise the limits of open files and memory (LimitNOFILE=, MemoryMax=)")
  }

  /// The account as it stands. A queue that overflowed tells it with the next packet, which may not have come.
  func reading(_ sockets: ProcessSockets, clockRate: UInt32?) -> ProcessReading {
    var counters = shared.pointee.counters
    for (place, socket) in sockets.all.enumerated() {
      let total = sr_udp_queue_drops(socket.pointee.descriptor)
      let more = Int32(bitPattern: total &- shared[queueDrops: place])
      if more > 0 { counters[SR_DROP_QUEUE] &+= UInt64(more) }
    }
    let ssrc = shared.pointee.has_ssrc == 0 ? nil : shared.pointee.ssrc
    return ProcessReading(
      counters: counters, jitterSeconds: Double(shared.pointee.jitter_q4_ns) / 16e9,
      jitterMaxSeconds: Double(shared.pointee.jitter_max_q4_ns) / 16e9,
      ssrc: ssrc, variations: shared.pointee.variations,
      clockRates: ssrc.flatMap { ssrc in clockRate.map { [ssrc: $0] } } ?? [:])
  }

  /// The accounts of so many extensions.
  func accounts(_ count: Int) -> [sr_extension_account] {
    (0..<count).map { shared.account($0).pointee }
  }

  /// What the worker said, without what a log or a terminal could take for more than letters.
  var text: String {
    withUnsafeBytes(of: shared.pointee.text) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }.map { (32..<127).contains($0) ? $0 : 63 }, as: UTF8.self)
    }
  }

  /// What the state of an extension begins with.
  func begin(_ place: Int, _ state: [UInt8]) {
    memcpy(
      sr_worker_state(shared, UInt32(place)), state, min(state.count, Int(SR_WORKER_STATE_BYTES.rawValue)))
  }

  /// Goes on with the counters of another worker, which has ended. What its own code kept is copied, never read.
  func resume(_ other: WorkerMemory, keepsFlow: Bool) {
    shared.pointee.counters = other.shared.pointee.counters
    shared.reports.update(from: other.shared.reports, count: 1)
    guard keepsFlow else { return }
    shared.pointee.variations = other.shared.pointee.variations
    shared.pointee.flow_is_kept = other.shared.pointee.flow_is_kept
    shared.pointee.jitter_q4_ns = other.shared.pointee.jitter_q4_ns
    shared.pointee.jitter_max_q4_ns = other.shared.pointee.jitter_max_q4_ns
    shared.pointee.has_ssrc = other.shared.pointee.has_ssrc
    shared.pointee.ssrc = other.shared.pointee.ssrc
    memcpy(sr_worker_flow(shared), sr_worker_flow(other.shared), Int(SR_WORKER_FLOW_BYTES.rawValue))
  }

  /// Goes on with an extension's account and state.
  func resume(_ place: Int, _ other: WorkerMemory, _ otherPlace: Int) {
    let bytes = Int(SR_WORKER_STATE_BYTES.rawValue)
    memcpy(
      sr_worker_state(shared, UInt32(place)), sr_worker_state(other.shared, UInt32(otherPlace)), bytes)
    shared.account(place).pointee = other.shared.account(otherPlace).pointee
  }

  /// Goes on with the account of a relay that ran without extensions and is served no longer.
  func resume(_ memory: ProcessRelayMemory, keepsFlow: Bool) {
    let relay = memory.relay
    shared.pointee.counters = relay.pointee.account.copy
    shared.reports.update(from: relay.pointee.reports, count: 1)
    guard keepsFlow else { return }
    shared.pointee.variations = relay.pointee.variations.pointee
    sr_worker_flow(shared).assumingMemoryBound(to: ProcessFlow.self).initialize(to: relay.pointee.flow.pointee)
    shared.pointee.flow_is_kept = 1
    let jitter = relay.pointee.jitter
    shared.pointee.jitter_q4_ns = jitter.q4Ns
    shared.pointee.jitter_max_q4_ns = jitter.maxQ4Ns
    let ssrc = relay.pointee.ssrc
    shared.pointee.ssrc = ssrc ?? 0
    shared.pointee.has_ssrc = ssrc == nil ? 0 : 1
  }
}
