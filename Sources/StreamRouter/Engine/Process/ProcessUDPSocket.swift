import CStreamRouter
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// Opens the sockets of engine process and says in words why one cannot be opened.
enum ProcessUDPSocket {
  /// What is asked of both queues of a socket: about 40 ms of 200-byte datagrams at 120,000 a second, as the kernel
  /// charges them, or 30 ms at 1 Gb/s.
  static let bufferBytes = 4 << 20

  /// A non-blocking socket bound to `endpoint`; the caller closes it.
  /// - Parameter dscp: The code point of packets that are sent without one of their own; nil: 0.
  static func open(_ endpoint: Endpoint, dscp: UInt8?) throws(EngineError) -> Int32 {
    var address = sr_udp_address(endpoint)
    var step: UnsafePointer<CChar>?
    let descriptor = sr_udp_open(&address, Int32(bufferBytes), &step)
    guard descriptor >= 0 else {
      let name = step.map { String(cString: $0) } ?? "socket"
      throw .failed(
        engine: .process, operation: name == "bind" ? "listening on" : "\(name) for", subject: "\(endpoint)",
        errno: -descriptor, detail: advice(errno: -descriptor, endpoint))
    }
    let result = setDSCP(dscp, on: descriptor, endpoint)
    guard result == 0 else {
      close(descriptor)
      throw .failed(
        engine: .process, operation: "setting DSCP \(dscp ?? 0) on", subject: "\(endpoint)", errno: result,
        detail: "")
    }
    return descriptor
  }

  /// Sets the code point (RFC 2474) of packets that are sent without one of their own; nil: 0. Returns 0 or an errno.
  static func setDSCP(_ dscp: UInt8?, on descriptor: Int32, _ endpoint: Endpoint) -> Int32 {
    var address = sr_udp_address(endpoint)
    return -sr_udp_set_dscp(descriptor, &address, UInt32(dscp ?? 0))
  }

  static func advice(errno: Int32, _ endpoint: Endpoint, isTCP: Bool = false) -> String {
    switch errno {
    case EADDRINUSE:
      "another program or relay listens on \(endpoint) ('ss -\(isTCP ? "t" : "u")lpn sport = :\(endpoint.port)' shows which): "
        + "stop it or give the stream another port"
    case EADDRNOTAVAIL:
      "\(endpoint.address) is no address of this node ('ip address' lists them): correct the node's address in the "
        + "topology or configure it here"
    case EACCES:
      "ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE: choose a higher port or give the "
        + "node that capability"
    case EMFILE, ENFILE:
      "raise the limit of open files (ulimit -n, LimitNOFILE=)"
    default: ""
    }
  }
}
