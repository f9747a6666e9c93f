import CStreamRouter
import Foundation
import SystemPackage
import Topology

/// A UDP socket for test packets: of one address at which they are answered, or towards one peer. Closed when nobody holds
/// it.
final class ProbeSocket {
  enum Role: Hashable { case reflector(IPAddress), sender(LinkProbe) }

  struct Failure: Error, CustomStringConvertible {
    var description: String
    var errno: Int32
  }

  let role: Role
  let descriptor: Int32

  /// Test packets are small; a second of the busiest link fits.
  private static let bufferBytes: Int32 = 256 << 10

  init(_ role: Role, port: UInt16) throws(Failure) {
    self.role = role
    let local: Endpoint
    switch role {
    case .reflector(let address): local = Endpoint(address: address, port: port)
    case .sender(let probe): local = Endpoint(address: probe.local, port: 0)
    }
    var address = sr_udp_address(local)
    var step: UnsafePointer<CChar>?
    let opened = sr_udp_open(&address, Self.bufferBytes, &step)
    guard opened >= 0 else {
      let what = step.map { String(cString: $0) } ?? "socket"
      throw Self.failure(role, port, -opened, what)
    }
    descriptor = opened
    var result = sr_udp_tell_hop_limit(opened, &address)
    if result == 0, case .sender(let probe) = role {
      var peer = sr_udp_address(Endpoint(address: probe.remote, port: port))
      result = sr_udp_connect(opened, &peer)
    }
    // The initialiser has given the descriptor to the object, which closes it.
    if result != 0 { throw Self.failure(role, port, -result, "connect") }
  }

  deinit { close(descriptor) }

  private static func failure(_ role: Role, _ port: UInt16, _ errno: Int32, _ step: String) -> Failure {
    let reason = "\(Errno(rawValue: errno)) (\(step))"
    return switch role {
    case .reflector(let address):
      Failure(
        description: "cannot answer test packets at \(Endpoint(address: address, port: port)): \(reason)",
        errno: errno)
    case .sender(let probe):
      Failure(description: "cannot probe \(probe.remote) from \(probe.local): \(reason)", errno: errno)
    }
  }

  /// To the peer, or where it says. 0, or an errno.
  func send(_ bytes: [UInt8], to destination: Endpoint? = nil) -> Int32 {
    bytes.withUnsafeBytes { bytes in
      guard let destination else {
        return -sr_udp_send(descriptor, bytes.baseAddress, UInt32(bytes.count), nil)
      }
      var address = sr_udp_address(destination)
      return -sr_udp_send(descriptor, bytes.baseAddress, UInt32(bytes.count), &address)
    }
  }
}
