import CStreamRouter
import Foundation
import SystemPackage
import Topology

/// Engine `sandbox`: relays as entries of the BPF datapath at TC ingress, run in softirq by the kernel.
///
/// The daemon only writes tables and reads accounts. Maps and filters stay when it goes, so packets flow on; the
/// next daemon finds the entries by their stream's name and goes on with the same counters.
public actor SandboxEngine: Engine {
  public nonisolated let choice = EngineChoice.sandbox

  private var tables: SandboxDatapath
  private let pins: String
  private var extensions: SandboxExtensions
  /// Finds the built extension that a relay uses.
  private let library: ExtensionSource
  private var devices = SandboxDevices()
  private let timestamps: Int32
  private var running: [String: Running] = [:]
  private var freeIndices: [UInt32]
  /// What a former daemon left and no relay has claimed yet, by stream.
  private var unclaimed: [String: Running] = [:]
  private var peers = PeerLedger()
  /// When the TCP connections were gone through last.
  private var swept: ContinuousClock.Instant?
  private static let sweepInterval = Duration.milliseconds(900)
  private var softirqThreads = SoftirqThreads()
  /// Called with what does not stop a relay but should be known.
  private let notice: @Sendable (String) -> Void

  private struct Running {
    /// nil: left by a former daemon.
    var relay: Relay?
    var index: UInt32
    var keys: [sr_relay_key]
    var devices: Set<SandboxDevices.Device>
    var uses: [SandboxExtensions.Use] = []
  }

  /// Loads the datapath or takes over what is pinned.
  ///
  /// - Parameters:
  ///   - pins: The folder of this node on a bpffs.
  ///   - capacity: What the tables hold, unless pinned tables are taken over.
  ///   - extensions: Finds the built extension that a relay uses.
  ///   - store: Where copies of the extensions that run are kept for the next daemon.
  ///   - scheduling: Of the machine's threads ksoftirqd, in which softirq work that overruns its time goes on.
  ///   - notice: Called with what does not stop a relay but should be known.
  public init(
    pins: String, capacity: SandboxCapacity = SandboxCapacity(),
    extensions library: @escaping ExtensionSource = noExtensions, store: String? = nil,
    scheduling: Scheduling = .other, notice: @escaping @Sendable (String) -> Void = { _ in }
  ) throws {
    self.notice = notice
    self.pins = pins
    self.library = library
    extensions = SandboxExtensions(store: store.map { FilePath($0) })
    _ = SandboxDatapath.keepLog
    try SandboxPermission.demand()
    try softirqThreads.schedule(scheduling)
    try Self.mountBPF()
    try Self.enableRouteLookup()
    // Another node of the same network namespace would fight for the same hooks.
    for device in SandboxDevices.all() {
      if let id = SandboxDevices.programID(on: device), !Self.uses(program: id, mapsOf: pins) {
        throw EngineError.unsupported(
          engine: .sandbox,
          reason: "another node's datapath (BPF program \(id)) stands on device \(device.name)",
          remedy: "stop that node and run 'streamrouter node remove', or give each node its network namespace")
      }
    }
    try extensions.adopt(SandboxDatapath.pinnedUses(pins), pins: pins)
    tables = try SandboxDatapath(
      pins: pins, capacity: capacity.relays, connections: capacity.connections, extensions: extensions.all)
    var used: Set<UInt32> = []
    for key in tables.relayKeys() {
      guard let entry = tables.relay(at: key) else { continue }
      unclaimed[
        entry.streamName,
        default: Running(relay: nil, index: entry.index, keys: [], devices: [], uses: entry.uses)
      ].keys.append(key)
      used.insert(entry.index)
    }
    freeIndices = (0..<UInt32(tables.capacity)).reversed().filter { !used.contains($0) }
    try tables.updateSettings(tcpRelays: Self.tcpKeys(unclaimed.values))
    devices.adopt()
    // The new program takes over before anything else changes.
    try Self.attach(tables, to: devices.attached, of: &devices, pins: pins)
    timestamps = Self.keepReceiveTimestamps()
  }

  deinit { if timestamps >= 0 { close(timestamps) } }

  public func add(_ relay: Relay) throws {
    try install(relay, over: unclaimed[relay.stream])
    unclaimed[relay.stream] = nil
  }

  public func replace(_ old: Relay, with new: Relay) throws {
    try install(new, over: running[old.stream])
    if old.stream != new.stream { running[old.stream] = nil }
    peers.rename(old.stream, to: new.stream)
    if old.transport != new.transport { peers.restart(new.stream) }
  }

  public func remove(_ relay: Relay) throws {
    guard let former = running.removeValue(forKey: relay.stream) else { return }
    peers.forget(relay.stream)
    try drop(former)
  }

  /// Stops what a former daemon left and the present topology does not name.
  public func removeUnclaimed() throws -> [String] {
    let names = unclaimed.keys.sorted()
    for former in unclaimed.values { try drop(former) }
    unclaimed = [:]
    try attach(to: wantedDevices())
    return names
  }

  /// Entries of the table that are of protocol tcp.
  private static func tcpKeys(_ relays: some Sequence<Running>) -> Int {
    relays.reduce(0) { $0 + $1.keys.count(where: \.isTCP) }
  }

  private func updateSettings() throws {
    try tables.updateSettings(tcpRelays: Self.tcpKeys(running.values) + Self.tcpKeys(unclaimed.values))
  }

  /// Goes through the TCP connections, where there may be some and none went through them just now.
  private func sweepConnections() {
    let tcp = running.values.filter { $0.relay?.transport == .tcp }
    guard !tcp.isEmpty, swept.map({ ContinuousClock.now - $0 > Self.sweepInterval }) ?? true else { return }
    swept = .now
    let found = tables.connections.sweep()
    for entry in tcp {
      let news = found[entry.index] ?? SandboxConnections.Found()
      var account = tables.connections.account(of: entry.index)
      account.open = news.open
      account.expired += news.expired
      tables.connections.set(account, of: entry.index)
    }
  }

  public func snapshots() throws -> [RelaySnapshot] {
    var rates: [UInt32: UInt32] = [:]
    sweepConnections()
    var snapshots = try running.values.compactMap { entry -> RelaySnapshot? in
      guard let relay = entry.relay else { return nil }
      var counters = try tables.counters(at: entry.index)
      let sweep = relay.transport == .tcp ? tables.connections.account(of: entry.index) : sr_sweep()
      counters[SR_TCP_EXPIRED] += sweep.expired
      let flow = try tables.flow(at: entry.index)
      try takeReports(of: relay, at: entry.index, counters)
      if relay.transport == .rtp { flow.noteClockRates(&rates) }
      return RelaySnapshot(
        relay: relay, engine: choice, counters: counters, flow: flow, extensions: try accounts(of: entry.uses),
        open: sweep.open)
    }
    peers.resolve()
    for place in snapshots.indices {
      snapshots[place].peers = peers.account(of: snapshots[place].stream) { rates[$0] }
    }
    return snapshots
  }

  /// Reads the RTCP that came to a relay, where there may be some.
  private func takeReports(of relay: Relay, at index: UInt32, _ counters: sr_counters) throws {
    guard relay.transport == .rtp, peers.wants(relay.stream, counted: counters[SR_RTCP_PACKETS]),
      let reading = try tables.reports(at: index, since: peers.mark(of: relay.stream))
    else { return }
    peers.take(reading, of: relay.stream)
  }

  private func accounts(of uses: [SandboxExtensions.Use]) throws -> [ExtensionSnapshot] {
    try uses.compactMap { use -> ExtensionSnapshot? in
      guard let object = extensions.object(in: use.slot), let table = tables.extensions[use.slot] else {
        return nil
      }
      return ExtensionSnapshot(object, try table.account(use.instance))
    }
  }

  public func datapath() throws -> [String: UInt64] {
    let values = try tables.nodeCounters()
    return Dictionary(uniqueKeysWithValues: Counter.node.map { ($0.name, values[$0.index]) })
  }

  /// Keeps what the datapath cannot know for itself up to date; call it every few seconds.
  public func refresh() throws {
    try updateSettings()
    // Who turns ip_forward off turns it off everywhere.
    try Self.enableRouteLookup()
    sweepConnections()
    try softirqThreads.keep()
    for entry in running.values {
      guard let relay = entry.relay else { continue }
      keepNeighbours(relay)
      if relay.transport == .tcp { try followRoutes(of: relay) }
      // Few enough come in between that none displaces one which was not read.
      if relay.transport == .rtp {
        try takeReports(of: relay, at: entry.index, try tables.counters(at: entry.index))
      }
    }
    peers.resolve()
  }

  /// Schedules ksoftirqd otherwise from now on.
  func schedule(_ scheduling: Scheduling) throws { try softirqThreads.schedule(scheduling) }

  /// The datapath stays, and so does the scheduling of ksoftirqd: they outlive the daemon.
  public func stop() {}

  /// Removes everything of a node: filters, maps, program. Packets to its relays are no longer touched.
  ///
  /// - Parameter store: Where copies of its extensions are kept.
  public static func removeAll(pins: String, store: String? = nil) {
    _ = SandboxDatapath.keepLog
    for device in SandboxDevices.all() {
      if let id = SandboxDevices.programID(on: device), uses(program: id, mapsOf: pins) {
        SandboxDevices.detach(device)
      }
    }
    if !isRemoved(pins: pins) { SoftirqThreads.putBack() }
    try? FileManager.default.removeItem(atPath: pins)
    if let store { try? FileManager.default.removeItem(atPath: store) }
  }

  /// Whether nothing of a node is pinned, as far as this user may see.
  public static func isRemoved(pins: String) -> Bool {
    access(pins, F_OK) != 0 && errno == ENOENT
  }

  // MARK: Entries

  /// Answers to a connection come in where its sink is: the datapath moves there when the route does.
  private func followRoutes(of relay: Relay) throws {
    let wanted = try SandboxDevices.ingress(of: relay)
    guard let devices = running[relay.stream]?.devices, !wanted.isSubset(of: devices) else { return }
    running[relay.stream]?.devices.formUnion(wanted)
    try attach(to: wantedDevices())
  }

  /// What a connection needs that begins or ends on this node.
  private func enableLocalDelivery(for relay: Relay) throws {
    guard relay.ingress.address.family == .ipv4 else { return }
    let path = "/proc/sys/net/ipv4/conf/lo/accept_local"
    if (try? String(contentsOfFile: path, encoding: .utf8))?.hasPrefix("1") != true {
      do {
        try "1\n".write(toFile: path, atomically: false, encoding: .utf8)
      } catch {
        throw EngineError.unsupported(
          engine: .sandbox,
          reason: "\(path) cannot be set to 1, which connections from or to this node itself need",
          remedy:
            "have root run 'sysctl -w net.ipv4.conf.lo.accept_local=1', as sysctl.d/90-streamrouter.conf does, "
            + "or write 'mode: split'")
      }
    }
    let filter = (try? String(contentsOfFile: "/proc/sys/net/ipv4/conf/all/rp_filter", encoding: .utf8)) ?? ""
    if filter.hasPrefix("1") {
      notice(
        "stream \(relay.stream): net.ipv4.conf.all.rp_filter is 1, so the kernel drops segments that this node hands to itself; write 2, or 'mode: split'"
      )
    }
  }

  private func install(_ relay: Relay, over former: Running?) throws {
    let index = former?.index
    for own in [relay.ingress] + relay.sinks.map(\.source) where !Route.isLocal(own.address) {
      throw EngineError.failed(
        engine: choice, operation: "starting", subject: "stream \(relay.stream)", errno: 0,
        detail: "\(own.address) is not an address of this machine; correct the node's addresses")
    }
    if relay.mode == .split {
      throw EngineError.unsupported(
        engine: choice, reason: "stream \(relay.stream) asks for mode split",
        remedy: "remove 'mode', or let engine process run it")
    }
    let wanted = try SandboxDevices.ingress(of: relay)
    if relay.transport == .tcp, wanted.contains(where: { $0.name == "lo" }) {
      try enableLocalDelivery(for: relay)
    }
    let fresh = index == nil
    guard let index = index ?? freeIndices.popLast() else {
      throw EngineError.full(engine: choice, capacity: tables.capacity)
    }
    let uses: [SandboxExtensions.Use]
    do {
      uses = try prepareChain(of: relay, over: former?.uses ?? [])
    } catch {
      if fresh { freeIndices.append(index) }
      throw error
    }
    let newUses = Set(uses).subtracting(former?.uses ?? [])
    let entries = RelayEntry.entries(
      for: relay, index: index,
      extensions: uses.map { sr_extension_use(slot: $0.slot, instance: $0.instance) }, isLocal: Route.isLocal)
    let before = entries.map { (key: $0.key, value: tables.relay(at: $0.key)) }
    do {
      for (key, value) in before {
        // What a former daemon left under another name may be taken over: the stream was renamed meanwhile.
        if let value, value.index != index, unclaimed[value.streamName] == nil {
          throw EngineError.failed(
            engine: choice, operation: "starting", subject: "stream \(relay.stream)", errno: 0,
            detail: "\(key.endpoint) is where stream \(value.streamName) listens")
        }
      }
      if fresh { try tables.clear(index: index) }
      keepReports(of: relay, at: index, fresh: fresh)
      keepNeighbours(relay)
      for entry in entries { try tables.set(entry.value, at: entry.key) }
      if relay.transport == .tcp {
        let others =
          Self.tcpKeys(running.filter { $0.key != relay.stream }.values) + Self.tcpKeys(unclaimed.values)
        try tables.updateSettings(tcpRelays: others + entries.count)
      }
      // The hooks last: from here on packets come in.
      try attach(to: wantedDevices(except: relay.stream).union(wanted))
    } catch {
      for (key, value) in before {
        if let value { try? tables.set(value, at: key) } else { try? tables.removeRelay(at: key) }
      }
      if fresh { freeIndices.append(index) }
      extensions.release(newUses)
      throw error
    }
    let keys = entries.map(\.key)
    for key in former?.keys ?? [] where !keys.contains(key) {
      try tables.removeRelay(at: key)
    }
    if fresh { peers.begin(relay.stream) }
    running[relay.stream] = Running(relay: relay, index: index, keys: keys, devices: wanted, uses: uses)
    release(Set(former?.uses ?? []).subtracting(uses))
    for name in unclaimed.keys where name != relay.stream {
      unclaimed[name]?.keys.removeAll { keys.contains($0) }
    }
  }

  private func drop(_ former: Running) throws {
    for key in former.keys { try tables.removeRelay(at: key) }
    if former.keys.contains(where: \.isTCP) {
      try updateSettings()
      tables.connections.sweep { $0 == former.index }
    }
    tables.dropReports(at: former.index)
    freeIndices.append(former.index)
    release(Set(former.uses))
    try attach(to: wantedDevices())
  }

  /// Packets do not depend on it, so neither does the relay.
  private func keepReports(of relay: Relay, at index: UInt32, fresh: Bool) {
    guard relay.transport == .rtp else { return tables.dropReports(at: index) }
    do {
      try tables.keepReports(at: index, fresh: fresh)
    } catch {
      notice("stream \(relay.stream): what its peers report in RTCP is not read: \(error)")
    }
  }

  // MARK: Extensions

  /// Links in what a relay's chain needs and the datapath has not, and gives each extension of the chain a record:
  /// the former one where the same extension goes on, with its state and account. Nothing has changed where it throws.
  private func prepareChain(of relay: Relay, over former: [SandboxExtensions.Use]) throws -> [SandboxExtensions
    .Use]
  {
    guard !relay.extensions.isEmpty else { return [] }
    let objects = try relay.extensions.map { try library($0) }
    let (standing, new) = try extensions.placing(objects)
    if !new.isEmpty { try relink(standing + new) }
    if let missing = tables.missingFunctions {
      for object in objects where new.contains(where: { $0.object.content == object.content }) {
        let likes = object.manifest.likes.map(\.rawValue)
        guard !likes.isEmpty else { continue }
        notice(
          "stream \(relay.stream): extension \(object.manifest.name) goes without \(likes.joined(separator: ", ")): \(missing)"
        )
      }
    }
    var uses: [SandboxExtensions.Use] = []
    var taken: [SandboxExtensions.Use] = []
    do {
      for (object, use) in zip(objects, relay.extensions) {
        guard let placement = extensions.placement(of: object.content),
          let table = tables.extensions[placement.slot]
        else { preconditionFailure("it was linked in just now") }
        let record = object.manifest.record(use.settings)
        if let same = former.first(where: { $0.slot == placement.slot && !uses.contains($0) }) {
          try table.configure(same.instance, parameters: record)
          uses.append(same)
        } else {
          guard let fresh = extensions.take(in: placement) else {
            throw EngineError.failed(
              engine: choice, operation: "adding", subject: "extension \(object.manifest.name)", errno: 0,
              detail: "\(placement.instances) relays use it already, which is the most")
          }
          taken.append(fresh)
          try table.begin(fresh.instance, parameters: record)
          uses.append(fresh)
        }
      }
    } catch {
      extensions.release(taken)
      throw error
    }
    return uses
  }

  /// Loads a datapath with these extensions and exchanges the program on every device, each in one step. Where the
  /// verifier refuses one, the former datapath stays.
  private func relink(_ placements: [ExtensionPlacement]) throws {
    let next: SandboxDatapath
    do {
      next = try SandboxDatapath(pins: pins, capacity: tables.capacity, extensions: placements)
      try Self.attach(next, to: devices.attached, of: &devices, pins: pins)
    } catch {
      for placement in placements
      where extensions.object(in: placement.slot)?.content != placement.object.content {
        try? FileManager.default.removeItem(atPath: "\(pins)/extensions/\(placement.pinName)")
      }
      throw error
    }
    tables = next
    try extensions.placed(placements, pins: pins)
  }

  /// Gives records back once no packet that met the former relay can be at them.
  private func release(_ uses: Set<SandboxExtensions.Use>) {
    guard !uses.isEmpty else { return }
    sr_wait_for_packets()
    extensions.release(uses)
  }

  /// While a former daemon's relays wait to be claimed, their devices are unknown: all that are attached stay.
  private func wantedDevices(except stream: String? = nil) -> Set<SandboxDevices.Device> {
    let needed = running.filter { $0.key != stream }.values.reduce(into: Set()) { $0.formUnion($1.devices) }
    return unclaimed.isEmpty && stream == nil ? needed : needed.union(devices.attached)
  }

  private func attach(to wanted: Set<SandboxDevices.Device>) throws {
    try Self.attach(tables, to: wanted, of: &devices, pins: pins)
  }

  /// Has a datapath stand on exactly these devices. One that stands on any is pinned, at whatever moment the daemon dies.
  private static func attach(
    _ datapath: SandboxDatapath, to wanted: Set<SandboxDevices.Device>, of devices: inout SandboxDevices,
    pins: String
  ) throws {
    let id = datapath.programInfo().id
    let isNew = try ProgramPins.keep(datapath.programDescriptor, id: id, below: pins)
    try devices.attach(program: datapath.programDescriptor, to: wanted)
    if isNew { ProgramPins.drop(allBut: id, below: pins) }
  }

  private func keepNeighbours(_ relay: Relay) {
    for sink in relay.sinks where sink.kind != .local {
      let destination = sink.destination.address
      do {
        let problem = try Route(to: destination).keepNeighbour(towards: destination)
        if problem != 0 && problem != EEXIST {
          notice(
            "stream \(relay.stream): the kernel does not keep the neighbour of \(destination) (errno \(problem))"
          )
        }
      } catch {
        notice("stream \(relay.stream): no route to \(destination) now; its packets are dropped as drop_route")
      }
    }
  }

  // MARK: The machine

  private static func mountBPF() throws {
    let path = "/sys/fs/bpf"
    let mounts = (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? ""
    if mounts.contains(" \(path) bpf ") { return }
    guard mount("bpf", path, "bpf", 0, nil) == 0 else {
      throw EngineError.unsupported(
        engine: .sandbox, reason: "\(path) is no BPF file system and mounting it failed (errno \(errno))",
        remedy: "have root run 'mount -t bpf bpf \(path)'")
    }
  }

  /// The FIB helper refuses a lookup from a device where forwarding is off. Lookups go out from lo, which packets
  /// from outside never enter, so enabling it there makes the machine a router for nobody.
  static func enableRouteLookup() throws {
    for family in ["ipv4", "ipv6"] {
      let path = "/proc/sys/net/\(family)/conf/lo/forwarding"
      guard let before = try? String(contentsOfFile: path, encoding: .utf8) else { continue }
      if before.hasPrefix("1") { continue }
      do {
        try "1\n".write(toFile: path, atomically: false, encoding: .utf8)
      } catch {
        throw EngineError.unsupported(
          engine: .sandbox, reason: "\(path) cannot be set to 1, which the kernel's route lookup needs",
          remedy:
            "have root run 'sysctl -w net.\(family).conf.lo.forwarding=1', as sysctl.d/90-streamrouter.conf does"
        )
      }
    }
  }

  /// The kernel stamps packets on arrival while any socket asks for it. Without (after the daemon's death) a packet's
  /// residence counts from when the datapath took it up.
  private static func keepReceiveTimestamps() -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return -1 }
    var on: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, &on, socklen_t(MemoryLayout<Int32>.size))
    return descriptor
  }

  /// Whether a loaded program works on the relay table that is pinned there.
  private static func uses(program id: UInt32, mapsOf pins: String) -> Bool {
    let map = bpf_obj_get(pins + "/relays")
    guard map >= 0 else { return false }
    defer { close(map) }
    var mapInfo = bpf_map_info()
    var length = UInt32(MemoryLayout<bpf_map_info>.size)
    guard bpf_obj_get_info_by_fd(map, &mapInfo, &length) == 0 else { return false }

    let program = ProgramPins.open(id)
    guard program >= 0 else { return false }
    defer { close(program) }
    return LoadedProgram(program)?.maps.contains(mapInfo.id) ?? false
  }
}
