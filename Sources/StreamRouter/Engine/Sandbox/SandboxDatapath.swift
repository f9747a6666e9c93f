import CStreamRouter
import Foundation
import Topology

/// The loaded BPF object of engine sandbox: its program and maps, pinned where a later daemon finds them.
///
/// Loading again over the same pins takes over the maps, and with them every relay and counter; only the program
/// is new. Where the pinned maps have another layout (another version of this code made them), loading fails with
/// `EngineError.unsupported` and says what to do.
final class SandboxDatapath {
  /// How many relays the tables hold.
  let capacity: Int
  private let object: OpaquePointer
  private let program: OpaquePointer
  let maps: Maps
  /// The extensions that are linked in, by their place.
  let extensions: [UInt32: ExtensionTables]
  /// Why extensions that like functions of the kernel module find none; nil where they do, or none asks.
  let missingFunctions: EngineError?
  let processors: Int

  struct Maps {
    let relays: Int32
    let counters: Int32
    let flows: Int32
    let reports: Int32
    let nodeCounters: Int32
    let settings: Int32
  }

  /// The connections of protocol tcp.
  let connections: SandboxConnections

  var programDescriptor: Int32 { bpf_program__fd(program) }

  /// - Parameters:
  ///   - pins: A folder on a bpffs, made where absent; nil pins nothing (tests, benchmarks).
  ///   - capacity: Relays that the tables hold; ignored where pinned maps are taken over.
  ///   - connections: TCP connections that the tables hold; likewise.
  ///   - extensions: What is linked in.
  ///   - accounting: false in a benchmark that shows what the account costs.
  init(
    pins: String?, capacity: Int = Int(SR_DEFAULT_RELAYS.rawValue),
    connections: Int = Int(SR_DEFAULT_CONNECTIONS.rawValue),
    extensions placements: [ExtensionPlacement] = [], accounting: Bool = true
  ) throws {
    _ = Self.keepLog
    let (functions, missing) = try PacketFunctions.link(
      for: placements.map(\.object.manifest), demands: pins != nil)
    missingFunctions = missing
    let image = try DatapathLinker.link(Self.image, placements, functions: functions)
    guard let object = image.withUnsafeBytes({ bpf_object__open_mem($0.baseAddress, $0.count, nil) }) else {
      throw Self.failure("opening", "the embedded BPF object", errno)
    }
    self.object = object
    var finished = false
    defer { if !finished { bpf_object__close(object) } }
    do {
      try Self.size(object, capacity: capacity, connections: connections)
      if !accounting { try Self.set("accounting", to: 0, in: object) }
      if functions != nil { try Self.set("functions", to: PacketFunctions.all, in: object) }
      let adopted = try pins.map { try Self.pin(object, to: $0) } ?? false
      for placement in placements { try Self.prepare(placement, in: object, pins: pins) }
      let result = bpf_object__load(object)
      guard result == 0 else {
        throw Self.loadFailure(-result, pins: adopted ? pins : nil, placements)
      }
      extensions = Dictionary(
        uniqueKeysWithValues: placements.map { ($0.slot, ExtensionTables($0, in: object)) })
      guard let program = bpf_object__find_program_by_name(object, "sr_relay_ingress") else {
        throw Self.failure("finding", "program sr_relay_ingress", ENOENT)
      }
      self.program = program
      func descriptor(_ name: String) throws -> Int32 {
        let fd = bpf_object__find_map_fd_by_name(object, name)
        guard fd >= 0 else { throw Self.failure("finding", "map \(name)", -fd) }
        return fd
      }
      maps = Maps(
        relays: try descriptor("relays"), counters: try descriptor("counters"), flows: try descriptor("flows"),
        reports: try descriptor("reports"),
        nodeCounters: try descriptor("node_counters"), settings: try descriptor("settings"))
      self.connections = SandboxConnections(
        connections: try descriptor("connections"), replies: try descriptor("replies"),
        sweeps: try descriptor("sweeps"))
      self.capacity = Int(bpf_map__max_entries(bpf_object__find_map_by_name(object, "counters")))
      processors = Int(libbpf_num_possible_cpus())
      // Layouts that agree in size may still differ in meaning. Fresh maps hold 0.
      let version = try settings().abi_version
      if let pins, version != 0, version != SR_ABI_VERSION.rawValue { throw Self.otherVersion(pins) }
    }
    finished = true
  }

