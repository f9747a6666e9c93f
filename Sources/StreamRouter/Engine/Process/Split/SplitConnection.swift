import CStreamRouter

/// One connection of a source, which this hop accepted, and the one that goes on to the sink.
struct SplitConnection {
  enum State: UInt8 {
    case free
    /// The sink has not answered yet.
    case connecting
    case open
    /// Over; its place stays taken until the queue has come past it.
    case over
  }

  var state = State.free
  /// It has more to do in the next round.
  var isQueued = false
  /// No pipe could be had.
  var isStarved = false
  /// Another number for each connection in this place: what epoll said of a former one is not meant for the next.
  var generation: UInt32 = 0
  var relay: UnsafeMutablePointer<SplitRelay>?
  var peer = sr_udp_address()
  /// When bytes moved last, or it began (CLOCK_MONOTONIC).
  var seenNs: UInt64 = 0
  /// The next free place, or the next in the queue; -1: none.
  var next: Int32 = -1
}

/// One of a connection's two sockets, and the bytes that came from it and wait for the other one.
struct SplitEnd {
  var descriptor: Int32 = -1
  /// What epoll told, until a call would have had to wait.
  var isReadable = false
  var isWritable = false
  /// An urgent byte came, before which splice(2) stops (RFC 9293 section 3.8.5).
  var isUrgent = false
  /// Nothing more comes from it.
  var hasEnded = false
  /// And the other end was told so.
  var isPassedOn = false
  /// Where the bytes wait; without ends where none do.
  var pipe = SplitEnd.noPipe
  var waiting = 0
  /// When epoll told that bytes are there, or for those behind them the round in which it was read last
  /// (CLOCK_MONOTONIC).
  var toldNs: UInt64 = 0
  /// Of all that wait, one byte's residence is measured at a time: how many are to be written until it was, and its
  /// `toldNs`. 0: none is.
  var markedBytes = 0
  var markedNs: UInt64 = 0
  /// What is in the account already.
  var counted = sr_tcp_state()

  static let noPipe = sr_pipe(out: -1, in: -1)
}

/// What epoll reports events under.
enum SplitContext {
  static let listener: UInt64 = 1
  static let end: UInt64 = 2
  private static let kindShift: UInt64 = 62
  private static let generationShift: UInt64 = 32
  static let generationMask: UInt32 = (1 << 30) - 1

  /// Addresses of user level leave the upper bits free.
  static func of(_ pointer: UnsafeMutablePointer<SplitListener>) -> UInt64 {
    listener << kindShift | UInt64(UInt(bitPattern: pointer))
  }

  static func of(end place: Int, generation: UInt32) -> UInt64 {
    end << kindShift | UInt64(generation) << generationShift | UInt64(place)
  }

  static func kind(_ context: UInt64) -> UInt64 { context >> kindShift }

  static func listener(_ context: UInt64) -> UnsafeMutablePointer<SplitListener>? {
    UnsafeMutablePointer(bitPattern: UInt(context & ((1 << kindShift) - 1)))
  }

  static func place(_ context: UInt64) -> Int { Int(UInt32(truncatingIfNeeded: context)) }

  static func generation(_ context: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: context >> generationShift) & generationMask
  }
}
