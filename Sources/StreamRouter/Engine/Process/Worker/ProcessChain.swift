import CStreamRouter

/// The extensions of a relay within its worker, and the part of the shared memory that tells where a batch stands.
struct ProcessChain {
  let extensions: UnsafeMutablePointer<sr_chain>
  let shared: UnsafeMutablePointer<sr_worker_shared>

  /// Runs all extensions on one datagram of `message`.
  func run(
    _ payload: UnsafeMutablePointer<UInt8>, _ length: Int, _ message: UnsafePointer<sr_received>,
    _ arrivalNs: UInt64,
    companion: Bool
  ) -> sr_chain_outcome {
    sr_chain_run(
      extensions, payload, UInt32(truncatingIfNeeded: length), message, arrivalNs, companion ? 1 : 0)
  }

  // What follows keeps account of datagrams that a crash would lose.

  /// A batch is in hand.
  func took(_ messages: UnsafeBufferPointer<sr_received>) {
    var datagrams = 0
    var bytes = 0
    for message in messages {
      datagrams += message.datagrams
      bytes += Int(message.length)
    }
    shared.pointee.unread = UInt64(truncatingIfNeeded: datagrams)
    shared.pointee.unread_bytes = UInt64(truncatingIfNeeded: bytes)
    shared.pointee.unsettled = UInt64(truncatingIfNeeded: datagrams)
  }

  /// The message counts as arrived or is refused from here on.
  func looksAt(_ message: UnsafePointer<sr_received>) {
    shared.pointee.unread &-= UInt64(truncatingIfNeeded: message.pointee.datagrams)
    shared.pointee.unread_bytes &-= UInt64(message.pointee.length)
  }

  /// So many datagrams are dropped and counted, or on their way out.
  func settled(_ datagrams: Int) {
    shared.pointee.unsettled &-= UInt64(truncatingIfNeeded: datagrams)
  }

  // And this is what the daemon and the next worker go on with.

  func counted(queueDrops: UInt32, at place: Int) { shared[queueDrops: place] = queueDrops }

  func publish(_ relay: UnsafeMutablePointer<ProcessRelay>) {
    let jitter = relay.pointee.jitter
    shared.pointee.jitter_q4_ns = jitter.q4Ns
    shared.pointee.jitter_max_q4_ns = jitter.maxQ4Ns
    let ssrc = relay.pointee.ssrc
    shared.pointee.ssrc = ssrc ?? 0
    shared.pointee.has_ssrc = ssrc == nil ? 0 : 1
  }
}