  deinit { bpf_object__close(object) }

  // MARK: Settings

  /// Tells the datapath the difference of the clocks: BPF can read CLOCK_TAI, time stamps are CLOCK_REALTIME.
  ///
  /// - Parameter tcpRelays: How many entries of the table are of protocol tcp.
  func updateSettings(tcpRelays: Int = 0) throws {
    var tai = timespec()
    var real = timespec()
    clock_gettime(CLOCK_TAI, &tai)
    clock_gettime(CLOCK_REALTIME, &real)
    // Whole seconds by definition; rounding takes out what passed between the two calls.
    let difference = Double(tai.tv_sec - real.tv_sec) + Double(tai.tv_nsec - real.tv_nsec) / 1e9
    var settings = try settings()
    settings.abi_version = UInt32(SR_ABI_VERSION.rawValue)
    settings.relay_capacity = UInt32(capacity)
    settings.tai_minus_realtime_ns = Int64(difference.rounded()) * 1_000_000_000
    settings.tcp_relays = UInt32(tcpRelays)
    SourcePorts.read().fill(&settings)
    try write(settings)
  }

  private func write(_ settings: sr_settings) throws {
    var key: UInt32 = 0
    var settings = settings
    try check(bpf_map_update_elem(maps.settings, &key, &settings, UInt64(BPF_ANY)), "writing", "settings")
  }

  /// Tells the datapath that the table of relays is another one: what it found out about relays before, it looks up anew.
  private func noteChangedRelays() throws {
    var settings = try settings()
    settings.edition &+= 1
    try write(settings)
  }

  /// What a former daemon left in the settings; `abi_version` is 0 in fresh maps.
  func settings() throws -> sr_settings {
    var key: UInt32 = 0
    var settings = sr_settings()
    try check(bpf_map_lookup_elem(maps.settings, &key, &settings), "reading", "settings")
    return settings
  }

  // MARK: Relays

  /// One entry of the relay table; an update replaces the whole entry at once, for all processors.
  func set(_ relay: sr_relay, at key: sr_relay_key) throws {
    var key = key
    var relay = relay
    try check(bpf_map_update_elem(maps.relays, &key, &relay, UInt64(BPF_ANY)), "writing", "a relay")
    try noteChangedRelays()
  }

  func relay(at key: sr_relay_key) -> sr_relay? {
    var key = key
    var relay = sr_relay()
    return bpf_map_lookup_elem(maps.relays, &key, &relay) == 0 ? relay : nil
  }

  /// Removing what is not there is no error.
  func removeRelay(at key: sr_relay_key) throws {
    var key = key
    let result = bpf_map_delete_elem(maps.relays, &key)
    if result != 0 && errno != ENOENT { try check(result, "removing", "a relay") }
    if result == 0 { try noteChangedRelays() }
  }

  func relayKeys() -> [sr_relay_key] { Self.keys(of: maps.relays, most: 2 * capacity) }

  private static func keys(of map: Int32, most: Int) -> [sr_relay_key] {
    var keys: [sr_relay_key] = []
    var key = sr_relay_key()
    var next = sr_relay_key()
    var result = bpf_map_get_next_key(map, nil, &next)
    while result == 0 && keys.count <= most {
      keys.append(next)
      key = next
      result = bpf_map_get_next_key(map, &key, &next)
    }
    return keys
  }

