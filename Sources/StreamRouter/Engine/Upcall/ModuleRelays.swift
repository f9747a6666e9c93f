import CStreamRouter
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// The entries of relays in the kernel module: those of the network namespace that this process is in.
struct ModuleRelays {
  private let device: ModuleDevice

  init(_ device: ModuleDevice) { self.device = device }

  func entries() throws(EngineError) -> [sr_relay_entry] {
    try device.list(SR_MODULE_RELAY_LIST, of: sr_relay_entry())
  }

  func set(_ value: sr_relay, at key: sr_relay_key) throws(EngineError) {
    var entry = sr_relay_entry()
    entry.key = key
    entry.relay = value
    let result = device.call(SR_MODULE_RELAY_SET, &entry)
    if result == ENOSPC { throw .full(engine: .upcall, capacity: Int(SR_MODULE_RELAYS.rawValue)) }
    try check(result, "setting", "the relay of \(key.endpoint)")
  }

  /// One that is not there is as good as removed.
  func remove(_ key: sr_relay_key) throws(EngineError) {
    var entry = sr_relay_entry()
    entry.key = key
    let result = device.call(SR_MODULE_RELAY_REMOVE, &entry)
    if result != ENOENT { try check(result, "removing", "the relay of \(key.endpoint)") }
  }

  /// What was counted of an index, on all processors.
  func account(of index: UInt32) throws(EngineError) -> (counters: sr_counters, flow: sr_flow) {
    var (counters, flow) = (sr_counters(), sr_flow())
    let result = withUnsafeMutablePointer(to: &counters) { counters in
      withUnsafeMutablePointer(to: &flow) { flow in
        read(
          sr_relay_query(
            index: index, reserved: 0, counters: UInt64(UInt(bitPattern: counters)),
            flow: UInt64(UInt(bitPattern: flow)), reports: 0))
      }
    }
    try check(result, "reading", "a relay's account")
    return (counters, flow)
  }

  /// The RTCP that came last.
  func reports(of index: UInt32, since mark: ReportReading.Mark?) throws -> ReportReading {
    try withUnsafeTemporaryAllocation(of: sr_reports.self, capacity: 2) { copies in
      let (first, second) = (copies.baseAddress!, copies.baseAddress! + 1)
      func copy(to place: UnsafeMutablePointer<sr_reports>) throws(EngineError) {
        let result = read(
          sr_relay_query(
            index: index, reserved: 0, counters: 0, flow: 0, reports: UInt64(UInt(bitPattern: place))))
        try check(result, "reading", "RTCP")
      }
      try copy(to: first)
      return try ReportReading(first, since: mark) {
        try copy(to: second)
        return sr_reports_head(second)
      }
    }
  }

  func datapath() throws(EngineError) -> [UInt64] {
    var counters = sr_node_counters()
    var query = sr_datapath_query()
    let result = withUnsafeMutablePointer(to: &counters) { counters in
      query.counters = UInt64(UInt(bitPattern: counters))
      return device.call(SR_MODULE_DATAPATH_READ, &query)
    }
    try check(result, "reading", "the datapath's counters")
    return withUnsafeBytes(of: counters) { bytes in
      (0..<Counter.node.count).map { bytes.load(fromByteOffset: 8 * $0, as: UInt64.self) }
    }
  }

  private func read(_ query: sr_relay_query) -> Int32 {
    var query = query
    return device.call(SR_MODULE_RELAY_READ, &query)
  }

  private func check(_ errno: Int32, _ operation: String, _ subject: String) throws(EngineError) {
    guard errno != 0 else { return }
    throw .failed(
      engine: .upcall, operation: operation, subject: subject, errno: errno,
      detail: errno == EPROTO ? "the kernel module was exchanged: start the node again" : "")
  }
}
