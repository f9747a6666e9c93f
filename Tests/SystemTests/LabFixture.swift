import Foundation
import Testing
import Topology

import struct Topology.Stream

@testable import StreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// A lab for one test: a topology of its own name, a file of its own, and a stand-in for the daemon, which opens
/// the control socket, notes each SIGHUP in its log, and does nothing else.
///
///     a 10.77.0.1, fd77::1 ---- b 10.77.0.2, fd77::2 ---- c 10.77.0.3, fd77::3
struct LabFixture {
  let topology: Topology
  let file: URL

  /// Why labs with namespaces cannot be tested here; nil where they can.
  static var obstacle: String? {
    do {
      try LabPrivileges.demand(operation: "this test")
      return nil
    } catch {
      return "\(error)"
    }
  }

  /// Which programs are not in the search path, and how to get them; nil where all are.
  static func missing(_ tools: String...) -> String? {
    let absent = tools.filter { BenchPeer.path(of: $0) == nil }
    return absent.isEmpty ? nil : "needs \(absent.joined(separator: ", ")): run scripts/setup.sh test"
  }

  init(_ name: String, loopback: Bool = false, streams: [Stream] = []) throws {
    let nodes = try ["a", "b", "c"].enumerated().map { index, node in
      let addresses = loopback ? ["127.77.0.\(index + 1)"] : ["10.77.0.\(index + 1)", "fd77::\(index + 1)"]
      return Node(name: node, addresses: try addresses.map { try #require(IPAddress($0)) })
    }
    try self.init(
      Topology(
        name: "\(name)-\(getpid())", nodes: nodes, links: [Link(a: "a", b: "b"), Link(a: "b", b: "c")],
        streams: streams))
  }

  init(_ topology: Topology) throws {
    self.topology = topology
    file = FileManager.default.temporaryDirectory.appending(path: "\(topology.name).yaml")
    try Data("one\n".utf8).write(to: file)
  }

  func lab(_ launcher: Lab.Launcher? = nil) -> Lab {
    let name = topology.name
    return Lab(
      topology: name, launcher: launcher ?? { _, node in Self.standIn(NodePaths(topology: name, node: node)) })
  }

  private static func standIn(_ paths: NodePaths) -> [String] {
    let script = """
      use IO::Socket::UNIX;
      $SIG{HUP} = sub { print STDERR "hup\\n" };
      my $socket = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 8) or die "cannot listen: $!";
      while (1) { $socket->accept }
      """
    return ["perl", "-e", script, paths.controlSocket.string]
  }

  func up(_ lab: Lab) async throws -> Lab.Outcome { try await lab.up(topology, file: .init(file.path)) }

  func log(_ node: String) -> String { LabFiles.read(NodePaths(topology: topology.name, node: node).log) ?? "" }

  /// Everything that a lab of this topology could have left.
  func leftovers() -> [String] {
    let prefix = LabNames.namespacePrefix(topology: topology.name)
    let folder = NodePaths.runtimeDirectory(topology: topology.name)
    let lock = NodePaths.runtimeRoot.appending(topology.name + ".lock")
    let pins = NodePaths.pinDirectory(topology: topology.name)
    return LabPrivileges.namespaces().filter { $0.hasPrefix(prefix) }
      + LabProcess.all(marked: Lab.mark(topology: topology.name)).map { "process \($0.pid)" }
      + [folder, lock, pins, LabMetrics.targetsFile(topology: topology.name)].filter { LabFiles.exists($0) }
      .map(\.string)
  }

  /// Runs a test's body and takes the lab down whatever comes of it.
  func use(_ body: (Lab) async throws -> Void) async throws {
    let lab = lab()
    do {
      try await body(lab)
    } catch {
      _ = try? await lab.downAnyway(topology)
      try? FileManager.default.removeItem(at: file)
      throw error
    }
    _ = try await lab.downAnyway(topology)
    try? FileManager.default.removeItem(at: file)
    #expect(leftovers() == [])
  }
}

/// A UDP socket in a network namespace. A socket stays in the namespace of the thread that made it, so a thread
/// that ends enters the namespace and makes it.
final class NamespaceSocket: Sendable {
  let descriptor: Int32

  init(namespace: String, family: Int32) throws {
    typealias SetNamespace = @convention(c) (Int32, Int32) -> Int32
    // glibc declares setns for _GNU_SOURCE alone, which Swift does not see.
    let setns = unsafeBitCast(try #require(dlsym(nil, "setns")), to: SetNamespace.self)
    let handle = open("/run/netns/\(namespace)", O_RDONLY | O_CLOEXEC)
    try #require(handle >= 0, "no namespace \(namespace)")
    defer { close(handle) }
    final class Box: @unchecked Sendable { var socket: Int32 = -1 }  // written before the signal, read after
    let box = Box()
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      if setns(handle, 0) == 0 {
        box.socket = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      }
      done.signal()
    }
    done.wait()
    try #require(box.socket >= 0, "no socket in \(namespace): \(errno)")
    descriptor = box.socket
    var patience = timeval(tv_sec: 1, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  func bind(_ endpoint: Endpoint) throws {
    try Self.with(endpoint) { try #require(Glibc.bind(descriptor, $0, $1) == 0, "bind \(endpoint): \(errno)") }
  }

  /// - Throws: `POSIXError`.
  func send(_ text: String, to endpoint: Endpoint) throws { try send(Array(text.utf8), to: endpoint) }

  /// - Throws: `POSIXError`.
  func send(_ bytes: [UInt8], to endpoint: Endpoint) throws {
    try Self.with(endpoint) {
      guard sendto(descriptor, bytes, bytes.count, 0, $0, $1) == bytes.count else {
        throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
      }
    }
  }

  /// nil where nothing comes within a second, or at once with `wait: false`.
  func receive(wait: Bool = true) -> String? {
    var buffer = [UInt8](repeating: 0, count: 2048)
    let count = recv(descriptor, &buffer, buffer.count, wait ? 0 : Int32(MSG_DONTWAIT))
    return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
  }

  private static func with<R>(
    _ endpoint: Endpoint, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> R
  ) throws -> R {
    var storage = sockaddr_storage()
    var length: socklen_t = 0
    withUnsafeMutableBytes(of: &storage) { raw in
      if endpoint.address.family == .ipv4 {
        var v4 = sockaddr_in()
        v4.sin_family = sa_family_t(AF_INET)
        v4.sin_port = endpoint.port.bigEndian
        v4.sin_addr.s_addr = UInt32(truncatingIfNeeded: endpoint.address.low).bigEndian
        raw.storeBytes(of: v4, as: sockaddr_in.self)
        length = socklen_t(MemoryLayout<sockaddr_in>.size)
      } else {
        var v6 = sockaddr_in6()
        v6.sin6_family = sa_family_t(AF_INET6)
        v6.sin6_port = endpoint.port.bigEndian
        withUnsafeMutableBytes(of: &v6.sin6_addr) {
          $0.storeBytes(of: endpoint.address.high.bigEndian, as: UInt64.self)
          $0.storeBytes(of: endpoint.address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        raw.storeBytes(of: v6, as: sockaddr_in6.self)
        length = socklen_t(MemoryLayout<sockaddr_in6>.size)
      }
    }
    return try withUnsafePointer(to: &storage) {
      try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { try body($0, length) }
    }
  }
}

extension Lab {
  /// `down` in a test that ran out of its time limit too: its task is cancelled, and would end what it runs.
  @discardableResult
  func downAnyway(_ topology: Topology) async throws -> Bool {
    try await Task { try await down(topology) }.value
  }
}
