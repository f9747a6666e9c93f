import CStreamRouter
import Foundation
import Testing
import Topology

@testable import StreamRouter

/// A lab with the real daemons of this build, for one test: a topology of its own name that goes whatever happens.
///
///     camera 10.78.0.1 ---- edge 10.78.0.2 ---- studio 10.78.0.3
struct LiveLab {
  let topology: Topology
  let file: URL
  let lab: Lab

  static let program = "streamrouter"

  /// Where the file is; extensions of its streams belong below it.
  var folder: URL { file.deletingLastPathComponent() }

  /// - Parameters:
  ///   - streams: The YAML below `streams:`, indented by two.
  ///   - launcher: How the daemon of a node is started; as root where it is left out.
  init(
    _ name: String, engine: EngineChoice, streams: String, control: LabControl = .file,
    launcher: Lab.Launcher? = nil
  ) throws {
    let name = "\(name)-\(engine.rawValue)-\(getpid())"
    let folder = FileManager.default.temporaryDirectory.appending(path: name)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    file = folder.appending(path: "\(name).yaml")
    try Self.write(name, engine, streams, to: file)
    topology = try Topology.load(path: file.path)
    lab = Lab(topology: name, control: control, launcher: launcher)
  }

  private static func write(_ name: String, _ engine: EngineChoice, _ streams: String, to file: URL) throws {
    let text = """
      version: 1
      name: \(name)
      nodes:
        camera: {addresses: [10.78.0.1, "fd78::1"], engine: \(engine.rawValue)}
        edge: {addresses: [10.78.0.2, "fd78::2"], engine: \(engine.rawValue)}
        studio: {addresses: [10.78.0.3, "fd78::3"], engine: \(engine.rawValue)}
      links: [camera -- edge, edge -- studio]
      streams:
      \(streams)

      """
    try text.write(to: file, atomically: true, encoding: .utf8)
  }

  /// Runs a test's body while the lab is up, and takes it down whatever comes of it.
  func use(_ body: () async throws -> Void) async throws {
    do {
      _ = try await up()
      try await body()
    } catch {
      _ = try? await lab.downAnyway(topology)
      try? FileManager.default.removeItem(at: folder)
      throw error
    }
    _ = try await lab.downAnyway(topology)
    try? FileManager.default.removeItem(at: folder)
    let pins = NodePaths.pinDirectory(topology: topology.name)
    #expect(!LabFiles.exists(pins), "lab down leaves no pins")
  }

  @discardableResult
  func up() async throws -> Lab.Outcome {
    try await lab.up(try Topology.load(path: file.path), file: .init(file.path))
  }

  /// Changes the file; `up` then has the daemons read it.
  func rewrite(engine: EngineChoice, streams: String) throws {
    try Self.write(topology.name, engine, streams, to: file)
  }

  func namespace(_ node: String) -> String { LabNames.namespace(topology: topology.name, node: node) }

  func pid(_ node: String) throws -> Int32 {
    let state = try #require(try LabState.load(topology: topology.name))
    return try #require(state.daemons[node]).pid
  }

  /// Runs a command in a node's namespace to its end.
  func run(_ node: String, _ command: [String]) async throws -> LabShell.Outcome {
    try await LabShell.attempt("nsenter", ["--net=/run/netns/\(namespace(node))"] + command)
  }

