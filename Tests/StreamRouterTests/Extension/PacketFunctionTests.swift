import CStreamRouter
import Foundation
import TestSupport
import Testing
import Topology

@testable import StreamRouter

/// What extensions ask for beyond their packet's bytes, on a machine without the kernel module. With it, see functions.sh
/// of Tests/VM/guest.
@Suite(.enabled(if: ExtensionWorkbench.obstacle == nil, "\(ExtensionWorkbench.obstacle ?? "")"))
struct PacketFunctionTests {
  private static let folder = ExtensionWorkbench.sources.deletingLastPathComponent()
    .appending(path: "Tests/Extensions")

  private static func seal() async throws -> ExtensionObject {
    try await ExtensionWorkbench.shared.build(
      "Seal", source: String(contentsOf: folder.appending(path: "Seal.swift"), encoding: .utf8))
  }

  /// Against the example of SipHash's paper; the kernel's part runs where the module is.
  @Test func hashAndParity() async throws {
    let test = try ExtensionTest.run(
      [await Self.seal()], vectors: Self.folder.appending(path: "Seal.vectors.yaml").path)
    #expect(test.failures.map(\.description) == [])
    #expect(test.engines.contains("native"))
  }

  @Test func theManifestSaysWhatIsAskedFor() async throws {
    let seal = try await Self.seal()
    #expect(seal.manifest.needs.isEmpty && seal.manifest.likes == [.hash, .parity])
    #expect(try await ExtensionWorkbench.shared.shipped("Fec").manifest.needs == [.parity, .emit])
    #expect(try await ExtensionWorkbench.shared.shipped("Dejitter").manifest.needs == [.hold])
  }

  /// Calls of the module's functions stand in an object only where its description says so.
  @Test func whatIsNotAskedForIsNotCalled() async throws {
    let seal = try await Self.seal()
    #expect(seal.kernelFlaw == nil)
    var image = seal.image
    let key = Array("\"likes\":[\"hash\",\"parity\"]".utf8)
    let place = try #require(image.firstRange(of: key))
    image.replaceSubrange(place, with: Array("\"likes\":[\"hold\",\"parity\"]".utf8))
    let other = try ExtensionObject(bytes: ExtensionObject.sealed(image), file: "seal.srx")
    #expect(other.kernelFlaw == "calls another function, which extensions may not")
  }

  /// Of what an extension did not ask for, nothing is there, also where the engine has it.
  @Test func whatIsNotAskedForIsNotThere() async throws {
    let object = try await ExtensionWorkbench.shared.build(
      "Unasked",
      """
      func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
        for function in [PacketFunction.hold, .emit, .parity, .hash] where packet.has(function) { return .drop }
        return packet.hold(untilNs: 1) || packet.hash(from: 0, length: 1, key: HashKey(1, 2)) != nil ? .drop : .forward
      }
      """)
    let test = try ExtensionTest.run(object, yaml: "- {name: nothing, protocol: udp, packets: [{payload: 01}]}")
    #expect(test.failures.map(\.description) == [])
  }

  @Test func enginesOfUserLevelRefuseWhatTheyLack() async throws {
    let manifest = try await ExtensionWorkbench.shared.shipped("Dejitter").manifest
    for engine in [EngineChoice.process, .upcall] {
      let error = #expect(throws: EngineError.self) {
        try PacketFunctions.demandNative(manifest, engine: engine)
      }
      #expect(
        "\(String(describing: error))".contains("extension dejitter needs what this node does not offer (hold)")
      )
    }
    try PacketFunctions.demandNative(await Self.seal().manifest, engine: .process)
    let fec = try await ExtensionWorkbench.shared.shipped("Fec").manifest
    try PacketFunctions.demandNative(fec, engine: .upcall)
    let error = #expect(throws: EngineError.self) { try PacketFunctions.demandNative(fec, engine: .process) }
    #expect("\(String(describing: error))".contains("extension fec needs what this node does not offer (emit)"))
  }

  @Test(.enabled(if: access("/dev/streamrouter", F_OK) != 0, "the kernel module is loaded"))
  func withoutTheModuleOnlyWhatLikesItRuns() async throws {
    let (functions, missing) = try PacketFunctions.link(for: [await Self.seal().manifest], demands: true)
    #expect(functions == nil)
    #expect("\(String(describing: missing))".contains("not loaded"))
    let manifest = try await ExtensionWorkbench.shared.shipped("Fec").manifest
    let error = #expect(throws: EngineError.self) {
      _ = try PacketFunctions.link(for: [manifest], demands: true)
    }
    let text = "\(String(describing: error))"
    #expect(text.contains("extension fec needs what this node does not offer (parity, emit)"))
    #expect(text.contains("modprobe streamrouter"))
  }
}

/// The times that extension dejitter has packets leave at.
@Suite(.enabled(if: ExtensionWorkbench.obstacle == nil, "\(ExtensionWorkbench.obstacle ?? "")"))
struct DejitterTests {
  private static let clockRate: UInt64 = 90_000

  /// A relay of the extension in an engine that can hold.
  private struct Buffer {
    let chain: NativeChain

