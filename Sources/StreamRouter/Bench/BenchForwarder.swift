import Foundation
import Topology

/// Starts each way of a benchmark in the relay's namespace, and tells where it takes packets.
struct BenchForwarder: Sendable {
  enum Transport: String, Sendable { case udp, tcp }

  var network: BenchNetwork
  var settings: BenchSettings
  /// The built extension of the way sandbox-extension.
  var passing: String?
  /// For files of this run.
  var folder: URL

  /// Runs `body` with the address to send to while the way forwards; whatever was started is gone afterwards.
  ///
  /// - Throws: ``BenchError/notReady(way:message:)``, ``BenchError/needs(_:)``: the way cannot be measured here.
  func run<T: Sendable>(
    _ way: BenchWay, over transport: Transport, _ body: @Sendable @escaping (Endpoint) async throws -> T
  ) async throws -> T {
    let ingress = transport == .udp ? BenchNetwork.ingress : BenchNetwork.tcpIngress
    let end = transport == .udp ? BenchNetwork.sink : BenchNetwork.server
    switch way {
    case .kernel: return try await forwarding { try await body(end) }
    case .process: return try await relay(.process, transport) { try await body(ingress) }
    case .processRR: return try await relay(.processRR, transport) { try await body(ingress) }
    case .sandbox: return try await relay(.sandbox, transport) { try await body(ingress) }
    case .sandboxFIFO: return try await relay(.sandboxFIFO, transport) { try await body(ingress) }
    case .sandboxExtension:
      guard let passing else { throw BenchError.needs("there is no built extension") }
      return try await relay(.sandbox, transport, passing: passing) { try await body(ingress) }
    case .nginx, .haproxy, .socat, .rtpengine, .gstreamer, .srt:
      let peer = try BenchPeer(way, transport, settings: settings, folder: folder)
      return try await peer.run(in: network, body)
    }
  }

  private func relay<T: Sendable>(
    _ setting: BenchRelay.Setting, _ transport: Transport, passing: String? = nil,
    _ body: @Sendable @escaping () async throws -> T
  ) async throws -> T {
    var relay = BenchRelay(setting: setting, passing: passing)
    if transport == .tcp {
      relay.transport = "tcp"
      relay.firstPort = BenchNetwork.tcpIngress.port
      relay.sinks = ["\(BenchNetwork.server)"]
    }
    return try await relay.run(in: network, body: body)
  }

  private func forwarding<T: Sendable>(_ body: @Sendable @escaping () async throws -> T) async throws -> T {
    try await network.forward(true)
    do {
      let value = try await body()
      try await network.forward(false)
      return value
    } catch {
      // A task of its own, which a cancelled run does not cancel.
      try await Task { [network] in try await network.forward(false) }.value
      throw error
    }
  }
}
