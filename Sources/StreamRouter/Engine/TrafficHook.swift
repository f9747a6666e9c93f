import CStreamRouter
import Foundation

/// One place for a BPF classifier on a device of this network namespace: in the device's tcx chain, or, where the
/// kernel has none (before 6.6), as a filter of traffic control's clsact qdisc (tc-bpf(8)), which costs a packet more.
///
/// In a chain a program is known by its name, a filter by its handle and priority. Others on the device are left
/// alone, and so is the clsact qdisc that carries them all.
struct TrafficHook {
  enum Side { case ingress, egress }

  var interface: Int32
  var side: Side
  /// As the kernel knows it: the first 15 bytes of the function's name.
  var program: String
  var handle: UInt32
  var priority: UInt32
  /// Off: the filter, as on a kernel without chains.
  var usesChain = true

  /// Puts a program here; one that stands here already is replaced in one step, so that no packet passes in between.
  /// Returns the kernel's id of the program.
  func attach(program: Int32) throws(TrafficHookError) -> UInt32 {
    guard let chain else { return try attachFilter(program) }
    let id = LoadedProgram(program)?.info.id ?? 0
    if chain != id {
      let former = chain.map { ProgramPins.open($0) } ?? -1
      defer { if former >= 0 { close(former) } }
      let result = sr_tcx_attach(UInt32(interface), tcxSide, program, former)
      guard result == 0 else {
        throw TrafficHookError(operation: "attaching the BPF program to", errno: -result)
      }
    }
    // What an earlier version put there would only see what our program passes on.
    if filterID != nil { try detachFilter() }
    return id
  }

  /// Takes the program off; nothing happens where there is none.
  func detach() throws(TrafficHookError) {
    try detachFilter()
    guard let id = chain ?? nil else { return }
    let program = ProgramPins.open(id)
    defer { if program >= 0 { close(program) } }
    let result = program < 0 ? -errno : sr_tcx_detach(UInt32(interface), tcxSide, program)
    guard [0, -ENOENT].contains(result) else { throw Self.detachError(result) }
  }

  /// The id of the program that stands here.
  var programID: UInt32? { (chain ?? nil) ?? filterID }

  // MARK: tcx

  /// The id of our program in the device's chain, if it is there; nil from a kernel without chains.
  private var chain: UInt32?? {
    guard usesChain else { return nil }
    var ids = [UInt32](repeating: 0, count: Int(SR_TCX_PROGRAMS))
    let count = sr_tcx_query(UInt32(interface), tcxSide, &ids)
    guard count >= 0 else { return nil }
    return .some(
      ids.prefix(Int(count)).first { id in
        let program = ProgramPins.open(id)
        guard program >= 0 else { return false }
        defer { close(program) }
        return LoadedProgram(program)?.name == self.program
      })
  }

  private var tcxSide: sr_tcx_side { side == .ingress ? SR_TCX_INGRESS : SR_TCX_EGRESS }

  // MARK: clsact

  private func attachFilter(_ program: Int32) throws(TrafficHookError) -> UInt32 {
    var hook = self.hook
    // EEXIST: the device has its clsact qdisc already.
    let made = bpf_tc_hook_create(&hook)
    guard made == 0 || made == -EEXIST else {
      throw TrafficHookError(operation: "adding qdisc clsact to", errno: -made)
    }
    var options = self.options
    options.prog_fd = program
    options.flags = UInt32(BPF_TC_F_REPLACE.rawValue)
    let result = bpf_tc_attach(&hook, &options)
    guard result == 0 else { throw TrafficHookError(operation: "attaching the BPF program to", errno: -result) }
    return options.prog_id
  }

  private func detachFilter() throws(TrafficHookError) {
    var hook = self.hook
    var options = self.options
    let result = bpf_tc_detach(&hook, &options)
    // ENOENT, EINVAL: no such filter, or no clsact at all.
    guard [0, -ENOENT, -EINVAL].contains(result) else { throw Self.detachError(result) }
  }

  private var filterID: UInt32? {
    var hook = self.hook
    var options = self.options
    // libbpf notes that there is no qdisc, which here is no error to report later.
    defer { _ = SandboxDatapath.takeLog() }
    return bpf_tc_query(&hook, &options) == 0 ? options.prog_id : nil
  }

  private static func detachError(_ result: Int32) -> TrafficHookError {
    TrafficHookError(operation: "taking the BPF program off", errno: -result)
  }

  private var hook: bpf_tc_hook {
    var hook = bpf_tc_hook()
    // Up to the last field: padding behind it need not be zero, and libbpf insists that it is.
    hook.sz = MemoryLayout<bpf_tc_hook>.offset(of: \.parent)! + MemoryLayout<UInt32>.size
    hook.ifindex = interface
    hook.attach_point = side == .ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS
    return hook
  }

  private var options: bpf_tc_opts {
    var options = bpf_tc_opts()
    options.sz = MemoryLayout<bpf_tc_opts>.offset(of: \.priority)! + MemoryLayout<UInt32>.size
    options.handle = handle
    options.priority = priority
    return options
  }
}

/// What the kernel refused.
struct TrafficHookError: Error, Hashable, Sendable {
  var operation: String
  var errno: Int32
}