  /// The extensions that the relays of a pinned table use: what must be linked into the datapath that takes it over.
  static func pinnedUses(_ pins: String) -> [SandboxExtensions.Use] {
    let map = bpf_obj_get(pins + "/relays")
    guard map >= 0 else { return [] }
    defer { close(map) }
    var info = bpf_map_info()
    var length = UInt32(MemoryLayout<bpf_map_info>.size)
    // A table of another layout is refused when it is taken over.
    guard bpf_obj_get_info_by_fd(map, &info, &length) == 0, info.value_size == MemoryLayout<sr_relay>.size
    else {
      return []
    }
    return keys(of: map, most: Int(info.max_entries)).flatMap { key in
      var key = key
      var relay = sr_relay()
      return bpf_map_lookup_elem(map, &key, &relay) == 0 ? relay.uses : []
    }
  }

  // MARK: Account

  /// The account of one relay, summed over the processors.
  func counters(at index: UInt32) throws -> sr_counters {
    var index = index
    var total = sr_counters()
    try perProcessor(maps.counters, &index, stride: MemoryLayout<sr_counters>.stride) { bytes in
      let one = bytes.load(as: sr_counters.self)
      total.add(one)
    }
    return total
  }

  func nodeCounters() throws -> [UInt64] {
    var index: UInt32 = 0
    var total = [UInt64](repeating: 0, count: Counter.node.count)
    try perProcessor(maps.nodeCounters, &index, stride: MemoryLayout<sr_node_counters>.stride) { bytes in
      for counter in total.indices {
        total[counter] &+= bytes.load(fromByteOffset: 8 * counter, as: UInt64.self)
      }
    }
    return total
  }

  /// All fields of one moment, unless packets come faster than it can be read twice.
  func flow(at index: UInt32) throws -> sr_flow {
    var index = index
    var flow = sr_flow()
    try check(bpf_map_lookup_elem(maps.flows, &index, &flow), "reading", "a flow")
    for _ in 0..<100 {
      let former = flow.sequence
      try check(bpf_map_lookup_elem(maps.flows, &index, &flow), "reading", "a flow")
      if flow.sequence == former && former & 1 == 0 { break }
    }
    return flow
  }

  func set(_ flow: sr_flow, at index: UInt32) throws {
    var index = index
    var flow = flow
    try check(bpf_map_update_elem(maps.flows, &index, &flow, UInt64(BPF_ANY)), "writing", "a flow")
  }

  /// Has the datapath keep the RTCP of a relay: makes its place where there is none, or where it is to be a new one.
  func keepReports(at index: UInt32, fresh: Bool) throws {
    var index = index
    let zeros = [UInt8](repeating: 0, count: MemoryLayout<sr_reports>.size)
    let result = bpf_map_update_elem(maps.reports, &index, zeros, UInt64(fresh ? BPF_ANY : BPF_NOEXIST))
    if result != 0 && errno != EEXIST { try check(result, "making the place for", "RTCP") }
  }

  /// Removing what is not there is no error.
  func dropReports(at index: UInt32) {
    var index = index
    _ = bpf_map_delete_elem(maps.reports, &index)
  }

  /// The RTCP of a relay that came since; nil where none is kept.
  func reports(at index: UInt32, since mark: ReportReading.Mark?) throws -> ReportReading? {
    var index = index
    return try withUnsafeTemporaryAllocation(of: sr_reports.self, capacity: 2) { copies in
      let (first, second) = (copies.baseAddress!, copies.baseAddress! + 1)
      if bpf_map_lookup_elem(maps.reports, &index, first) != 0 {
        if errno == ENOENT { return nil }
        try check(-1, "reading", "RTCP")
      }
      return try ReportReading(first, since: mark) {
        try check(bpf_map_lookup_elem(maps.reports, &index, second), "reading", "RTCP")
        return sr_reports_head(second)
      }
    }
  }

  /// Clears the account of an index before another relay takes it.
  func clear(index: UInt32) throws {
    var index = index
    try set(sr_flow(), at: index)
    let zeros = [UInt8](repeating: 0, count: MemoryLayout<sr_counters>.stride * processors)
    try check(bpf_map_update_elem(maps.counters, &index, zeros, UInt64(BPF_ANY)), "clearing", "counters")
    connections.set(sr_sweep(), of: index)
  }