    init(_ settings: [String: ParameterValue]) async throws {
      let object = try await ExtensionWorkbench.shared.shipped("Dejitter")
      let entry = ExtensionVectors.Case(name: "", chain: [], packets: [])
      chain = try NativeChain(
        [(object, object.manifest.record(settings))], relay: VectorNetwork(entry: entry).relay,
        functions: UInt32(SR_FUNCTION_HOLD.rawValue))
    }

    /// When a packet leaves.
    func run(_ sequence: UInt16, mediaNs: UInt64, arrivalNs: UInt64, ssrc: UInt32 = 7) -> UInt64 {
      var message = sr_received()
      message.arrival_ns = arrivalNs
      let timestamp = UInt32(truncatingIfNeeded: mediaNs * DejitterTests.clockRate / 1_000_000_000)
      var datagram: [UInt8] = [0x80, 96, UInt8(sequence >> 8), UInt8(truncatingIfNeeded: sequence)]
      for word in [timestamp, ssrc] { datagram += withUnsafeBytes(of: word.bigEndian) { Array($0) } }
      datagram += [1, 2, 3, 4]
      message.length = UInt32(datagram.count)
      message.segment = message.length
      return chain.run(&datagram, message, companion: false).release_ns
    }
  }

  private static let beginNs: UInt64 = 1_700_000_000_000_000_000

  /// Packets, or frames of seven packets, that come late by up to 4 or 60 ms and out of order leave in order, from the
  /// first on; soon, and then always, within 1 ms of their rhythm.
  @Test(arguments: [(4, 1), (60, 1), (4, 7), (60, 7)] as [(UInt64, Int)], 0..<2)
  func unevenArrivalsLeaveEvenly(_ kind: (lateMs: UInt64, frame: Int), _ run: Int) async throws {
    let (lateMs, frame) = kind
    let buffer = try await Buffer(["delayMs": .init("80")!])
    var random = SystemRandomNumberGenerator()
    // More than sequence numbers are counted over at a time.
    let packets = (0..<10_000).map { index in
      let mediaNs = UInt64(index / frame * frame) * 2_000_000
      return (
        index: index, mediaNs: mediaNs,
        arrivalNs: Self.beginNs + mediaNs + random.next() % (lateMs * 1_000_000)
      )
    }
    var releases = [UInt64](repeating: 0, count: packets.count)
    for packet in packets.sorted(by: { $0.arrivalNs < $1.arrivalNs }) {
      releases[packet.index] = buffer.run(
        UInt16(truncatingIfNeeded: 60_000 + packet.index), mediaNs: packet.mediaNs, arrivalNs: packet.arrivalNs)
    }
    let disorder = zip(releases, releases.dropFirst()).filter { $0 >= $1 }.count
    #expect(disorder == 0)
    let late = packets.filter { releases[$0.index] < $0.arrivalNs }.count
    #expect(late == 0)
    // The rhythm: how far each leaves behind its media time.
    let behind = packets.dropFirst(1000).map { Int64(releases[$0.index] - $0.mediaNs - Self.beginNs) }
    let (least, most) = (behind.min() ?? 0, behind.max() ?? 0)
    #expect(most - least < 1_000_000, "\(least) to \(most) ns")
    #expect(least >= 80_000_000 && most < 82_000_000)
  }

  /// What comes later than the buffer is deep leaves at once, and pushes nothing after it.
  @Test func tooLateLeavesAtOnce() async throws {
    let buffer = try await Buffer(["delayMs": .init("5")!])
    let (begin, ms) = (Self.beginNs, UInt64(1_000_000))
    #expect(buffer.run(0, mediaNs: 0, arrivalNs: begin) == begin + 5 * ms)
    let late = buffer.run(1, mediaNs: 20 * ms, arrivalNs: begin + 40 * ms)
    #expect(late <= begin + 40 * ms && late > begin + 24 * ms)
    let next = buffer.run(2, mediaNs: 40 * ms, arrivalNs: begin + 41 * ms)
    #expect(next > begin + 45 * ms && next < begin + 46 * ms)
    // One that was overtaken leaves before the one that overtook it.
    let newer = buffer.run(4, mediaNs: 80 * ms, arrivalNs: begin + 80 * ms)
    #expect(newer >= begin + 85 * ms && newer < begin + 85 * ms + 100_000)
    #expect(buffer.run(3, mediaNs: 60 * ms, arrivalNs: begin + 81 * ms) < begin + 66 * ms)
  }

  @Test func anotherSourceBeginsAnew() async throws {
    let buffer = try await Buffer([:])
    let (begin, ms) = (Self.beginNs, UInt64(1_000_000))
    #expect(buffer.run(0, mediaNs: 0, arrivalNs: begin) == begin + 20 * ms)
    #expect(buffer.run(9, mediaNs: 7_000 * ms, arrivalNs: begin + 1 * ms, ssrc: 8) == begin + 21 * ms)
    // So does a step of the sender's clock.
    #expect(buffer.run(10, mediaNs: 20_000 * ms, arrivalNs: begin + 2 * ms, ssrc: 8) == begin + 22 * ms)
  }
}
