import TestSupport
import Testing
import Topology

@testable import StreamRouter

typealias CapturedFrame = StreamRouter.Frame

/// The UDP datagram in a captured packet.
@Suite struct CapturedFrameTests {
  private static func read(_ bytes: [UInt8], _ linkType: UInt16 = 1) -> CapturedFrame? {
    bytes.withUnsafeBytes { CapturedFrame($0, linkType: linkType) }
  }

  @Test("addresses and payload, with and without VLAN tags", arguments: ["10.0.0.1:5004", "[fd00::1]:5004"])
  func ethernet(source: String) throws {
    let source = try #require(Endpoint(source))
    let destination = Endpoint(
      address: IPAddress(high: source.address.high, low: source.address.low + 1), port: 7)
    let frame = UDPFrame(source: source, destination: destination, datagram: [1, 2, 3]).bytes
    for tags in [[], [0x81, 0, 0, 9], [0x88, 0xa8, 0, 7, 0x81, 0, 0, 9]] as [[UInt8]] {
      let bytes = Array(frame[..<12]) + tags + Array(frame[12...])
      let found = try #require(Self.read(bytes))
      #expect(found.source == source && found.destination == destination && found.isWhole)
      #expect(Array(bytes[found.payload]) == [1, 2, 3])
      let cut = try #require(Self.read(Array(bytes.dropLast(2))))
      #expect(!cut.isWhole && cut.payload.count == 1)
    }
    // The same without Ethernet, and behind the headers of Linux' cooked modes (SLL, SLL2).
    let ip = Array(frame[14...])
    #expect(Self.read(ip, 101)?.destination == destination)
    #expect(Self.read([UInt8](repeating: 0, count: 16) + ip, 113)?.destination == destination)
    #expect(Self.read([UInt8](repeating: 0, count: 20) + ip, 276)?.destination == destination)
    #expect(Self.read(ip, 9999) == nil)
  }

  @Test("a fragment is no datagram")
  func fragment() throws {
    var frame = UDPFrame(
      source: try #require(Endpoint("10.0.0.1:1")), destination: try #require(Endpoint("10.0.0.2:2")),
      datagram: [1]
    ).bytes
    frame[20] = 0x20
    #expect(Self.read(frame) == nil)
    frame[20] = 0
    frame[21] = 1
    #expect(Self.read(frame) == nil)
  }

  @Test("any bytes are read without a trap, and nothing beyond them")
  func hostile() throws {
    var random = SeededRandom()
    let good = [
      UDPFrame(
        source: try #require(Endpoint("10.0.0.1:1")), destination: try #require(Endpoint("10.0.0.2:2")),
        datagram: [UInt8](repeating: 7, count: 40)
      ).bytes,
      UDPFrame(
        source: try #require(Endpoint("[fd00::1]:1")), destination: try #require(Endpoint("[fd00::2]:2")),
        datagram: [UInt8](repeating: 7, count: 40)
      ).bytes,
    ]
    for round in 0..<50_000 {
      var bytes = round % 4 == 0 ? random.bytes(Int.random(in: 0...80, using: &random)) : good[round % 2]
      for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      if random.once(in: 3) { bytes.removeLast(Int.random(in: 0...bytes.count, using: &random)) }
      let link = [0, 1, 12, 101, 113, 276].randomElement(using: &random) ?? 1
      guard let found = Self.read(bytes, UInt16(link)) else { continue }
      #expect(found.payload.upperBound <= bytes.count, "SR_SEED=\(random.seed)")
    }
  }
}
