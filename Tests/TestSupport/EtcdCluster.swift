import Foundation
import Subprocess
import Synchronization
import SystemPackage

/// Members of etcd on loopback, with their data in a temporary folder; each can be killed and started again.
public final class EtcdCluster: Sendable {
  public static let obstacle =
    ["etcd", "etcdctl"].allSatisfy { tool in
      (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
        FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)")
      }
    } ? nil : "needs etcd-server and etcd-client: run scripts/setup.sh test"

  public struct Failure: Error, CustomStringConvertible {
    public var description: String
    public init(description: String) { self.description = description }
  }

  public struct Member: Sendable {
    public let name: String
    public let client: UInt16
    let peer: UInt16
    public fileprivate(set) var process: pid_t = 0
  }

  private let state: Mutex<[Member]>
  private let folder: URL
  /// `http` or `https`; arguments for the latter.
  private let scheme: String
  private let security: [String]

  public init(
    members count: Int = 1, folder: URL? = nil, scheme: String = "http", security: [String] = []
  ) throws {
    self.folder =
      folder ?? FileManager.default.temporaryDirectory.appending(path: "sr-etcd-\(UUID().uuidString)")
    self.scheme = scheme
    self.security = security
    let ports = try Self.freePorts(2 * count)
    state = Mutex((0..<count).map { Member(name: "m\($0)", client: ports[2 * $0], peer: ports[2 * $0 + 1]) })
    try FileManager.default.createDirectory(at: self.folder, withIntermediateDirectories: true)
    for place in members.indices { try start(place) }
  }

  deinit {
    for place in members.indices { lose(place) }
    try? FileManager.default.removeItem(at: folder)
  }

  public var members: [Member] { state.withLock { $0 } }
  public var store: String { "etcd://" + members.map { "127.0.0.1:\($0.client)" }.joined(separator: ",") }

  public func start(_ place: Int) throws {
    let member = members[place]
    let client = "\(scheme)://127.0.0.1:\(member.client)"
    let peer = "http://127.0.0.1:\(member.peer)"
    let arguments =
      [
        "etcd", "--name", member.name, "--data-dir", folder.appending(path: member.name).path,
        "--listen-client-urls", client, "--advertise-client-urls", client,
        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
        "--initial-cluster", members.map { "\($0.name)=http://127.0.0.1:\($0.peer)" }.joined(separator: ","),
        "--logger", "zap", "--log-outputs", folder.appending(path: member.name + ".log").path,
      ] + security
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var process: pid_t = 0
    let status = posix_spawnp(&process, "etcd", nil, nil, &words, environ)
    guard status == 0 else {
      throw Failure(description: "etcd does not start: \(String(cString: strerror(status)))")
    }
    state.withLock { $0[place].process = process }
  }

  /// As a machine that fails: at once, and without a word.
  public func lose(_ place: Int) {
    let process = state.withLock { members in
      defer { members[place].process = 0 }
      return members[place].process
    }
    guard process != 0 else { return }
    kill(process, SIGKILL)
    waitpid(process, nil, 0)
  }

  /// What `etcdctl` says.
  @discardableResult
  public func control(_ arguments: String..., input: String = "") async throws -> String {
    try await control(arguments, at: members, input: input)
  }

  private func control(_ arguments: [String], at members: [Member], input: String = "") async throws -> String {
    let running = members.filter { $0.process != 0 }.map { "\(scheme)://127.0.0.1:\($0.client)" }
    let result = try await Subprocess.run(
      .name("etcdctl"), arguments: Arguments(["--endpoints", running.joined(separator: ",")] + arguments),
      environment: .inherit.updating(["LC_ALL": "C"]), input: .string(input),
      output: .string(limit: 4 << 20), error: .string(limit: 1 << 20))
    guard result.terminationStatus.isSuccess else {
      throw Failure(
        description: "etcdctl \(arguments.joined(separator: " ")): \(result.standardError)")
    }
    return result.standardOutput
  }

  /// Has another member lead, while all of them run.
  public func moveLeader() async throws {
    let statuses = try await statuses()
    guard let leader = statuses.first(where: \.isLeader), let other = statuses.first(where: { !$0.isLeader })
    else { throw Failure(description: "there are no two members of which one leads") }
    // Only the leader takes it.
    _ = try await control(
      ["move-leader", String(other.id, radix: 16)], at: [members[leader.place]])
  }

  /// Whether all members that run answer and decide.
  public func isHealthy() async throws -> Bool {
    try await control("endpoint", "health")
    return true
  }

  /// The place of the members' leader.
  public func leader() async throws -> Int {
    let limit = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < limit {
      if let leader = try? await statuses().first(where: \.isLeader) { return leader.place }
      try await Task.sleep(for: .milliseconds(100))
    }
    throw Failure(description: "the members have no leader after 10 s")
  }

  private struct Status {
    var place: Int
    var id: UInt64
    var isLeader: Bool
  }

  private func statuses() async throws -> [Status] {
    struct Answer: Decodable {
      struct Status: Decodable {
        struct Header: Decodable { var member_id: UInt64 }
        var header: Header
        var leader: UInt64
      }
      var Endpoint: String
      var Status: Status
    }
    let text = try await control("endpoint", "status", "--write-out", "json")
    return try JSONDecoder().decode([Answer].self, from: Data(text.utf8)).compactMap { answer in
      guard let place = members.firstIndex(where: { answer.Endpoint.hasSuffix(":\($0.client)") }) else {
        return nil
      }
      let id = answer.Status.header.member_id
      return Status(place: place, id: id, isLeader: answer.Status.leader == id)
    }
  }

  /// Ports that nobody listens on at this moment.
  public static func freePorts(_ count: Int) throws -> [UInt16] {
    var sockets: [Int32] = []
    defer { for socket in sockets { close(socket) } }
    return try (0..<count).map { _ in
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      sockets.append(descriptor)
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let status = withUnsafeMutableBytes(of: &address) { bytes in
        let pointer = bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
        return bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0
      }
      guard status else { throw Failure(description: "no free port: \(String(cString: strerror(errno)))") }
      return UInt16(bigEndian: address.sin_port)
    }
  }
}