  private func perProcessor(
    _ map: Int32, _ index: inout UInt32, stride: Int, body: (UnsafeRawPointer) -> Void
  ) throws {
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: stride * processors, alignment: 8)
    defer { buffer.deallocate() }
    try check(bpf_map_lookup_elem(map, &index, buffer), "reading", "counters")
    for processor in 0..<processors { body(UnsafeRawPointer(buffer + processor * stride)) }
  }

  /// What the kernel says of the loaded program.
  func programInfo() -> bpf_prog_info {
    LoadedProgram(programDescriptor)?.info ?? bpf_prog_info()
  }

  // MARK: Test runs

  /// What BPF_PROG_TEST_RUN gave back.
  struct TestRun {
    /// A TC_ACT_ value.
    var verdict: Int32
    var packet: [UInt8]
    /// Mean over the repetitions.
    var durationNs: UInt32
  }

  /// Runs the program on a packet, with no device (BPF_PROG_TEST_RUN). `context` gives the packet's metadata.
  func testRun(_ packet: [UInt8], context: __sk_buff = __sk_buff(), repetitions: Int32 = 1) throws -> TestRun {
    var context = context
    var output = [UInt8](repeating: 0, count: packet.count + 256)
    return try packet.withUnsafeBytes { input in
      try output.withUnsafeMutableBytes { room in
        try withUnsafeMutableBytes(of: &context) { metadata in
          var options = bpf_test_run_opts()
          // Up to the last field: padding behind it need not be zero, and libbpf insists that it is.
          options.sz = MemoryLayout<bpf_test_run_opts>.offset(of: \.batch_size)! + MemoryLayout<UInt32>.size
          options.data_in = input.baseAddress
          options.data_size_in = UInt32(input.count)
          options.data_out = room.baseAddress
          options.data_size_out = UInt32(room.count)
          options.ctx_in = UnsafeRawPointer(metadata.baseAddress)
          options.ctx_size_in = UInt32(metadata.count)
          options.repeat = repetitions
          let result = bpf_prog_test_run_opts(programDescriptor, &options)
          guard result == 0 else { throw Self.failure("running", "the program on a test packet", -result) }
          return TestRun(
            verdict: Int32(bitPattern: options.retval), packet: Array(room.prefix(Int(options.data_size_out))),
            durationNs: options.duration)
        }
      }
    }
  }

  // MARK: Loading

  /// Has libbpf keep its messages for our errors instead of printing them; a first use does it once.
  static let keepLog: Void = {
    _ = libbpf_set_strict_mode(LIBBPF_STRICT_ALL)
    sr_bpf_log_keep()
  }()

  private static let image = decoded(relayObjectBase64)

  /// An object that was embedded at build time.
  static func decoded(_ base64: StaticString) -> Data {
    let text = base64.withUTF8Buffer { Data($0) }
    guard let image = Data(base64Encoded: text) else { preconditionFailure("bpfembed wrote invalid base64") }
    return image
  }

  /// Sets one of the program's constants, after which the verifier leaves out what they exclude.
  private static func set(_ constant: String, to value: UInt32, in object: OpaquePointer) throws {
    var value = value
    let constants = bpf_object__find_map_by_name(object, ".rodata.\(constant)")
    let result = bpf_map__set_initial_value(constants, &value, MemoryLayout<UInt32>.size)
    guard result == 0 else { throw failure("setting", "constant sr_\(constant)", -result) }
  }

  private static func size(_ object: OpaquePointer, capacity: Int, connections: Int) throws {
    for (name, entries) in [
      ("relays", 2 * capacity), ("counters", capacity), ("flows", capacity), ("routes", capacity),
      ("reports", capacity), ("sweeps", capacity), ("connections", connections), ("replies", connections),
    ] {
      let map = bpf_object__find_map_by_name(object, name)
      let result = bpf_map__set_max_entries(map, UInt32(entries))
      guard result == 0 else { throw failure("sizing", "map \(name)", -result) }
    }
  }

  /// Names the pins; libbpf takes over a pinned map where there is one. Returns whether there was.
  private static func pin(_ object: OpaquePointer, to directory: String) throws -> Bool {
    try SandboxPermission.makeFolder(directory)
    var adopted = false
    var map = bpf_object__next_map(object, nil)
    while let next = map {
      let name = String(cString: bpf_map__name(next))
      // The program's constants are its own; all that crosses to the node is in named maps.
      if !name.contains("."), !name.contains(/_[0-9][0-9]$/) {
        let path = directory + "/" + name
        adopted = adopted || FileManager.default.fileExists(atPath: path)
        // A pinned map keeps the size that it was made with.
        let pinned = bpf_obj_get(path)
        if pinned < 0, errno == EACCES || errno == EPERM { throw SandboxPermission.otherUser(directory) }
        if pinned >= 0 {
          var info = bpf_map_info()
          var length = UInt32(MemoryLayout<bpf_map_info>.size)
          if bpf_obj_get_info_by_fd(pinned, &info, &length) == 0 {
            _ = bpf_map__set_max_entries(next, info.max_entries)
          }
          close(pinned)
        }
        let result = bpf_map__set_pin_path(next, path)
        guard result == 0 else { throw failure("naming the pin of", "map \(name)", -result) }
      }
      map = bpf_object__next_map(object, next)
    }
    return adopted
  }

  /// Sizes and names the tables of an extension.
  private static func prepare(_ placement: ExtensionPlacement, in object: OpaquePointer, pins: String?) throws {
    let folder = pins.map { "\($0)/extensions/\(placement.pinName)" }
    if let folder { try SandboxPermission.makeFolder(folder) }
    for table in ExtensionTables.names {
      let map = bpf_object__find_map_by_name(object, ExtensionTables.mapName(table, slot: placement.slot))
      let subject = "table \(table) of extension \(placement.object.manifest.name)"
      guard map != nil else { throw failure("finding", subject, ENOENT) }
      let sized = bpf_map__set_max_entries(map, UInt32(placement.instances))
      guard sized == 0 else { throw failure("sizing", subject, -sized) }
      if let folder {
        let named = bpf_map__set_pin_path(map, folder + "/" + table)
        guard named == 0 else { throw failure("naming the pin of", subject, -named) }
      }
    }
  }

  private static func otherVersion(_ pins: String) -> EngineError {
    .unsupported(
      engine: .sandbox, reason: "the maps pinned at \(pins) were made by another version of streamrouter",
      remedy: "'streamrouter node remove' stops their relays and removes them")
  }

  private static func loadFailure(
    _ code: Int32, pins: String?, _ placements: [ExtensionPlacement]
  ) -> any Error {
    let log = takeLog()
    if code == EPERM { return SandboxPermission.denied(Capability.missing(Capability.sandbox)) }
    if !placements.isEmpty, let report = VerifierReport(log: log, placements) { return report.error }
    if code == EINVAL, let pins, log.contains("parameter mismatch") { return otherVersion(pins) }
    return EngineError.failed(
      engine: .sandbox, operation: "loading", subject: "the BPF object", errno: code, detail: log)
  }

  static func failure(_ operation: String, _ subject: String, _ code: Int32) -> EngineError {
    .failed(engine: .sandbox, operation: operation, subject: subject, errno: code, detail: takeLog())
  }

  private func check(_ result: Int32, _ operation: String, _ subject: String) throws {
    guard result == 0 else { throw Self.failure(operation, subject, errno) }
  }

  static func takeLog() -> String {
    var text = [CChar](repeating: 0, count: 128 * 1024)
    sr_bpf_log_take(&text, text.count)
    return String(buffer: text).trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
