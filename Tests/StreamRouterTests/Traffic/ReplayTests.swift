import Foundation
import Testing
import Topology

@testable import StreamRouter

/// A capture is written by our writer, and what replay sends of it is received.
@Suite(.serialized) struct ReplayTests {
  /// RTP packets 20 ms apart, with a gap and two that changed places.
  private static let sequences: [UInt16] = [65_533, 65_534, 65_535, 1, 0, 4, 5]

  private static func packet(_ sequence: UInt16) -> [UInt8] {
    [0x80, 0xe0] + UDPFrame.big(sequence) + UDPFrame.big(UInt32(sequence) &* 1800) + [0, 0, 0, 7]
      + [UInt8](repeating: UInt8(truncatingIfNeeded: sequence), count: 20)
  }

  /// - Parameter extra: Frames behind those of the stream.
  private static func file(_ extra: [[UInt8]] = []) throws -> String {
    let path = FileManager.default.temporaryDirectory.appending(path: "t-replay-\(UUID().uuidString).pcapng")
      .path
    var writer = try PcapngWriter(
      path: path, comment: "test",
      interfaces: [.init(name: "eth0", linkType: 1, filter: "udp", comment: "test interface")])
    let from = try #require(Endpoint("10.0.0.1:4000"))
    let to = try #require(Endpoint("10.0.0.2:5004"))
    let frames = sequences.map { UDPFrame(source: from, destination: to, datagram: packet($0)).bytes } + extra
    for (place, frame) in frames.enumerated() {
      frame.withUnsafeBytes {
        writer.write(
          $0, originalBytes: UInt32(frame.count),
          timeNs: 1_700_000_000_000_000_000 + UInt64(place) * 20_000_000,
          interface: 0, direction: .inbound, comment: Array("packet \(place)".utf8))
      }
    }
    writer.statistics(interface: 0, timeNs: 1_700_000_001_000_000_000, received: 7, dropped: 0)
    try writer.flush(path)
    return path
  }

  /// What arrives of a replay, and its report.
  private static func run(
    _ path: String, _ change: (inout Replay.Settings) -> Void
  ) async throws -> (report: ReplayReport, datagrams: [[UInt8]]) {
    defer { try? FileManager.default.removeItem(atPath: path) }
    let address = try #require(IPAddress("127.0.0.1"))
    let sink = try TrafficSocket(in: nil, at: address, port: 0)
    var settings = Replay.Settings(file: path, destination: Endpoint(address: address, port: sink.local.port))
    change(&settings)
    let report = try await Replay(settings).run(until: StopFlag())
    var datagrams: [[UInt8]] = []
    var buffer = [UInt8](repeating: 0, count: 2048)
    while true {
      let count = recv(sink.descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      guard count >= 0 else { break }
      datagrams.append(Array(buffer[..<count]))
    }
    return (report, datagrams)
  }

  @Test("every byte in its order, in the file's own time", .timeLimit(.minutes(5)))
  func asItIs() async throws {
    let begin = ContinuousClock.now
    let (report, datagrams) = try await Self.run(Self.file([[1, 2, 3]])) { _ in }
    // Packets may be late on a busy machine, and none is early.
    #expect(begin.duration(to: .now) >= .milliseconds(120))
    #expect(datagrams == Self.sequences.map(Self.packet))
    #expect(report.packets == 7 && report.rounds == 1 && report.left == 1)
    #expect(abs(report.fileSeconds - 0.12) < 1e-6)
  }

  @Test("numbers go on over the rounds, with the same gap and disorder in each", .timeLimit(.minutes(5)))
  func rewritten() async throws {
    let (report, datagrams) = try await Self.run(Self.file()) {
      ($0.speed, $0.rounds, $0.ssrc, $0.payloadType, $0.sequence) = (10, 2, 0xabcd, 111, 100)
      $0.timestamp = 5
    }
    #expect(report.packets == 14 && report.rounds == 2)
    // The file's numbers reach from 65,533 to 5: nine of them.
    let wanted = [100, 101, 102, 104, 103, 107, 108, 109, 110, 111, 113, 112, 116, 117]
    #expect(datagrams.map { Int($0[2]) << 8 | Int($0[3]) } == wanted)
    #expect(datagrams.allSatisfy { $0[1] == 0x80 | 111 && Array($0[8..<12]) == [0, 0, 0xab, 0xcd] })
    #expect(Array(datagrams[0][4..<8]) == [0, 0, 0, 5])
    #expect(
      datagrams.map { Array($0[12...]) }
        == (Self.sequences + Self.sequences).map { Array(Self.packet($0)[12...]) })
  }

  @Test("several addresses need a filter, and the error says which there are")
  func severalFlows() async throws {
    let other = UDPFrame(
      source: try #require(Endpoint("10.0.0.1:4000")), destination: try #require(Endpoint("10.0.0.9:99")),
      datagram: [1]
    ).bytes
    do {
      _ = try await Self.run(Self.file([other])) { _ in }
      Issue.record("two flows were sent")
    } catch let error as TrafficError {
      #expect("\(error)".contains("10.0.0.9:99 (1)") && "\(error)".contains("--filter 'dst host 10.0.0.2"))
    }
    let (report, datagrams) = try await Self.run(Self.file([other])) {
      $0.filter = "dst port 99"
      $0.speed = 1000
    }
    #expect(report.packets == 1 && datagrams == [[1]])
  }

  @Test("files that are none, or damaged anywhere, are refused or read, and never trap")
  func hostile() async throws {
    #expect(throws: CaptureError.self) { try ReplaySurvey.of(path: "/nonexistent", filter: "") }
    let path = try Self.file()
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(throws: CaptureError.self) { try ReplaySurvey.of(path: path, filter: "nonsense and") }
    let good = try #require(FileManager.default.contents(atPath: path))
    for place in stride(from: 0, to: good.count, by: 3) {
      var bad = good
      bad[place] ^= 0xff
      if place % 2 == 0 { bad.removeLast(place / 2) }
      try bad.write(to: URL(filePath: path))
      _ = try? ReplaySurvey.of(path: path, filter: "")
    }
  }
}
