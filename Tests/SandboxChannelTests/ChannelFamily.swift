import CStreamRouter
import Foundation
import Testing

@testable import channelpeer

/// The keeper of a channel whose sides are processes that are killed: it holds the descriptors of both halves, maps
/// neither, and hands them to whoever succeeds.
final class ChannelFamily {
  enum Role: String, CaseIterable { case producer, consumer }
  struct Side {
    var process: pid_t = 0
    var socket: Int32 = -1
    /// Of the half that the last one announced.
    var half: Int32?
  }

  let tally: Tally
  private let tallyDescriptor: Int32
  private let threads: Int
  private var sides: [Role: Side] = [.producer: Side(), .consumer: Side()]

  init(threads: Int) throws {
    tallyDescriptor = sr_channel_make("tally", Tally.bytes)
    tally = try #require(Tally(tallyDescriptor))
    self.threads = threads
    try start(.producer)
    take(.producer, milliseconds: 10_000)
    try start(.consumer)
    take(.consumer, milliseconds: 10_000)
  }

  private subscript(_ role: Role) -> Side {
    get { sides[role] ?? Side() }
    set { sides[role] = newValue }
  }

  deinit {
    for side in sides.values {
      kill(side.process, SIGKILL)
      waitpid(side.process, nil, 0)
      close(side.socket)
      if let half = side.half { close(half) }
    }
    close(tallyDescriptor)
  }

  func end(_ role: Role) {
    kill(self[role].process, SIGKILL)
    waitpid(self[role].process, nil, 0)
    take(role)
    close(self[role].socket)
  }

  /// Starts a side as the successor of what was there.
  func start(_ role: Role) throws {
    var ends: [Int32] = [0, 0]
    try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
    let peer = self[role == .producer ? .consumer : .producer].half
    let arguments = [
      Self.program, role.rawValue, self[role].half == nil ? "0" : "1", peer == nil ? "0" : "1",
      "\(threads)",
    ]
    var pointers = arguments.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var environment: [UnsafeMutablePointer<CChar>?] = [nil]
    let descriptors = [ends[1], tallyDescriptor]
    let process = sr_worker_spawn(Self.program, &pointers, &environment, descriptors, 2)
    close(ends[1])
    try #require(process > 0, "cannot start \(Self.program): \(String(cString: strerror(-process)))")
    self[role].process = process
    self[role].socket = ends[0]
    for half in [self[role].half, peer] {
      if let half { try #require(sr_channel_pass(ends[0], half, 1) == 0) }
    }
  }

  /// Takes the half that a side has announced, where it has, and hands it to the other one.
  func take(_ role: Role, milliseconds: Int32 = 0) {
    var ready = pollfd(fd: self[role].socket, events: Int16(POLLIN), revents: 0)
    guard poll(&ready, 1, milliseconds) > 0 else { return }
    var what: CChar = 0
    let half = sr_channel_receive(self[role].socket, &what)
    guard half >= 0 else { return }
    if let old = self[role].half { close(old) }
    self[role].half = half
    let other = self[role == .producer ? .consumer : .producer].socket
    // The other one may be about to be killed.
    _ = sr_channel_pass(other, half, 1)
  }

  /// Beside the tests, where one build puts both.
  static let program: String = {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(fileURLWithPath: own).deletingLastPathComponent().appending(path: "channelpeer").path
  }()
}
