import CStreamRouter
import Foundation
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// Extensions that system tests build, and put beside the topology of their lab.
enum ExtensionBuilding {
  /// Why tests that build extensions and run them in a lab cannot run here; nil where they can.
  static let obstacle: String? =
    LabFixture.obstacle
    ?? ((try? ExtensionToolchain.find()) == nil ? "needs swiftc, clang and llvm-objcopy of one toolchain" : nil)

  static func build(_ source: String, in folder: URL) async throws -> ExtensionObject {
    let work = folder.appending(path: "build-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: work, withIntermediateDirectories: true)
    let file = work.appending(path: "Extension.swift")
    try source.write(to: file, atomically: true, encoding: .utf8)
    return try await ExtensionBuilder().build(source: FilePath(file.path), into: FilePath(work.path)).object
  }

  /// The same code under another version, which makes it another extension to the node.
  static func version(_ number: Int, of object: ExtensionObject) throws -> [UInt8] {
    let digits = String(number)
    return try resealed(
      object, "\"version\":\"1.0.0\"",
      "\"version\":\"\(String(repeating: "0", count: 5 - digits.count))\(digits)\"")
  }

  /// An object with another text in the place of one of the same length, and with a hash that is right.
  static func resealed(_ object: ExtensionObject, _ from: String, _ to: String) throws -> [UInt8] {
    var bytes = object.image
    let place = try #require(bytes.indices.first { bytes[$0...].starts(with: Array(from.utf8)) })
    bytes.replaceSubrange(place..<place + from.utf8.count, with: Array(to.utf8))
    return try ExtensionObject.sealed(bytes)
  }
}

extension LiveLab {
  /// Puts an extension where the nodes look for it.
  func install(_ bytes: [UInt8], as name: String = "stamp") throws {
    let place = folder.appending(path: "extensions")
    try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    try Data(bytes).write(to: place.appending(path: "\(name).srx"), options: .atomic)
  }

  /// The two ends of ``SwapTraffic``.
  func swapSockets() throws -> (source: NamespaceSocket, sink: NamespaceSocket) {
    let source = try NamespaceSocket(namespace: namespace("camera"), family: AF_INET)
    let sink = try NamespaceSocket(namespace: namespace("studio"), family: AF_INET)
    var bytes: Int32 = 64 << 20
    setsockopt(
      sink.descriptor, SOL_SOCKET, Int32(SO_RCVBUFFORCE), &bytes, socklen_t(MemoryLayout<Int32>.size))
    try sink.bind(try #require(Endpoint("10.78.0.3:7000")))
    return (source, sink)
  }

  /// The content of the extension that the edge runs for a stream.
  func runningExtension(_ stream: String = "video") async throws -> String? {
    let readings = await ControlSnapshotSource(topology: topology.name, nodes: ["edge"]).read()
    return readings.first?.snapshot?.relays.first { $0.stream == stream }?.extensions.first?.content
  }

  var edgeLog: FilePath { NodePaths(topology: topology.name, node: "edge").log }
}
