import CStreamRouter
import Foundation
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// Extensions in a lab: exchanged under load, refused without harm, adopted by the next daemon.
@Suite(.serialized, .enabled(if: ExtensionBuilding.obstacle == nil, "\(ExtensionBuilding.obstacle ?? "")"))
struct ExtensionSwapTests {
  private static let stream = """
      video:
        {protocol: rtp, from: "camera:5004", to: "studio:7000", extensions: [{name: stamp, at: edge}]}
    """

  /// Writes a byte into every packet, where the datapath's own account does not look.
  private static func stamp(_ byte: String, _ more: String = "") -> String {
    """
    import RelayExtension
    @main struct Stamp: RelayExtension {
      enum Counter: UInt32, RelayCounter { case stamped }
      func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
        packet.store(UInt8(\(byte)), at: \(SwapTraffic.stampOffset))
        context.count(.stamped)
        \(more)
        return .forward
      }
    }
    """
  }

  /// `SR_SWAPS=1000 swift test --filter ExtensionSwapTests` takes over two minutes.
  private static let swapCount = ProcessInfo.processInfo.environment["SR_SWAPS"].flatMap { Int($0) } ?? 60

  @Test("versions one after the other under load: no packet lost or repeated, each met one version")
  func swaps() async throws {
    let live = try LiveLab("swap", engine: .sandbox, streams: Self.stream)
    let (one, two) = (
      try await ExtensionBuilding.build(Self.stamp("0xa1"), in: live.folder),
      try await ExtensionBuilding.build(Self.stamp("0xb2"), in: live.folder)
    )
    try live.install(one.image)
    try await live.use {
      let (source, sink) = try live.swapSockets()
      let traffic = SwapTraffic(
        from: source, to: try #require(Endpoint("10.78.0.1:5004")), into: sink, perSecond: 100_000,
        most: 40_000_000)
      let daemon = try live.pid("edge")
      let log = live.edgeLog
      let began = ContinuousClock.now
      for swap in 1...Self.swapCount {
        let bytes = try ExtensionBuilding.version(swap, of: swap % 2 == 0 ? one : two)
        let content = try ExtensionObject(bytes: bytes, file: "stamp.srx").content
        try live.install(bytes)
        kill(daemon, SIGHUP)
        let deadline = ContinuousClock.now + .seconds(10)
        while try await live.runningExtension() != content {
          try #require(
            ContinuousClock.now < deadline, "swap \(swap) was not carried out: \(LabFiles.tail(log, lines: 20))"
          )
          try await Task.sleep(for: .milliseconds(2))
        }
      }
      let took = (ContinuousClock.now - began) / .seconds(1)
      let came = traffic.end()
      print(
        "\(Self.swapCount) swaps in \(took) s, \(traffic.sent) packets, \(Double(traffic.sent) / took) a second, \(came)"
      )
      #expect(came.lost == 0 && came.repeated == 0, "\(came) of \(traffic.sent)")
      #expect(Set(came.stamps.keys) == [0xa1, 0xb2])
      #expect(came.stamps.values.allSatisfy { $0 > traffic.sent / 10 }, "\(came.stamps)")
      #expect(came.stamps.values.reduce(0, +) == traffic.sent)
    }
  }

  @Test("an extension that the verifier refuses leaves the former one running, and the log says why")
  func refused() async throws {
    let live = try LiveLab("refused", engine: .sandbox, streams: Self.stream)
    let good = try await ExtensionBuilding.build(Self.stamp("0xa1"), in: live.folder)
    let endless = try await ExtensionBuilding.build(
      Self.stamp(
        "0xb2",
        "var sum = 0; for i in 0..<50_000_000 { sum &+= Int(packet[i & 63] ?? 1) }; if sum == 7 { return .drop }"
      ),
      in: live.folder)
    try live.install(good.image)
    try await live.use {
      let (source, sink) = try live.swapSockets()
      let traffic = SwapTraffic(
        from: source, to: try #require(Endpoint("10.78.0.1:5004")), into: sink, perSecond: 5000, most: 1_000_000
      )
      try live.install(endless.image)
      kill(try live.pid("edge"), SIGHUP)
      let log = live.edgeLog
      let deadline = ContinuousClock.now + .seconds(30)
      while LabFiles.read(log)?.contains("again changed nothing") != true, ContinuousClock.now < deadline {
        try await Task.sleep(for: .milliseconds(20))
      }
      let text = LabFiles.read(log) ?? ""
      #expect(text.contains("the kernel's verifier refuses extension stamp"), "\(LabFiles.tail(log, lines: 9))")
      #expect(try await live.runningExtension() == good.content)
      let came = traffic.end()
      #expect(came.lost == 0 && came.repeated == 0 && Set(came.stamps.keys) == [0xa1], "\(came)")
    }
  }

  @Test("a killed daemon's extensions go on, and the next daemon takes their account over")
  func adopted() async throws {
    let live = try LiveLab("adopt", engine: .sandbox, streams: Self.stream)
    let object = try await ExtensionBuilding.build(Self.stamp("0xa1"), in: live.folder)
    try live.install(object.image)
    try await live.use {
      let (source, sink) = try live.swapSockets()
      let traffic = SwapTraffic(
        from: source, to: try #require(Endpoint("10.78.0.1:5004")), into: sink, perSecond: 5000, most: 1_000_000
      )
      for _ in 0..<3 {
        try await Task.sleep(for: .milliseconds(300))
        kill(try live.pid("edge"), SIGKILL)
        try await Task.sleep(for: .milliseconds(300))
        #expect(try await live.up() == .updated(restarted: ["edge"], reloaded: []))
      }
      let came = traffic.end()
      #expect(came.lost == 0 && came.repeated == 0 && Set(came.stamps.keys) == [0xa1], "\(came)")
      let found = try #require(try await live.account("video")[1].extensions.first)
      #expect(found.content == object.content && found.faults == 0 && found.dropped == 0)
      #expect(found.counters["stamped"] == UInt64(traffic.sent))
      #expect(found.runs == UInt64(traffic.sent) && found.forwarded == found.runs && found.meanNs > 0)
    }
  }
}
