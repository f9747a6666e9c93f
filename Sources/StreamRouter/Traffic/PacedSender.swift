import CStreamRouter
import JitterStats
import SystemPackage
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// Datagrams in memory, handed to the kernel when each is due: what `send` and `replay` have in common.
///
/// All memory is taken when it is made: between two packets nothing is allocated. Owned by the one thread that sends.
struct PacedSender: ~Copyable {
  /// Datagrams that one system call takes at most; those that are due already go together.
  static let batch = 64

  private let descriptor: Int32
  private let destination: Endpoint
  private let sender: OpaquePointer
  private let pieces: UnsafeMutablePointer<iovec>
  private let memory: UnsafeMutableRawPointer
  private let stride: Int
  /// When each of the batch is due, by CLOCK_MONOTONIC.
  private let dues: UnsafeMutablePointer<UInt64>

  /// Datagrams and bytes of payload that the kernel took.
  private(set) var packets: UInt64 = 0
  private(set) var bytes: UInt64 = 0
  /// How often the kernel took nothing because its queue was full, and the sender waited.
  private(set) var waits: UInt64 = 0
  /// Against the plan.
  private(set) var lateness = DelayDistribution()
  /// CLOCK_REALTIME of the first and last hand-over.
  private(set) var firstNs: UInt64 = 0
  private(set) var lastNs: UInt64 = 0

  /// - Parameter largest: Bytes of the largest datagram.
  init(_ socket: TrafficSocket, to destination: Endpoint, largest: Int) {
    descriptor = socket.descriptor
    self.destination = destination
    guard let sender = sr_sender_make() else { preconditionFailure("no memory for a sender") }
    self.sender = sender
    stride = (largest + 63) & ~63
    memory = .allocate(byteCount: stride * Self.batch, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: stride * Self.batch)
    pieces = .allocate(capacity: Self.batch)
    dues = .allocate(capacity: Self.batch)
    var trains: [sr_train] = []
    for place in 0..<Self.batch {
      (pieces + place).initialize(to: iovec(iov_base: memory + place * stride, iov_len: largest))
      (dues + place).initialize(to: 0)
      trains.append(sr_train(first_piece: UInt32(place), pieces: 1, segment: 0, dscp: 0))
    }
    let isV4: Int32 = destination.address.family == .ipv4 ? 1 : 0
    sr_sender_load(sender, &trains, UInt32(Self.batch), isV4, pieces)
    var to = sr_udp_address(address: destination.address.words, port: destination.port)
    sr_sender_address(sender, &to, nil)
  }

  deinit {
    sr_sender_free(sender)
    pieces.deallocate()
    dues.deallocate()
    memory.deallocate()
  }

  /// The room of one datagram of the batch.
  func room(_ place: Int) -> UnsafeMutableRawPointer { memory + place * stride }

  /// Says how long the datagram at a place is and when it is due (CLOCK_MONOTONIC).
  func set(_ place: Int, bytes: Int, dueNs: UInt64) {
    pieces[place].iov_len = bytes
    dues[place] = dueNs
  }

  /// Hands the first `count` datagrams over, in order, however often the queue is full.
  ///
  /// - Parameters:
  ///   - depart: Writes the time of departure into a room; called again where the kernel had to be asked again.
  /// - Returns: False where the flag was set before all were taken.
  mutating func send(
    _ count: Int, stop: StopFlag, depart: (UnsafeMutableRawPointer, UInt64) -> Void
  ) throws(TrafficError) -> Bool {
    var done = 0
    while done < count {
      let departureNs = realtimeNs()
      for place in done..<count { depart(room(place), departureNs) }
      let now = monotonicNs()
      let result = sr_send(sender, descriptor, UInt32(done), UInt32(count - done))
      if result > 0 {
        if packets == 0 { firstNs = departureNs }
        lastNs = departureNs
        for place in done..<done + Int(result) {
          bytes += UInt64(pieces[place].iov_len)
          lateness.record(now > dues[place] ? now - dues[place] : 0, atNs: departureNs)
        }
        packets += UInt64(result)
        done += Int(result)
        continue
      }
      switch -result {
      case EINTR: break
      case EAGAIN, ENOBUFS:
        waits += 1
        _ = sr_udp_wait_writable(descriptor, 10)
      default: throw failure(-result, bytes: Int(pieces[done].iov_len))
      }
      if stop.isSet { return false }
    }
    return true
  }

  private func failure(_ number: Int32, bytes: Int) -> TrafficError {
    let remedy =
      switch number {
      case EMSGSIZE: "it is more than the path's MTU carries: send smaller datagrams"
      case ENETUNREACH, EHOSTUNREACH: "no route leads there: see 'ip route get \(destination.address)'"
      case EACCES, EPERM: "a firewall or a broadcast address forbids it"
      default: "see 'ip route get \(destination.address)'"
      }
    return .cannotSend(
      to: "\(destination)", bytes: bytes, reason: "\(Errno(rawValue: number))", remedy: remedy)
  }
}
