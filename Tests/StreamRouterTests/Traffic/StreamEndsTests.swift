import Foundation
import Testing
import Topology

@testable import StreamRouter

/// Whence a stream is sent and where it comes out, for the example topologies.
@Suite struct StreamEndsTests {
  private static func ends(_ stream: String, _ example: String) throws -> StreamEnds {
    let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    return try StreamEnds(
      stream, of: Topology.load(path: package.appending(path: "topologies/\(example).yaml").path))
  }

  @Test("three-hop: from the camera itself to the studio")
  func threeHop() throws {
    let ends = try Self.ends("audio", "three-hop")
    #expect(ends.ingress == Endpoint("10.42.0.1:5008"))
    let source = try ends.source()
    #expect(source.node == "camera" && source.address == IPAddress("10.42.0.1"))
    let sink = try ends.sink()
    #expect(sink.node == "studio" && sink.endpoint == Endpoint("10.42.0.3:5008"))
    #expect(throws: TrafficError.self) { try ends.source(at: "studio") }
    #expect(throws: TrafficError.self) { try ends.sink(at: "camera") }
    #expect(throws: TrafficError.self) { try Self.ends("film", "three-hop") }
  }

  @Test("fan-out: from outside too, to each of three sinks")
  func fanOut() throws {
    let ends = try Self.ends("feed", "fan-out")
    let outside = try ends.source(at: LabNames.outside)
    #expect(outside.address == IPAddress("10.43.0.129"))
    #expect(throws: TrafficError.self) { try ends.sink() }
    #expect(try ends.sink(at: "studio-b").endpoint == Endpoint("10.43.2.3:6000"))
    #expect(try ends.sink(at: "192.0.2.10:7000").node == LabNames.outside)
    #expect(try ends.sink(at: LabNames.outside).endpoint == Endpoint("192.0.2.10:7000"))
  }

  @Test("loopback: an address of the prefix that the first hop allows")
  func loopback() throws {
    #expect(try Self.ends("video", "loopback").source().address == IPAddress("127.0.1.1"))
  }
}
