import CStreamRouter
import Foundation
import Topology

/// The TCP connections that the datapath of engine sandbox knows: goes through them for the account, and forgets those
/// that are over.
struct SandboxConnections {
  /// Connections read at once.
  private static let batch = 1024

  let connections: Int32
  let replies: Int32
  let sweeps: Int32

  /// What one pass found of a relay.
  struct Found {
    /// Neither over nor expired.
    var open: UInt64 = 0
    /// Expired, and removed by this pass.
    var expired: UInt64 = 0
  }

  /// Goes through all connections, and removes those that are silent for too long, or whose relay `isGone` names.
  ///
  /// - Returns: What was found, by the relay's index.
  @discardableResult
  func sweep(nowNs: UInt64 = realtimeNs(), isGone: (UInt32) -> Bool = { _ in false }) -> [UInt32: Found] {
    var found: [UInt32: Found] = [:]
    each { key, connection in
      var connection = connection
      let index = connection.index
      if isGone(index) {
        remove(key, connection)
      } else if sr_connection_expired(&connection, nowNs) != 0 {
        remove(key, connection)
        // One that had been counted as over is none that was given up.
        if connection.flags & SR_CONNECTION_ENDED.rawValue == 0 { found[index, default: Found()].expired += 1 }
      } else if connection.flags & SR_CONNECTION_ENDED.rawValue == 0 {
        found[index, default: Found()].open += 1
      }
    }
    return found
  }

  private func each(_ body: (sr_connection_key, sr_connection) -> Void) {
    let keys = UnsafeMutablePointer<sr_connection_key>.allocate(capacity: Self.batch)
    let values = UnsafeMutablePointer<sr_connection>.allocate(capacity: Self.batch)
    defer {
      keys.deallocate()
      values.deallocate()
    }
    // The kernel's mark for where to go on: a 32-bit number of a bucket.
    var place: UInt32 = 0
    var isFirst = true
    while true {
      var count = UInt32(Self.batch)
      var next: UInt32 = 0
      let result = withUnsafeMutablePointer(to: &place) { place in
        bpf_map_lookup_batch(connections, isFirst ? nil : place, &next, keys, values, &count, nil)
      }
      let isLast = result != 0
      if isLast && errno != ENOENT { return }
      for entry in 0..<Int(count) { body(keys[entry], values[entry]) }
      if isLast { return }
      place = next
      isFirst = false
    }
  }

  private func remove(_ key: sr_connection_key, _ connection: sr_connection) {
    var key = key
    var reply = sr_connection_key(
      source: connection.sink.destination, destination: connection.sink.source,
      source_port: connection.sink.destination_port, destination_port: connection.sink.source_port)
    // Another connection may have taken the port over.
    var holder = sr_connection_key()
    if bpf_map_lookup_elem(replies, &reply, &holder) == 0, holder == key {
      _ = bpf_map_delete_elem(replies, &reply)
    }
    _ = bpf_map_delete_elem(connections, &key)
  }

  /// What passes found of a relay so far.
  func account(of index: UInt32) -> sr_sweep {
    var index = index
    var sweep = sr_sweep()
    return bpf_map_lookup_elem(sweeps, &index, &sweep) == 0 ? sweep : sr_sweep()
  }

  func set(_ sweep: sr_sweep, of index: UInt32) {
    var index = index
    var sweep = sweep
    _ = bpf_map_update_elem(sweeps, &index, &sweep, UInt64(BPF_ANY))
  }
}

extension sr_connection_key: @retroactive Equatable {
  public static func == (a: Self, b: Self) -> Bool {
    a.source == b.source && a.destination == b.destination && a.source_port == b.source_port
      && a.destination_port == b.destination_port
  }
}

/// The source ports that connections of engine sandbox take: those that the kernel gives none of its own connections.
struct SourcePorts: Hashable {
  /// Below it there are ports of services.
  static let lowest = 10_000
  /// With fewer the two share all.
  private static let fewest = 1024

  var ranges: [ClosedRange<Int>]

  /// - Parameter local: `net.ipv4.ip_local_port_range`, two numbers.
  init(local: String) {
    let bounds = local.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
    let most = Int(UInt16.max)
    guard bounds.count == 2, bounds[0] <= bounds[1] else {
      ranges = [Self.lowest...most]
      return
    }
    ranges = []
    if bounds[0] > Self.lowest { ranges.append(Self.lowest...min(bounds[0] - 1, most)) }
    if bounds[1] < most { ranges.append(max(bounds[1] + 1, Self.lowest)...most) }
    if ranges.reduce(0, { $0 + $1.count }) < Self.fewest { ranges = [Self.lowest...most] }
  }

  /// Those of this network namespace.
  static func read() -> SourcePorts {
    SourcePorts(
      local: (try? String(contentsOfFile: "/proc/sys/net/ipv4/ip_local_port_range", encoding: .utf8)) ?? "")
  }

  func fill(_ settings: inout sr_settings) {
    let first = ranges.map { UInt16($0.lowerBound) } + [0, 0]
    let count = ranges.map { UInt16($0.count) } + [0, 0]
    settings.port_first = (first[0], first[1])
    settings.port_count = (count[0], count[1])
  }
}
