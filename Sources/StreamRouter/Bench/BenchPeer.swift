import Foundation
import Topology

/// A program that users have today, set up as its documentation recommends for speed: the files are in Benchmarks/peers.
struct BenchPeer: Sendable {
  private let way: BenchWay
  private let transport: BenchForwarder.Transport
  private let command: [String]

  /// What must be installed for a way, and its Debian package.
  static let programs: [BenchWay: (program: String, package: String)] = [
    .nginx: ("nginx", "nginx and libnginx-mod-stream"), .haproxy: ("haproxy", "haproxy"),
    .socat: ("socat", "socat"),
    .rtpengine: ("rtpengine", "rtpengine-daemon"),
    .gstreamer: ("gst-launch-1.0", "gstreamer1.0-tools and gstreamer1.0-plugins-good"),
    .srt: ("srt-live-transmit", "srt-tools"),
  ]

  /// - Parameter folder: For files that it keeps while it runs.
  /// - Throws: ``BenchError/needs(_:)``: it is not installed, or its file is not there.
  init(_ way: BenchWay, _ transport: BenchForwarder.Transport, settings: BenchSettings, folder: URL) throws {
    self.way = way
    self.transport = transport
    guard let (program, package) = Self.programs[way] else { preconditionFailure("\(way) is no peer") }
    guard Self.path(of: program) != nil else {
      throw BenchError.needs("\(program) is not installed (Debian: \(package))")
    }
    let file =
      switch way {
      case .nginx: "nginx.conf"
      case .haproxy: "haproxy.cfg"
      case .rtpengine: "rtpengine.conf"
      default: "\(way.rawValue)-\(transport.rawValue).sh"
      }
    let path = URL(fileURLWithPath: settings.peersDirectory).appendingPathComponent(file).path
    guard FileManager.default.fileExists(atPath: path) else {
      throw BenchError.needs(
        "there is no \(file) in \(settings.peersDirectory); name its folder with --peers-directory")
    }
    switch way {
    case .nginx: command = ["nginx", "-p", folder.path, "-e", "stderr", "-c", path, "-g", "daemon off;"]
    case .haproxy: command = ["haproxy", "-db", "-f", path]
    case .rtpengine: command = ["rtpengine", "--config-file=\(path)", "--config-section=bench", "--foreground"]
    default: command = ["sh", path]
    }
  }

  /// Where a program is in the search path, nil where it is not.
  static func path(of program: String) -> String? {
    LabShell.searchPath.split(separator: ":").map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
  }

  /// Runs `body` with the address to send to while the peer forwards.
  func run<T: Sendable>(
    in network: BenchNetwork, _ body: @Sendable @escaping (Endpoint) async throws -> T
  ) async throws -> T {
    let ingress = transport == .udp ? BenchNetwork.ingress : BenchNetwork.tcpIngress
    let (way, transport) = (way, transport)
    let process = BenchProcess(
      name: way.title, command: command, namespace: network.relay, processor: BenchNetwork.relayProcessor
    ) {
      let port = way == .rtpengine ? RTPEngineControl.port : ingress.port
      return try BenchNetwork.listens(transport, port, in: network.relay)
    }
    return try await process.run {
      guard way == .rtpengine else { return try await body(ingress) }
      return try await body(try RTPEngineControl.open(in: network))
    }
  }
}
