import Topology

/// The network of a lab as lines for `ip -batch -`: one batch that makes namespaces and veth pairs, and one for
/// each namespace that sets up its own devices.
extension LabNetwork {
  /// Run in the namespace in which the lab was started.
  public var creation: [String] {
    var lines = namespaces.map { "netns add \($0.name)" }
    for space in namespaces {
      for device in space.devices {
        guard let far = namespaces.first(where: { $0.node == device.peerNode }),
          let farDevice = far.devices.first(where: { $0.peerNode == space.node }),
          device.linkLocal < farDevice.linkLocal
        else { continue }
        lines.append(
          "link add \(device.name) netns \(space.name) type veth peer name \(farDevice.name) netns \(far.name)")
      }
    }
    return lines
  }

  /// Run inside the namespace. Routes come last: they need the devices up, not their carrier.
  public func setup(of space: Namespace) -> [String] {
    // Datagrams travel one by one, as on a wire: between namespaces the kernel would hand trains on whole (UDP_SEGMENT),
    // which extensions, that look at datagrams, cannot take.
    var lines = ["link set lo gso_max_segs 1 up"]
    if space.devices.isEmpty {
      lines += space.addresses.map { addressLine($0, device: "lo") }
    }
    for device in space.devices {
      if hasIPv6 {
        // The kernel's own link-local address stays unusable for a second while it looks for duplicates, and
        // neighbour discovery with it. This one is usable at once.
        lines.append("link set \(device.name) addrgenmode none")
      }
      if let mtu = device.mtu { lines.append("link set \(device.name) mtu \(mtu)") }
      lines.append("link set \(device.name) gso_max_segs 1 up")
      if hasIPv6 { lines.append("address add fe80::\(device.linkLocal)/64 dev \(device.name) nodad") }
      lines += (space.addresses + device.addresses).map { addressLine($0, device: device.name) }
    }
    for device in space.devices {
      for route in device.routes {
        let bits = route.destination.family == .ipv4 ? "/32" : "/128"
        lines.append(
          "route add \(route.destination)\(bits) dev \(device.name)"
            + (route.source.map { " src \($0)" } ?? ""))
      }
    }
    return lines
  }

  private func addressLine(_ address: IPAddress, device: String) -> String {
    address.family == .ipv4
      ? "address add \(address)/32 dev \(device)" : "address add \(address)/128 dev \(device) nodad"
  }

  /// A hash of all that would be made: two topologies with the same one need the same network.
  public var fingerprint: String {
    let text = (creation + namespaces.flatMap { ["in \($0.name)"] + setup(of: $0) }).joined(separator: "\n")
    return LabNames.hex(LabNames.stableHash(text))
  }
}
