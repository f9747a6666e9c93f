import CStreamRouter
import Foundation
import Topology

/// A built extension in the kernel: its program in one of the datapath's places, its tables beside it.
///
/// Program and tables stay while they are pinned, whatever becomes of the daemon.
final class KernelExtension {
  let object: ExtensionObject
  /// Which of the datapath's places the program takes.
  let slot: UInt32
  /// Relays that can use it at once.
  let instances: Int
  private let bpf: OpaquePointer
  private let link: OpaquePointer
  private let states: Int32
  private let parameters: Int32
  private let accounts: Int32

  static let defaultInstances = 256

  /// Loads an extension and puts it into a place of a loaded datapath.
  ///
  /// - Parameters:
  ///   - datapath: The program of the datapath (`sr_relay_ingress`).
  ///   - pins: A folder of this extension on a bpffs, whose tables are taken over where there are any; nil pins nothing.
  /// - Throws: ``ExtensionError/refused(name:reason:log:)`` where the verifier says no.
  init(
    _ object: ExtensionObject, slot: UInt32, datapath: Int32, instances: Int = defaultInstances,
    pins: String? = nil
  ) throws(ExtensionError) {
    _ = SandboxDatapath.keepLog
    let name = object.manifest.name
    guard let bpf = object.image.withUnsafeBytes({ bpf_object__open_mem($0.baseAddress, $0.count, nil) }) else {
      throw .unreadable(
        file: name, reason: "its BPF program cannot be opened: \(SandboxDatapath.takeLog())",
        remedy: "build it anew")
    }
    var finished = false
    defer { if !finished { bpf_object__close(bpf) } }
    guard let program = bpf_object__find_program_by_name(bpf, "sr_extension") else {
      throw .unreadable(file: name, reason: "has no program sr_extension", remedy: "build it anew")
    }
    for map in ["states", "parameters", "accounts"] {
      guard let map = bpf_object__find_map_by_name(bpf, map),
        bpf_map__set_max_entries(map, UInt32(instances)) == 0
      else { throw .unreadable(file: name, reason: "lacks the table \(map)", remedy: "build it anew") }
      if let pins, bpf_map__set_pin_path(map, pins + "/" + String(cString: bpf_map__name(map))) != 0 {
        throw .internalFailure(step: "naming the pins of extension \(name)", detail: SandboxDatapath.takeLog())
      }
    }
    let place = "sr_extension_\(slot)"
    guard bpf_program__set_attach_target(program, datapath, place) == 0 else {
      throw .internalFailure(step: "aiming extension \(name) at \(place)", detail: SandboxDatapath.takeLog())
    }
    if let pins { try? FileManager.default.createDirectory(atPath: pins, withIntermediateDirectories: true) }
    let loaded = bpf_object__load(bpf)
    guard loaded == 0 else {
      let log = SandboxDatapath.takeLog()
      throw .refused(name: name, reason: VerifierReport(log: log, errno: -loaded).reason, log: log)
    }
    guard let link = bpf_program__attach_freplace(program, 0, nil) else {
      throw .refused(
        name: name, reason: "it cannot take place \(slot) (errno \(errno))", log: SandboxDatapath.takeLog())
    }
    self.object = object
    self.slot = slot
    self.instances = instances
    self.bpf = bpf
    self.link = link
    states = bpf_object__find_map_fd_by_name(bpf, "states")
    parameters = bpf_object__find_map_fd_by_name(bpf, "parameters")
    accounts = bpf_object__find_map_fd_by_name(bpf, "accounts")
    finished = true
  }

  deinit {
    // Detaches it, unless the link is pinned.
    bpf_link__destroy(link)
    bpf_object__close(bpf)
  }

  /// Keeps the program in its place when the daemon goes; takes the name from a former program's link.
  func pin(at path: String) throws(ExtensionError) {
    unlink(path)
    let result = bpf_link__pin(link, path)
    guard result == 0 else {
      throw .internalFailure(step: "pinning extension \(object.manifest.name)", detail: "errno \(-result)")
    }
  }

  // MARK: Program

  /// One instruction of BPF (Linux, include/uapi/linux/bpf.h).
  struct Instruction {
    var code: Int
    var destination: Int
    var source: Int
    var offset: Int16
    var immediate: Int32
  }

  /// As libbpf handed them to the verifier.
  var instructions: [Instruction] {
    guard let program = bpf_object__find_program_by_name(bpf, "sr_extension"),
      let code = bpf_program__insns(program)
    else { return [] }
    return (0..<Int(bpf_program__insn_cnt(program))).map { place in
      let raw = UnsafeRawPointer(code) + 8 * place
      let registers = raw.load(fromByteOffset: 1, as: UInt8.self)
      return Instruction(
        code: Int(raw.load(as: UInt8.self)), destination: Int(registers & 15), source: Int(registers >> 4),
        offset: raw.loadUnaligned(fromByteOffset: 2, as: Int16.self),
        immediate: raw.loadUnaligned(fromByteOffset: 4, as: Int32.self))
    }
  }

  func programInfo() -> bpf_prog_info? {
    guard let program = bpf_object__find_program_by_name(bpf, "sr_extension") else { return nil }
    var info = bpf_prog_info()
    var length = UInt32(MemoryLayout<bpf_prog_info>.size)
    return bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length) == 0 ? info : nil
  }

  // MARK: Instances

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

/// What the kernel's verifier says of a program, in words for an author.
struct VerifierReport {
  /// One sentence.
  let reason: String
  /// `function:line` of the frame or the extension, where the log names one.
  let place: String?
  let instructions: Int?

  init(log: String, errno: Int32) {
    let lines = log.split(separator: "\n").map(String.init)
    instructions = lines.last { $0.hasPrefix("processed ") }?.split(separator: " ").dropFirst().first.flatMap {
      Int($0)
    }
    // The last source line before the end of the log is where the verifier stopped.
    let source = lines.last { $0.hasPrefix("; ") }?.dropFirst(2)
    place = source.map(String.init)
    let known: [(String, String)] = [
      ("infinite loop detected", "a loop has no bound that the verifier can see; count up to a constant"),
      ("BPF program is too large", "it is too long, or a loop runs too often; shorten it"),
      ("too complex", "a loop branches too often; use a smaller bound"),
      (
        "combined stack size",
        "it needs more than the 512 bytes of stack that the kernel gives; keep less in local variables"
      ),
      (
        "stack depth",
        "it needs more than the 512 bytes of stack that the kernel gives; keep less in local variables"
      ),
      ("invalid access to map value", "it reads or writes outside its state; check the index first"),
      ("invalid access to packet", "it reads outside the packet"),
      ("unknown func", "it calls what the kernel does not offer to extensions"),
      ("unreachable insn", "a part of it can never be reached"),
      ("back-edge", "it loops in a way that the verifier does not follow"),
    ]
    let tail = lines.suffix(40).joined(separator: "\n")
    if let found = known.first(where: { tail.contains($0.0) }) {
      reason = found.1
    } else if errno == EPERM {
      reason = "the kernel does not let this user load programs; run as root"
    } else {
      let told = lines.last { !$0.hasPrefix("processed ") && !$0.hasPrefix("libbpf:") && !$0.hasPrefix("--") }
      reason = told ?? "errno \(errno)"
    }
  }
}
