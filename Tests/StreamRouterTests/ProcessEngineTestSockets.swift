import CStreamRouter
import Dispatch
import Glibc
import Topology

@testable import StreamRouter

/// A plain UDP socket of a test on a loopback address, and helpers to build relays between such sockets.
final class TestSocket {
  struct Datagram: Hashable {
    var bytes: [UInt8]
    var source: Endpoint
    /// nil unless ``TestSocket/reportsDSCP(isV4:)``.
    var dscp: UInt8?
  }

  let descriptor: Int32
  let endpoint: Endpoint

  /// Binds; port 0 takes a free one.
  init(_ address: IPAddress, port: UInt16 = 0) throws {
    let isV4 = address.family == .ipv4
    // What other tests start meanwhile does not keep it.
    let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(isV4 ? AF_INET : AF_INET6, kind, 0)
    // Room for whole test runs: forced where the tests run as root.
    for option in [SO_RCVBUF, SO_SNDBUF, SO_RCVBUFFORCE, SO_SNDBUFFORCE] {
      var bytes: Int32 = 32 << 20
      setsockopt(descriptor, SOL_SOCKET, option, &bytes, socklen_t(MemoryLayout<Int32>.size))
    }
    var bound = SocketAddress(Endpoint(address: address, port: port))
    guard bound.withPointer({ bind(descriptor, $0, $1) }) == 0 else {
      let error = errno
      close(descriptor)
      throw TestFailure("cannot bind \(address):\(port): errno \(error)")
    }
    _ = bound.withMutablePointer { getsockname(descriptor, $0, &$1) }
    self.descriptor = descriptor
    endpoint = bound.endpoint
  }

  /// Binds where an engine just let go of the port: what other tests fork at that moment holds it until their exec.
  static func whenFree(_ address: IPAddress, port: UInt16) async throws -> TestSocket {
    for _ in 0..<500 {
      if let socket = try? TestSocket(address, port: port) { return socket }
      try await Task.sleep(for: .milliseconds(20))
    }
    return try TestSocket(address, port: port)
  }

  deinit { close(descriptor) }

  /// From now on each send is cut into datagrams of this size by the kernel, which the relay receives as one train.
  func sendTrains(of segment: Int32) {
    var size = segment
    // UDP_SEGMENT.
    let result = setsockopt(descriptor, Int32(IPPROTO_UDP), 103, &size, socklen_t(MemoryLayout<Int32>.size))
    precondition(result == 0, "the kernel has UDP_SEGMENT since 4.18")
  }

  /// The code point of what is sent from now on.
  func setDSCP(_ dscp: UInt8, isV4: Bool) {
    set(isV4 ? IP_TOS : IPV6_TCLASS, Int32(dscp) << 2, isV4: isV4)
  }

  /// From now on what is received tells its code point.
  func reportsDSCP(isV4: Bool) {
    set(isV4 ? IP_RECVTOS : IPV6_RECVTCLASS, 1, isV4: isV4)
  }

  private func set(_ option: Int32, _ value: Int32, isV4: Bool) {
    var value = value
    let level = Int32(isV4 ? IPPROTO_IP : IPPROTO_IPV6)
    let result = setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    precondition(result == 0, "every kernel has traffic class options; errno \(errno)")
  }

  func send(_ bytes: [UInt8], to destination: Endpoint) {
    var address = SocketAddress(destination)
    let sent = address.withPointer { sendto(descriptor, bytes, bytes.count, 0, $0, $1) }
    precondition(sent == bytes.count, "loopback takes every datagram; errno \(errno)")
  }

  /// Waits for this many datagrams; fewer where none came for ten seconds.
  func receive(_ count: Int) -> [Datagram] {
    var datagrams: [Datagram] = []
    var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    while datagrams.count < count, poll(&poller, 1, 10_000) == 1 {
      if let next = receiveOne() { datagrams.append(next) }
    }
    return datagrams
  }

  /// What is there at this moment.
  func receiveWaiting() -> [Datagram] {
    var datagrams: [Datagram] = []
    while let next = receiveOne() { datagrams.append(next) }
    return datagrams
  }

  private func receiveOne() -> Datagram? {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    var control = [UInt8](repeating: 0, count: 64)
    var address = SocketAddress(Endpoint(address: IPAddress(high: 0, low: 0), port: 0))
    let (count, controlBytes) = bytes.withUnsafeMutableBytes { bytes in
      control.withUnsafeMutableBytes { control in
        address.withMutablePointer { name, length in
          var piece = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
          return withUnsafeMutablePointer(to: &piece) { piece in
            var header = msghdr()
            header.msg_name = UnsafeMutableRawPointer(name)
            header.msg_namelen = length
            header.msg_iov = piece
            header.msg_iovlen = 1
            header.msg_control = control.baseAddress
            header.msg_controllen = control.count
            let count = recvmsg(descriptor, &header, Int32(MSG_DONTWAIT))
            return (count, header.msg_controllen)
          }
        }
      }
    }
    guard count >= 0 else { return nil }
    // The only control message asked for is the traffic class: its first byte lies behind the header of 16.
    return Datagram(
      bytes: Array(bytes.prefix(count)), source: address.endpoint,
      dscp: controlBytes > 16 ? control[16] >> 2 : nil)
  }
}