  /// Starts a program that serves in studio until the lab goes, and waits until it listens at a port.
  ///
  /// - Parameter port: Such as `:8080`.
  func serve(_ command: [String], until port: String) async throws {
    let log = NodePaths.runtimeDirectory(topology: topology.name).appending("server-\(port.suffix(4)).log")
    let command = try await lab.command(command, on: "studio")
    _ = try LabProcess.startDetached(command, log: log, mark: Lab.mark(topology: topology.name))
    for _ in 0..<500 {
      let listening = try await run("studio", ["ss", "-Hltn", "sport = \(port)"])
      if !listening.output.isEmpty { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("nothing listens at \(port): \(LabFiles.read(log) ?? "")")
  }

  /// Captures a stream at a hop while `body` runs, in a file beside the topology's.
  func capture(
    _ stream: String, at node: String, _ side: CapturePoint.Side, file: String,
    _ change: (inout Capture.Settings) -> Void = { _ in }, while body: () async throws -> Void
  ) async throws -> CaptureReport {
    let ends = try StreamEnds(stream, of: topology, lab: topology.name)
    let point = try await CapturePoint.find(ends, at: node, side: side)
    var settings = Capture.Settings(file: folder.appending(path: file).path)
    settings.seconds = 60
    change(&settings)
    let (ready, capturing) = AsyncStream.makeStream(of: Void.self)
    let stop = StopFlag()
    async let captured = Capture(point, topology: topology.name, settings: settings).run(until: stop) {
      capturing.yield()
      capturing.finish()
    }
    for await _ in ready { break }
    try await body()
    // The kernel hands captured packets over in blocks of 50 ms.
    try await Task.sleep(for: .milliseconds(500))
    stop.set()
    return try await captured
  }

  /// The account of one stream, hop by hop.
  func account(_ stream: String) async throws -> [RelaySnapshot] {
    let readings = await ControlSnapshotSource(topology: topology.name, nodes: topology.nodes.map(\.name))
      .read()
    for reading in readings {
      try #require(reading.problem == nil, "\(reading.node): \(reading.problem ?? "")")
    }
    return readings.compactMap(\.snapshot).flatMap(\.relays).filter { $0.stream == stream }
      .sorted { $0.hop < $1.hop }
  }
}

/// Collects the datagrams that reach a port of a node, on a thread of its own.
final class DatagramCollector: @unchecked Sendable {
  // Sendable: the list is touched under the lock only.
  private let socket: NamespaceSocket
  private let lock = NSLock()
  private var datagrams: [[UInt8]] = []
  private var lastArrival = Date()
  private var isStopped = false

  convenience init(_ lab: LiveLab, node: String, at endpoint: String) throws {
    try self.init(namespace: lab.namespace(node), at: endpoint)
  }

  init(namespace: String, at endpoint: String) throws {
    let endpoint = try #require(Endpoint(endpoint))
    socket = try NamespaceSocket(
      namespace: namespace, family: endpoint.address.family == .ipv4 ? AF_INET : AF_INET6)
    var bytes: Int32 = 16 << 20
    setsockopt(
      socket.descriptor, SOL_SOCKET, Int32(SO_RCVBUFFORCE), &bytes, socklen_t(MemoryLayout<Int32>.size))
    try socket.bind(endpoint)
    Thread.detachNewThread { [self] in
      var buffer = [UInt8](repeating: 0, count: 65536)
      while !lock.withLock({ isStopped }) {
        let count = recv(socket.descriptor, &buffer, buffer.count, 0)
        guard count >= 0 else { continue }
        lock.withLock {
          datagrams.append(Array(buffer[..<count]))
          lastArrival = Date()
        }
      }
    }
  }

  /// How many came so far.
  var count: Int { lock.withLock { datagrams.count } }

  /// Everything that came, once `count` datagrams did or nothing has come for three seconds.
  func all(expecting count: Int) async throws -> [[UInt8]] {
    let start = Date()
    while true {
      let (have, last) = lock.withLock { (datagrams.count, max(lastArrival, start)) }
      if have >= count || Date().timeIntervalSince(last) > 3 { break }
      try await Task.sleep(for: .milliseconds(50))
    }
    // Whatever is too much gets a moment to show.
    try await Task.sleep(for: .milliseconds(200))
    #expect(sr_udp_queue_drops(socket.descriptor) == 0, "the collector itself was too slow")
    return lock.withLock {
      isStopped = true
      return datagrams
    }
  }
}
