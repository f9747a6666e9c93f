import CStreamRouter

/// How packets, or words that stand for them, are passed from one process to another.
enum PassingWay: String, CaseIterable, Sendable {
  case channel = "channel"
  case channelSingly = "channel-singly"
  case channelAsleep = "channel-asleep"
  case pipe = "pipe"
  case stream = "unix-stream"
  case datagram = "unix-datagram"
  case datagrams = "unix-datagram-batch"
  case ring = "io-uring-msg"

  var title: String {
    switch self {
    case .channel: "channel, batches of 64"
    case .channelSingly: "channel, one at a time"
    case .channelAsleep: "channel, the receiver asleep"
    case .pipe: "pipe, batches of 64"
    case .stream: "Unix stream socket, batches of 64"
    case .datagram: "Unix datagram socket, one a call"
    case .datagrams: "Unix datagram socket, sendmmsg of 64"
    case .ring: "io_uring msg ring, batches of 64"
    }
  }

  var isChannel: Bool { [.channel, .channelSingly, .channelAsleep].contains(self) }
  /// Packets that are handed over at once.
  var batch: Int { [.channelSingly, .datagram, .channelAsleep].contains(self) ? 1 : Self.most }
  static let most = Int(SR_PASS_MOST)

  /// Whether it carries bytes of its own, or words for what stands in shared memory.
  var carriesBytes: Bool { self != .ring }
  /// Whether throughput says something: who sleeps between packets is measured by its latency.
  var hasThroughput: Bool { self != .channelAsleep }

  var kind: sr_pass_kind {
    switch self {
    case .datagram: SR_PASS_DATAGRAM
    case .datagrams: SR_PASS_DATAGRAMS
    default: SR_PASS_STREAM
    }
  }
}
