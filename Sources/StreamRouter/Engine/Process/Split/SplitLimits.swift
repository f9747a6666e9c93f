import CStreamRouter

/// All limits of TCP in engine process. Tests have smaller ones.
struct SplitLimits: Sendable {
  /// Connections of an engine, all relays together; one more is reset. Fewer where the node may open too few files:
  /// each takes two sockets, and two pipes of two ends each while bytes wait in both directions.
  var connections = 16_384
  static let descriptorsPerConnection = 6
  /// What may wait in a pipe, and what is asked of its size: as much as a user without privileges may have in one
  /// (fs.pipe-max-size).
  var pipeBytes = 1 << 20
  /// Pipes that are made ahead, and that are kept where no byte waits in them.
  var idlePipes = 32
  /// Bytes of a connection in one direction, after which it is the others' turn.
  var roundBytes = 1 << 20
  /// Connections of a listening socket that are accepted in a round.
  var acceptsPerRound = 64
  /// Connections that wait to be accepted (net.core.somaxconn limits it).
  var backlog: Int32 = 4096
  /// How long the sink has for its answer. The kernel asks again after 1, 3, 7 and 15 s.
  var connectNs: UInt64 = 20_000_000_000
  /// A peer that is gone is found within two minutes.
  var keepAlive = sr_keep_alive(idle: 60, interval: 10, probes: 6)
  /// How long a silent connection in this state is kept, as packet mode keeps it.
  var lifetimeNs: @Sendable (_ sourceEnded: Bool, _ sinkEnded: Bool) -> UInt64 = { source, sink in
    sr_connection_lifetime_ns(
      SR_CONNECTION_ANSWERED.rawValue | (source ? SR_CONNECTION_FIN.rawValue : 0)
        | (sink ? SR_CONNECTION_REPLY_FIN.rawValue : 0))
  }
  /// How often some of the connections are looked through, and how many then: they cost no more than 0.1 ms at once.
  var sweepMs: Int32 = 250
  var sweepCount = 2048
  /// Connections whose figures the kernel is asked for at once, about 1 ms.
  var readingCount = 512
}
