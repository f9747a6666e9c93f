import CStreamRouter
import Foundation
import Topology

/// An extension's place in a datapath.
struct ExtensionPlacement: Sendable {
  var object: ExtensionObject
  /// Which of the datapath's places it takes.
  var slot: UInt32
  /// Relays that can use it at once.
  var instances = Self.defaultInstances
  /// The verifier has taken it before: where it refuses the whole, it is at another one.
  var isProven = false

  static let defaultInstances = 256

  /// The folder of its tables below a node's pins: the place and the content, so that a later daemon finds both.
  var pinName: String { Self.pinName(slot: slot, content: object.content) }

  static func pinName(slot: UInt32, content: String) -> String { "\(slot)-\(content)" }

  /// What ``pinName`` says.
  static func parse(pinName: String) -> (slot: UInt32, content: String)? {
    let parts = pinName.split(separator: "-")
    guard parts.count == 2, let slot = UInt32(parts[0]), slot < SR_EXTENSION_SLOTS.rawValue,
      parts[1].count == 64
    else { return nil }
    return (slot, String(parts[1]))
  }
}

/// The tables of an extension in a loaded datapath: parameters, state and account of each relay that uses it.
struct ExtensionTables {
  let placement: ExtensionPlacement
  private var object: ExtensionObject { placement.object }
  private let states: Int32
  private let parameters: Int32
  private let accounts: Int32

  static let names = ["states", "parameters", "accounts"]

  /// The name of a table in the datapath's object.
  static func mapName(_ table: String, slot: UInt32) -> String { table + (slot < 10 ? "_0" : "_") + "\(slot)" }

  /// - Parameter bpf: The loaded object of the datapath that the extension was linked into.
  init(_ placement: ExtensionPlacement, in bpf: OpaquePointer) {
    self.placement = placement
    func descriptor(_ table: String) -> Int32 {
      bpf_object__find_map_fd_by_name(bpf, Self.mapName(table, slot: placement.slot))
    }
    states = descriptor("states")
    parameters = descriptor("parameters")
    accounts = descriptor("accounts")
  }

  /// Makes a record ready for a relay: parameters, a first state, an empty account.
  func begin(_ instance: UInt32, parameters record: [UInt8]) throws(ExtensionError) {
    let zeros = [UInt8](
      repeating: 0, count: MemoryLayout<sr_extension_account>.stride * Int(libbpf_num_possible_cpus()))
    try write(accounts, instance, zeros, "account")
    try write(states, instance, object.initialState, "state")
    try configure(instance, parameters: record)
  }

  /// Changes the parameters of a relay that goes on.
  func configure(_ instance: UInt32, parameters record: [UInt8]) throws(ExtensionError) {
    try write(parameters, instance, record, "parameters")
  }

  func account(_ instance: UInt32) throws(ExtensionError) -> sr_extension_account {
    let stride = MemoryLayout<sr_extension_account>.stride
    let processors = Int(libbpf_num_possible_cpus())
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: stride * processors, alignment: 8)
    defer { buffer.deallocate() }
    var key = instance
    guard bpf_map_lookup_elem(accounts, &key, buffer) == 0 else {
      throw .internalFailure(step: "reading the account of \(object.manifest.name)", detail: "errno \(errno)")
    }
    var total = sr_extension_account()
    for processor in 0..<processors {
      total.add((buffer + processor * stride).load(as: sr_extension_account.self))
    }
    return total
  }

  private func write(_ map: Int32, _ instance: UInt32, _ bytes: [UInt8], _ what: String) throws(ExtensionError)
  {
    var key = instance
    // The kernel's record is a multiple of 8 bytes; the author's may be shorter.
    var record = bytes
    let size = valueBytes(map)
    if record.count < size { record += [UInt8](repeating: 0, count: size - record.count) }
    guard bpf_map_update_elem(map, &key, record, UInt64(BPF_ANY)) == 0 else {
      throw .internalFailure(step: "writing \(what) of \(object.manifest.name)", detail: "errno \(errno)")
    }
  }

  private func valueBytes(_ map: Int32) -> Int {
    var info = bpf_map_info()
    var length = UInt32(MemoryLayout<bpf_map_info>.size)
    guard bpf_obj_get_info_by_fd(map, &info, &length) == 0 else { return 0 }
    // Per-processor tables are read and written as one record of each processor.
    return info.type == BPF_MAP_TYPE_PERCPU_ARRAY.rawValue ? 0 : Int(info.value_size)
  }
}

extension ExtensionSnapshot {
  /// The account of one relay's use of an extension.
  init(_ object: ExtensionObject, _ account: sr_extension_account) {
    let manifest = object.manifest
    self.init(name: manifest.name, version: manifest.version, content: object.content)
    runs = account.runs
    forwarded = account.verdicts.1
    dropped = account.verdicts.2
    faults = account.verdicts.3
    timedRuns = account.timed
    timedSumNs = account.timed_sum_ns
    maxNs = account.timed_max_ns
    withUnsafeBytes(of: account.counters) { bytes in
      for (counter, value) in zip(manifest.counters, bytes.bindMemory(to: UInt64.self)) {
        counters[counter] = value
      }
    }
    histogram = manifest.histogram.map { name in
      withUnsafeBytes(of: account.histogram) {
        ExtensionHistogram(
          name: name, counts: Array($0.bindMemory(to: UInt64.self)), sum: account.histogram_sum)
      }
    }
  }
}

extension sr_extension_account {
  mutating func add(_ other: sr_extension_account) {
    let largest = max(timed_max_ns, other.timed_max_ns)
    withUnsafeMutableBytes(of: &self) { mine in
      withUnsafeBytes(of: other) { theirs in
        let (mine, theirs) = (mine.bindMemory(to: UInt64.self), theirs.bindMemory(to: UInt64.self))
        for word in mine.indices { mine[word] &+= theirs[word] }
      }
    }
    timed_max_ns = largest
  }
}
