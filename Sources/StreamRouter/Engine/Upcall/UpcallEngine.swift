import CStreamRouter
import Foundation
import Topology

/// Engine `upcall`, experimental: relays in the kernel module streamrouter, which runs their extensions in ring 3 in the
/// context of whichever process it interrupts.
///
/// Datagrams only. The daemon tells the module what to relay and reads accounts; relays, their extensions and the
/// anchors stay when it goes, and the next daemon finds them by their stream's name.
public actor UpcallEngine: Engine {
  public nonisolated let choice = EngineChoice.upcall

  private let relays: ModuleRelays
  private let extensions: ModuleExtensions
  /// Finds the built extension that a relay uses.
  private let library: ExtensionSource
  private let notice: @Sendable (String) -> Void
  /// Upper half of the indices of this node's relays: other nodes may share the network namespace.
  private let owner: UInt32
  private var running: [String: Running] = [:]
  /// What a former daemon left and no relay has claimed yet, by stream.
  private var unclaimed: [String: Running] = [:]
  private var peers = PeerLedger()
  /// Numbers of extensions whose end was told.
  private var told: Set<UInt32> = []

  private struct Running {
    /// nil: left by a former daemon.
    var relay: Relay?
    var index: UInt32
    var keys: [sr_relay_key]
    var uses: [ModuleExtensions.Use]
  }

  /// Opens the module's device and takes over what a former daemon left in this network namespace.
  ///
  /// - Parameters:
  ///   - owner: What tells this node from others, the same for the next daemon.
  ///   - extensions: Finds the built extension that a relay uses.
  ///   - notice: Called with what does not stop a relay but should be known.
  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` where there is no such module.
  public init(
    owner: String,
    extensions library: @escaping ExtensionSource = noExtensions,
    notice: @escaping @Sendable (String) -> Void = { _ in }
  ) throws {
    let device = try ModuleDevice()
    try device.demandUpcall()
    relays = ModuleRelays(device)
    extensions = ModuleExtensions(device)
    self.library = library
    self.notice = notice
    self.owner = Self.mark(of: owner)
    let contents = Dictionary(uniqueKeysWithValues: try extensions.entries().map { ($0.number, $0.content) })
    for entry in try relays.entries() where entry.relay.index & Self.ownerMask == self.owner {
      let uses = entry.relay.uses.map {
        ModuleExtensions.Use(number: $0.slot, content: contents[$0.slot] ?? "", parameters: nil)
      }
      unclaimed[
        entry.relay.streamName, default: Running(index: entry.relay.index, keys: [], uses: uses)
      ].keys.append(entry.key)
    }
    if !unclaimed.isEmpty { startAnchors() }
  }

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
    return names
  }

  public func snapshots() throws -> [RelaySnapshot] {
    var rates: [UInt32: UInt32] = [:]
    let loaded = Dictionary(uniqueKeysWithValues: try extensions.entries().map { ($0.number, $0) })
    var snapshots = try running.values.compactMap { entry -> RelaySnapshot? in
      guard let relay = entry.relay else { return nil }
      let (counters, flow) = try relays.account(of: entry.index)
      try takeReports(of: relay, at: entry.index, counters)
      if relay.transport == .rtp { flow.noteClockRates(&rates) }
      let accounts = zip(relay.extensions, entry.uses).compactMap { use, place -> ExtensionSnapshot? in
        guard let object = try? library(use), let account = extensions.account(of: place.number) else {
          return nil
        }
        return ExtensionSnapshot(object, account)
      }
      var snapshot = RelaySnapshot(
        relay: relay, engine: choice, counters: counters, flow: flow, extensions: accounts)
      snapshot.engineReason = entry.uses.lazy.compactMap { loaded[$0.number]?.abortion }.first.map {
        "\($0) and runs no more: its relay's packets are dropped until the node starts it anew"
      }
      return snapshot
    }
    peers.resolve()
    for place in snapshots.indices where snapshots[place].transport == .rtp {
      snapshots[place].peers = peers.account(of: snapshots[place].stream) { rates[$0] }
    }
    return snapshots
  }

  public func datapath() throws -> [String: UInt64] {
    let values = try relays.datapath()
    return Dictionary(uniqueKeysWithValues: Counter.node.map { ($0.name, values[$0.index]) })
  }

  /// Reads what would be displaced, tells which extensions were aborted, and replaces anchors that went; call it every
  /// few seconds.
  public func refresh() throws {
    if !running.isEmpty { startAnchors() }
    for entry in running.values {
      guard let relay = entry.relay, relay.transport == .rtp else { continue }
      try takeReports(of: relay, at: entry.index, try relays.account(of: entry.index).counters)
    }
    peers.resolve()
    let mine = Set(running.values.flatMap(\.uses).map(\.number))
    for entry in try extensions.entries() where mine.contains(entry.number) {
      guard let abortion = entry.abortion, told.insert(entry.number).inserted else { continue }
      notice(abortion + ": the packets of its relay are dropped")
    }
    told.formIntersection(mine)
  }

  /// Relays, extensions and anchors stay: they outlive the daemon.
  public func stop() {}

  /// Removes every relay of a node from the module, and their extensions. Its anchors end by themselves then. Nothing
  /// where there is no such module.
  public static func removeAll(owner: String) {
    guard let device = try? ModuleDevice(), (try? device.demandUpcall()) != nil else { return }
    let (relays, extensions) = (ModuleRelays(device), ModuleExtensions(device))
    let entries = (try? relays.entries())?.filter { $0.relay.index & ownerMask == mark(of: owner) } ?? []
    for entry in entries { try? relays.remove(entry.key) }
    let uses = Set(entries.flatMap { $0.relay.uses.map(\.slot) })
    extensions.unload(uses.map { ModuleExtensions.Use(number: $0, content: "", parameters: nil) })
  }

  private static let ownerMask: UInt32 = 0xffff_0000

  /// FNV-1a of 32 bits, folded: two nodes of one network namespace have the same with a probability of 1 in 65,536.
  static func mark(of owner: String) -> UInt32 {
    let hash = owner.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
    return (hash ^ hash << 16) & ownerMask
  }

  // MARK: Entries

  private func takeReports(of relay: Relay, at index: UInt32, _ counters: sr_counters) throws {
    guard relay.transport == .rtp, peers.wants(relay.stream, counted: counters[SR_RTCP_PACKETS]) else { return }
    peers.take(try relays.reports(of: index, since: peers.mark(of: relay.stream)), of: relay.stream)
  }

  /// What this engine does not do is refused before anything changes.
  static func check(_ relay: Relay) throws(EngineError) {
    guard relay.transport.isDatagrams else {
      throw .unsupported(
        engine: .upcall,
        reason: "stream \(relay.stream) is of protocol tcp, and this engine relays datagrams only",
        remedy: "let the node run engine auto, sandbox or process")
    }
  }

  private func install(_ relay: Relay, over former: Running?) throws {
    try Self.check(relay)
    for own in [relay.ingress] + relay.sinks.map(\.source) where !Route.isLocal(own.address) {
      throw EngineError.failed(
        engine: choice, operation: "starting", subject: "stream \(relay.stream)", errno: 0,
        detail: "\(own.address) is not an address of this machine; correct the node's addresses")
    }
    let index = try former?.index ?? freeIndex()
    let before = try relays.entries()
    let chain = try prepareChain(of: relay, over: former?.uses ?? [])
    // The module sends to a sink of this node as to any other.
    let entries = RelayEntry.entries(
      for: relay, index: index, extensions: chain.uses.map { sr_extension_use(slot: $0.number, instance: 0) },
      isLocal: { _ in false })
    let displaced = entries.map { entry in (key: entry.key, value: before.first { $0.key == entry.key }?.relay)
    }
    do {
      for (key, value) in displaced {
        // What a former daemon left under another name may be taken over: the stream was renamed meanwhile.
        if let value, value.index != index, unclaimed[value.streamName] == nil {
          throw EngineError.failed(
            engine: choice, operation: "starting", subject: "stream \(relay.stream)", errno: 0,
            detail: "\(key.endpoint) is where stream \(value.streamName) listens")
        }
      }
      startAnchors()
      for entry in entries { try relays.set(entry.value, at: entry.key) }
    } catch {
      for (key, value) in displaced {
        if let value { try? relays.set(value, at: key) } else { try? relays.remove(key) }
      }
      chain.takeBack(extensions)
      throw error
    }
    let keys = entries.map(\.key)
    for key in former?.keys ?? [] where !keys.contains(key) { try relays.remove(key) }
    if former == nil { peers.begin(relay.stream) }
    running[relay.stream] = Running(relay: relay, index: index, keys: keys, uses: chain.uses)
    let kept = Set(chain.uses.map(\.number))
    extensions.unload((former?.uses ?? []).filter { !kept.contains($0.number) })
    for name in unclaimed.keys where name != relay.stream {
      unclaimed[name]?.keys.removeAll { keys.contains($0) }
    }
  }

  private func drop(_ former: Running) throws {
    for key in former.keys { try relays.remove(key) }
    extensions.unload(former.uses)
  }

  private func freeIndex() throws(EngineError) -> UInt32 {
    let taken = Set(running.values.map(\.index)).union(unclaimed.values.map(\.index))
    guard let free = (owner..<owner + SR_MODULE_RELAYS.rawValue).first(where: { !taken.contains($0) }) else {
      throw .full(engine: choice, capacity: Int(SR_MODULE_RELAYS.rawValue))
    }
    return free
  }

  // MARK: Extensions

  /// A chain made ready, and what it takes to undo that.
  private struct Chain {
    var uses: [ModuleExtensions.Use] = []
    var loaded: [ModuleExtensions.Use] = []
    /// Those that go on with other parameters, as they were.
    var configured: [ModuleExtensions.Use] = []

    func takeBack(_ extensions: ModuleExtensions) {
      extensions.unload(loaded)
      for use in configured { try? extensions.configure(use.number, parameters: use.parameters ?? []) }
    }
  }

  /// Loads what a relay's chain needs. The same extension goes on, with its state and account, unless it was aborted.
  private func prepareChain(of relay: Relay, over former: [ModuleExtensions.Use]) throws -> Chain {
    var chain = Chain()
    guard !relay.extensions.isEmpty else { return chain }
    let aborted = Set(try extensions.entries().filter { $0.abortion != nil }.map(\.number))
    var left = former.filter { !aborted.contains($0.number) }
    do {
      for use in relay.extensions {
        let object = try library(use)
        try PacketFunctions.demandNative(object.manifest, engine: choice)
        let parameters = object.manifest.record(use.settings)
        guard let place = left.firstIndex(where: { $0.content == object.content }) else {
          let loaded = try extensions.load(object, parameters: parameters)
          chain.loaded.append(loaded)
          chain.uses.append(loaded)
          continue
        }
        var same = left.remove(at: place)
        if same.parameters != parameters {
          try extensions.configure(same.number, parameters: parameters)
          chain.configured.append(same)
          same.parameters = parameters
        }
        chain.uses.append(same)
      }
    } catch {
      chain.takeBack(extensions)
      throw error
    }
    return chain
  }

  // MARK: Anchors

  /// Below the kernel's own threads of priority 50, above what is not real-time.
  private static let anchorPriority: Int32 = 40

  /// One for each processor, where none runs. Without them packets wait for a process to come by.
  private nonisolated func startAnchors() {
    for processor in 0..<Int32(sysconf(Int32(_SC_NPROCESSORS_ONLN))) {
      let result = sr_module_start_anchor(processor, Self.anchorPriority)
      if result != 0 {
        notice("the anchor of processor \(processor) does not start (errno \(-result)); packets may wait on it")
      }
    }
  }
}
