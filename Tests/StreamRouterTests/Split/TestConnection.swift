import CStreamRouter
import Foundation
import Glibc
import Synchronization
import Topology

@testable import StreamRouter

/// One end of a TCP connection in a test. Calls block, for a minute at most.
final class TestConnection: Sendable {
  let descriptor: Int32
  private let isClosed = Mutex(false)

  fileprivate init(_ descriptor: Int32) {
    self.descriptor = descriptor
    var patience = timeval(tv_sec: 60, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
    }
  }

  /// Connects; `bufferBytes` asks for small buffers.
  convenience init(to endpoint: Endpoint, from source: IPAddress? = nil, bufferBytes: Int32? = nil) throws {
    let descriptor = socket(
      endpoint.address.family == .ipv4 ? AF_INET : AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
    self.init(descriptor)
    if var bufferBytes {
      for option in [SO_RCVBUF, SO_SNDBUF] {
        setsockopt(descriptor, SOL_SOCKET, option, &bufferBytes, socklen_t(MemoryLayout<Int32>.size))
      }
    }
    if let source {
      var bound = SocketAddress(Endpoint(address: source, port: 0))
      guard bound.withPointer({ bind(descriptor, $0, $1) }) == 0 else {
        throw TestFailure("bind: errno \(errno)")
      }
    }
    var address = SocketAddress(endpoint)
    guard address.withPointer({ connect(descriptor, $0, $1) }) == 0 else {
      throw TestFailure("connect: errno \(errno)")
    }
  }

  deinit { close() }

  func close() {
    isClosed.withLock { isClosed in
      if !isClosed { _ = Glibc.close(descriptor) }
      isClosed = true
    }
  }

  /// The peer sees a reset.
  func reset() {
    var now = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    close()
  }

  func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// How many of the bytes were taken: all, or fewer where the connection broke or nobody read for a minute.
  @discardableResult
  func send(_ bytes: [UInt8], flags: Int32 = 0) -> Int {
    var sent = 0
    bytes.withUnsafeBytes { bytes in
      while sent < bytes.count {
        let count = Glibc.send(
          descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL) | flags)
        if count < 0 { break }
        sent += count
      }
    }
    return sent
  }

  enum End: Hashable { case end, reset, timeout, full }

  /// Reads until so many bytes came, or to the end.
  func receive(_ limit: Int = .max) -> (bytes: [UInt8], end: End) {
    var received: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 18)
    while received.count < limit {
      let count = recv(descriptor, &piece, min(piece.count, limit - received.count), 0)
      if count == 0 { return (received, .end) }
      if count < 0 { return (received, errno == EAGAIN ? .timeout : .reset) }
      received += piece[..<count]
    }
    return (received, .full)
  }

  var localEndpoint: Endpoint {
    var address = SocketAddress(Endpoint(address: IPAddress(high: 0, low: 0), port: 0))
    _ = address.withMutablePointer { getsockname(descriptor, $0, &$1) }
    return address.endpoint
  }

  var peerEndpoint: Endpoint {
    var address = SocketAddress(Endpoint(address: IPAddress(high: 0, low: 0), port: 0))
    _ = address.withMutablePointer { getpeername(descriptor, $0, &$1) }
    return address.endpoint
  }

  func option(_ level: Int, _ name: Int32) -> Int32 {
    var value: Int32 = -1
    var length = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(descriptor, Int32(level), name, &value, &length)
    return value
  }
}

/// A server of a test on a loopback address.
final class TestServer: Sendable {
  let descriptor: Int32
  let endpoint: Endpoint

  init(_ address: IPAddress, bufferBytes: Int32? = nil) throws {
    let descriptor = socket(address.family == .ipv4 ? AF_INET : AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
    var bound = SocketAddress(Endpoint(address: address, port: 0))
    if var bufferBytes {
      for option in [SO_RCVBUF, SO_SNDBUF] {
        setsockopt(descriptor, SOL_SOCKET, option, &bufferBytes, socklen_t(MemoryLayout<Int32>.size))
      }
    }
    guard bound.withPointer({ bind(descriptor, $0, $1) }) == 0, listen(descriptor, 4096) == 0 else {
      throw TestFailure("cannot listen on \(address): errno \(errno)")
    }
    _ = bound.withMutablePointer { getsockname(descriptor, $0, &$1) }
    self.descriptor = descriptor
    endpoint = bound.endpoint
    var patience = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  func accept() throws -> TestConnection {
    let accepted = Glibc.accept(descriptor, nil, nil)
    guard accepted >= 0 else { throw TestFailure("nobody connected: errno \(errno)") }
    return TestConnection(accepted)
  }
}

/// An endpoint at which nothing listens now.
func freeEndpoint(_ address: IPAddress) throws -> Endpoint { try TestServer(address).endpoint }

/// Runs what blocks beside others that do.
func aside<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) -> Task<Result, any Error> {
  // At once: a task would wait for a thread of the pool, which tests that read may hold.
  let (stream, continuation) = AsyncStream<Swift.Result<Result, any Error>>.makeStream()
  Thread.detachNewThread {
    continuation.yield(Swift.Result { try body() })
    continuation.finish()
  }
  return Task {
    for await result in stream { return try result.get() }
    throw TestFailure("the thread ended without a result")
  }
}

func randomBytes(_ count: Int) -> [UInt8] {
  [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
    arc4random_buf(buffer.baseAddress!, count)
    initialized = count
  }
}

extension ProcessEngine {
  /// What the thread of TCP holds: connections, pipes in use, and pipes at all.
  func held() -> (connections: Int, pipesInUse: Int, pipes: Int) {
    splitThread!.mailbox.run { loop in
      [loop.table.count, loop.pipes.open - loop.pipes.count, loop.pipes.open]
    }.withUnsafeBufferPointer { ($0[0], $0[1], $0[2]) }
  }
}
