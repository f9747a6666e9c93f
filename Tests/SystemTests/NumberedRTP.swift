import Foundation
import Testing
import Topology

@testable import StreamRouter

/// Numbered RTP packets (RFC 3550 section 5.1), so that the relays' own account of sequence numbers is held to the
/// truth too: the datagrams of one SSRC, and their number in full behind the header.
enum NumberedRTP {
  static let bytes = 200

  static func packet(_ number: Int) -> [UInt8] {
    // 18 ticks of 90 kHz are 200 us: 5,000 packets a second.
    var packet: [UInt8] = [0x80, 96] + big(number & 0xffff, 2) + big(number * 18 & 0xffff_ffff, 4)
    packet += [0x53, 0x52, 0, 1] + big(number, 4)
    return packet + [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: bytes - packet.count)
  }

  private static func big(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  /// Of those packets that are unchanged.
  static func numbers(_ packets: [[UInt8]]) -> [Int] {
    packets.compactMap { packet in
      guard packet.count == bytes else { return nil }
      let number = packet[12..<16].reduce(0) { $0 << 8 | Int($1) }
      return packet == self.packet(number) ? number : nil
    }
  }

  /// Each number of the range once and in order: no loss, no duplicate, no changed byte.
  static func expectAll(_ packets: [[UInt8]], _ range: Range<Int>) {
    let found = numbers(packets)
    let isComplete = packets.count == found.count && found == Array(range)
    let (lost, unique) = (Set(range).subtracting(found), Set(found))
    #expect(
      isComplete,
      """
      \(lost.count) of \(range.count) lost (first: \(lost.min() ?? -1)), \(found.count - unique.count) duplicates, \
      \(packets.count - found.count) changed
      """)
  }

  /// Sends the packets of a range from a node's namespace, evenly paced, on a thread of its own. What comes late is
  /// not made up for in one burst, which could overflow a queue on the way while the machine is busy elsewhere.
  ///
  /// - Parameter rate: Packets a second.
  static func send(
    _ range: Range<Int>, in namespace: String, to ingress: Endpoint, perSecond rate: Int
  ) async throws {
    let socket = try NamespaceSocket(
      namespace: namespace, family: ingress.address.family == .ipv4 ? AF_INET : AF_INET6)
    let packets = range.map(packet)
    try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
      Thread.detachNewThread {
        done.resume(
          with: Result {
            let step = Duration.nanoseconds(1_000_000_000 / rate)
            var due = ContinuousClock.now
            for (place, packet) in packets.enumerated() {
              try socket.send(packet, to: ingress)
              due += step
              guard place % 5 == 4 else { continue }
              let early = due - .now
              if early > .zero {
                usleep(UInt32(early.components.attoseconds / 1_000_000_000_000))
              } else {
                due = max(due, .now - step * 15)
              }
            }
          })
      }
    }
  }
}
