import CStreamRouter
import Foundation
import SystemPackage
import Topology

/// A UDP socket of a tool, in the namespace of a node or in that of the tool itself. Closed when nobody holds it.
final class TrafficSocket: Sendable {
  let descriptor: Int32
  /// Where it is bound, with the port that the kernel chose where none was asked for.
  let local: Endpoint

  /// Both queues: as much as a second of fast traffic, where the process may have it.
  private static let bufferBytes: Int32 = 32 << 20

  /// - Parameters:
  ///   - namespace: As `ip netns` knows it; nil: this process's own.
  ///   - port: 0 lets the kernel choose.
  init(in namespace: String?, at address: IPAddress, port: UInt16) throws(TrafficError) {
    let opened: (descriptor: Int32, step: String)
    do {
      opened =
        try namespace.map { name in
          try NetworkNamespace.run(in: name) { Self.open(address, port) }
        } ?? Self.open(address, port)
    } catch let failure as NetworkNamespace.Failure {
      throw .noNamespace(
        failure.name, reason: "\(Errno(rawValue: failure.errno))",
        isPermission: [EPERM, EACCES].contains(failure.errno))
    } catch {
      throw .noNamespace(namespace ?? "(own)", reason: "\(error)", isPermission: false)
    }
    let endpoint = Endpoint(address: address, port: port)
    guard opened.descriptor >= 0 else {
      throw .cannotOpen("\(endpoint)", step: opened.step, reason: "\(Errno(rawValue: -opened.descriptor))")
    }
    descriptor = opened.descriptor
    local = Endpoint(address: address, port: Self.port(of: opened.descriptor) ?? port)
  }

  deinit { close(descriptor) }

  private static func open(_ address: IPAddress, _ port: UInt16) -> (Int32, String) {
    var local = sr_udp_address(address: address.words, port: port)
    var step: UnsafePointer<CChar>?
    let descriptor = sr_udp_open(&local, bufferBytes, &step)
    return (descriptor, step.map { String(cString: $0) } ?? "socket")
  }

  private static func port(of descriptor: Int32) -> UInt16? {
    var name = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    let result = withUnsafeMutablePointer(to: &name) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    // The port stands at the same place in sockaddr_in.
    return result == 0 ? UInt16(bigEndian: name.sin6_port) : nil
  }
}
