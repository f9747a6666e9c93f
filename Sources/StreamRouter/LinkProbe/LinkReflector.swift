import Topology

/// Answers the test packets of one address's peers (the session-reflector of RFC 8762, stateful), and nobody else's.
///
/// State machine without socket and clock: packets and times go in, answers come out.
struct LinkReflector: Sendable {
  private struct Peer {
    /// The sender's session: another port is another one, which is counted from 0.
    var port: UInt16?
    var next: UInt32 = 0
    var answered: UInt64 = 0
    /// What may still be answered at once, in thousandths of a packet.
    var credit = LinkReflector.burst * 1000
    var creditedNs: UInt64 = 0
  }

  private var peers: [IPAddress: Peer]

  /// A peer that sends more is somebody who uses its address: answers would only help him.
  static let answersPerSecond: UInt64 = 200
  private static let burst: UInt64 = 100

  init(peers: [IPAddress]) {
    self.peers = Dictionary(peers.map { ($0, Peer()) }, uniquingKeysWith: { first, _ in first })
  }

  /// Those that stay go on counting.
  mutating func follow(peers now: [IPAddress]) {
    peers = Dictionary(now.map { ($0, peers[$0] ?? Peer()) }, uniquingKeysWith: { first, _ in first })
  }

  /// Test packets of the peer that were answered.
  func answered(_ peer: IPAddress) -> UInt64 { peers[peer]?.answered ?? 0 }

  /// The answer, but for the time at which it is sent; nil where there is none to give.
  mutating func answer(
    _ bytes: UnsafeRawBufferPointer, from source: Endpoint, hopLimit: UInt8, arrivedNs: UInt64,
    monotonicNs: UInt64
  ) -> TestAnswer? {
    guard var peer = peers[source.address], let packet = TestPacket(bytes) else { return nil }
    let passed = min(monotonicNs &- peer.creditedNs, 1_000_000_000)
    peer.credit = min(Self.burst * 1000, peer.credit + passed * Self.answersPerSecond / 1_000_000)
    peer.creditedNs = monotonicNs
    defer { peers[source.address] = peer }
    guard peer.credit >= 1000 else { return nil }
    peer.credit -= 1000
    if peer.port != source.port { (peer.port, peer.next) = (source.port, 0) }
    defer {
      peer.next &+= 1
      peer.answered += 1
      peers[source.address] = peer
    }
    let received = TestTime(realtimeNs: arrivedNs)
    return TestAnswer(
      number: peer.next, time: received, quality: 0, received: received, packet: packet, hopLimit: hopLimit)
  }
}
