import CStreamRouter
import Topology

/// What the kernel's FIB says about a destination.
struct Route: Hashable, Sendable {
  /// Index of the device that packets leave by; the loopback device for addresses of this machine.
  var interface: Int32
  /// The destination is an address of this machine.
  var isLocal: Bool
  /// The router in between; nil where the destination is on the link.
  var gateway: IPAddress?

  /// Throws the errno of the lookup where there is no route.
  init(to destination: IPAddress) throws(RouteError) {
    let words = destination.words
    var route = sr_route()
    let result = withUnsafePointer(to: words) {
      $0.withMemoryRebound(to: UInt32.self, capacity: 4) { sr_route_get($0, &route) }
    }
    guard result == 0 else { throw RouteError(destination: destination, errno: -result) }
    interface = route.interface
    isLocal = route.is_local != 0
    let gateway = IPAddress(words: route.gateway)
    self.gateway = gateway.high == 0 && gateway.low == 0 ? nil : gateway
  }

  /// Whether an address is one of this machine's; false where there is no route at all.
  static func isLocal(_ address: IPAddress) -> Bool { (try? Route(to: address))?.isLocal ?? false }

  /// Has the kernel resolve and keep the link-layer address of the next hop towards `destination`, so that
  /// packets find it known. Returns 0 or an errno.
  func keepNeighbour(towards destination: IPAddress) -> Int32 {
    guard !isLocal else { return 0 }
    return withUnsafePointer(to: (gateway ?? destination).words) {
      $0.withMemoryRebound(to: UInt32.self, capacity: 4) { -sr_neighbour_keep($0, interface) }
    }
  }
}

/// The kernel has no route.
struct RouteError: Error, Hashable, Sendable {
  var destination: IPAddress
  var errno: Int32
}