struct TestFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// `sockaddr_in` or `sockaddr_in6`.
struct SocketAddress {
  private var storage = sockaddr_in6()
  private var length = socklen_t(MemoryLayout<sockaddr_in6>.size)

  init(_ endpoint: Endpoint) {
    let words = endpoint.address.words
    if endpoint.address.family == .ipv4 {
      length = socklen_t(MemoryLayout<sockaddr_in>.size)
      withUnsafeMutableBytes(of: &storage) {
        $0.bindMemory(to: sockaddr_in.self)[0].sin_family = sa_family_t(AF_INET)
        $0.bindMemory(to: sockaddr_in.self)[0].sin_port = endpoint.port.bigEndian
        $0.bindMemory(to: sockaddr_in.self)[0].sin_addr.s_addr = words.3
      }
    } else {
      storage.sin6_family = sa_family_t(AF_INET6)
      storage.sin6_port = endpoint.port.bigEndian
      withUnsafeMutableBytes(of: &storage.sin6_addr) {
        $0.storeBytes(of: endpoint.address.high.bigEndian, as: UInt64.self)
        $0.storeBytes(of: endpoint.address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
    }
  }

  /// The port lies at the same place in both forms.
  var endpoint: Endpoint {
    let port = UInt16(bigEndian: storage.sin6_port)
    return withUnsafeBytes(of: storage) { bytes in
      if bytes.load(as: sa_family_t.self) == sa_family_t(AF_INET) {
        let address = UInt32(bigEndian: bytes.load(as: sockaddr_in.self).sin_addr.s_addr)
        return Endpoint(address: IPAddress(high: 0, low: 0xffff_0000_0000 | UInt64(address)), port: port)
      }
      let high = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      let low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
      return Endpoint(address: IPAddress(high: high, low: low), port: port)
    }
  }

  mutating func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    let length = length
    return withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
    }
  }

  mutating func withMutablePointer<R>(_ body: (UnsafeMutablePointer<sockaddr>, inout socklen_t) -> R) -> R {
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    return withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, &length) }
    }
  }
}

/// An address of 127.0.0.0/8 that no other test of this run uses: all of them are local to the machine.
func freshLoopback() -> IPAddress {
  let host = UInt64.random(in: 0x01_00_02...0xff_ff_fd)
  return IPAddress(high: 0, low: 0xffff_7f00_0000 | host)
}

/// A relay on `ingress` from anywhere on loopback to these sockets.
func testRelay(
  _ stream: String = "cam", _ transport: StreamProtocol = .udp, ingress: Endpoint,
  sources: [AddressPrefix]? = nil,
  to sinks: [Endpoint], dscp: UInt8? = nil, clockRate: UInt32? = nil
) -> Relay {
  let loopback = ingress.address.family == .ipv4 ? AddressPrefix("127.0.0.0/8")! : AddressPrefix("::1")!
  return Relay(
    stream: stream, node: "node", hop: 0, transport: transport, ingress: ingress,
    sources: sources ?? [loopback],
    sinks: sinks.map { RelaySink(kind: .host, name: "\($0)", destination: $0, source: ingress) }, dscp: dscp,
    clockRate: clockRate)
}

/// An RTP packet (RFC 3550 section 5.1) without CSRCs.
func rtpPacket(
  _ sequence: UInt16, timestamp: UInt32 = 0, ssrc: UInt32 = 7, payloadType: UInt8 = 96, payload: [UInt8] = []
) -> [UInt8] {
  [0x80, payloadType, UInt8(sequence >> 8), UInt8(truncatingIfNeeded: sequence)]
    + (0..<4).reversed().map { UInt8(truncatingIfNeeded: timestamp >> (8 * UInt32($0))) }
    + (0..<4).reversed().map { UInt8(truncatingIfNeeded: ssrc >> (8 * UInt32($0))) } + payload
}

/// Bytes that tell datagrams apart: their number, then a pattern.
func numbered(_ number: Int, length: Int) -> [UInt8] {
  (0..<length).map {
    $0 < 4 ? UInt8(truncatingIfNeeded: number >> (8 * $0)) : UInt8(truncatingIfNeeded: number &* 31 &+ $0)
  }
}

extension ProcessEngine {
  /// The only relay's account.
  func snapshot() throws -> RelaySnapshot {
    guard let snapshot = try snapshots().first else { throw TestFailure("no relay runs") }
    return snapshot
  }

  /// The account once it says what is waited for; as it stands after ten seconds otherwise.
  func snapshot(until isReached: @Sendable (RelaySnapshot) -> Bool) async throws -> RelaySnapshot {
    for _ in 0..<2_000 {
      let snapshot = try snapshot()
      if isReached(snapshot) { return snapshot }
      try await Task.sleep(for: .milliseconds(5))
    }
    return try snapshot()
  }

  /// Holds up the engine's thread while `body` runs, so that packets pile up in the queues of its sockets.
  nonisolated func whileHeld(_ body: () throws -> Void) rethrows {
    let held = DispatchSemaphore(value: 0)
    let release = DispatchSemaphore(value: 0)
    let mailbox = thread.mailbox
    DispatchQueue.global().async {
      mailbox.run { _ in
        held.signal()
        release.wait()
      }
    }
    held.wait()
    defer { release.signal() }
    try body()
  }
}

extension RelaySnapshot {
  /// The counters that are not zero.
  var counted: [String: UInt64] { counters.filter { $0.value != 0 } }
}
