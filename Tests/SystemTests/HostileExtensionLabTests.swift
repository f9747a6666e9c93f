import CStreamRouter
import Foundation
import TestSupport
import Testing
import Topology

@testable import StreamRouter

/// Extensions that would do harm, one after the other on a node whose other stream runs on: each is refused when it is
/// built, when the node reads it, or by the verifier, or it is contained; the stream loses nothing.
///
///     camera --20,000/s--> edge [stamp] --> studio        video
///     camera ------------> edge [hostile] --> studio      probe
@Suite(.serialized, .enabled(if: ExtensionBuilding.obstacle == nil, "\(ExtensionBuilding.obstacle ?? "")"))
struct HostileExtensionLabTests {
  private static let streams = """
      video:
        {protocol: rtp, from: "camera:5004", to: "studio:7000", extensions: [{name: stamp, at: edge}]}
      probe:
        {protocol: udp, from: "camera:5100", to: "studio:7100", extensions: [{name: hostile, at: edge}]}
    """

  private static func source(_ name: String, _ members: String) -> String {
    "import RelayExtension\n\n@main struct \(name): RelayExtension {\n\(members)\n}\n"
  }

  private static let stamp = """
    func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
      packet.store(UInt8(0xa1), at: \(SwapTraffic.stampOffset))
      return .forward
    }
    """

  @Test("twelve and more hostile extensions beside a running stream: none costs it a packet")
  func noneHarmsTheOtherStream() async throws {
    let live = try LiveLab("hostile", engine: .sandbox, streams: Self.streams)
    try live.install(try await ExtensionBuilding.build(Self.source("Stamp", Self.stamp), in: live.folder).image)
    let good = try await ExtensionBuilding.build(
      Self.source("Hostile", HostileExtension.contained), in: live.folder)
    try live.install(good.image, as: "hostile")
    try await live.use {
      let (source, sink) = try live.swapSockets()
      let traffic = SwapTraffic(
        from: source, to: try #require(Endpoint("10.78.0.1:5004")), into: sink, perSecond: 20_000,
        most: 8_000_000)
      for hostile in HostileExtension.refusedByBuilder {
        let error = await #expect(throws: ExtensionError.self) {
          _ = try await ExtensionBuilding.build(Self.source(hostile.name, hostile.members), in: live.folder)
        }
        let message = hostile.message.replacing("\(hostile.name).swift", with: "Extension.swift")
        #expect("\(String(describing: error))".contains(message), "\(hostile)")
      }
      for hostile in HostileExtension.refusedByVerifier {
        let object = try await ExtensionBuilding.build(
          Self.source("Hostile", hostile.members), in: live.folder)
        // The line that the verifier names is of a file that is called otherwise here.
        let message = hostile.message.prefix { $0 != "(" && $0 != ";" }
        try await refuses(object.image, "the kernel's verifier refuses extension hostile: \(message)", live)
      }
      try await refuses(
        ExtensionBuilding.resealed(good, "\"abi\":3,", "\"abi\":9,"),
        "extension hostile was built for version 9 of the interface; this streamrouter has 3", live)
      var corrupt = good.image
      corrupt[corrupt.count / 2] ^= 1
      try await refuses(corrupt, "was changed or damaged after it was built", live)
      try await refuses(Array(good.image.dropLast(100)), "is no built extension", live)
      #expect(try await live.runningExtension("probe") == good.content)
      try await contains(live)

      let came = traffic.end()
      #expect(came.lost == 0 && came.repeated == 0, "\(came) of \(traffic.sent)")
      #expect(came.stamps == [0xa1: traffic.sent])
      print("\(traffic.sent) packets beside hostile extensions: \(came)")
    }
  }

  /// The node reads an object, says why it will not have it, and goes on with the former one.
  private func refuses(_ object: [UInt8], _ message: String, _ live: LiveLab) async throws {
    let before = (LabFiles.read(live.edgeLog) ?? "").utf8.count
    try live.install(object, as: "hostile")
    kill(try live.pid("edge"), SIGHUP)
    let deadline = ContinuousClock.now + .seconds(30)
    var said = ""
    while !said.contains("again changed nothing"), ContinuousClock.now < deadline {
      try await Task.sleep(for: .milliseconds(20))
      said = String(decoding: Array((LabFiles.read(live.edgeLog) ?? "").utf8.dropFirst(before)), as: UTF8.self)
    }
    #expect(said.contains(message), "\(said)")
  }

  /// Packets that make the extension trap, read and write beyond its state and beyond the packet.
  private func contains(_ live: LiveLab) async throws {
    let socket = try NamespaceSocket(namespace: live.namespace("camera"), family: AF_INET)
    let collector = try DatagramCollector(live, node: "studio", at: "10.78.0.3:7100")
    let trapping: [[UInt8]] = [
      [1, 16], [1, 255], [2, 16], [2, 255], [3, 1], [4, 56], [5, 0], [7, 0],
    ]
    let passing: [[UInt8]] = [
      [0, 0], [1, 15], [2, 0], [4, 55], [5, 1], [6, 1], [6, 0, 1, 2, 3, 4, 5, 6, 7, 8],
    ]
    for datagram in trapping + passing {
      try socket.send(datagram, to: try #require(Endpoint("10.78.0.1:5100")))
    }
    #expect(try await collector.all(expecting: passing.count) == passing)
    let probe = try await live.account("probe")
    let edge = try #require(probe.first { !$0.extensions.isEmpty })
    #expect(edge.counters["drop_fault"] == UInt64(trapping.count))
    #expect(edge.extensions[0].faults == UInt64(trapping.count))
    #expect(edge.extensions[0].forwarded == UInt64(passing.count))
  }
}
