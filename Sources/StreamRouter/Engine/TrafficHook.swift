import CStreamRouter
import Foundation

/// One place for a BPF classifier on a device of this network namespace: traffic control's clsact hook (tc-bpf(8)).
///
/// A filter is known by its handle and priority; others on the device are left alone, and so is the clsact qdisc
/// that carries them all.
struct TrafficHook {
  enum Side { case ingress, egress }

  var interface: Int32
  var side: Side
  var handle: UInt32
  var priority: UInt32

  /// Puts a program here; one that stands here already is replaced in one step, so that no packet passes in between.
  /// Returns the kernel's id of the program, or a negative errno with what failed.
  func attach(program: Int32) throws(TrafficHookError) -> UInt32 {
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

  /// Takes the program off; nothing happens where there is none.
  func detach() throws(TrafficHookError) {
    var hook = self.hook
    var options = self.options
    let result = bpf_tc_detach(&hook, &options)
    // ENOENT, EINVAL: no such filter, or no clsact at all.
    guard [0, -ENOENT, -EINVAL].contains(result) else {
      throw TrafficHookError(operation: "taking the BPF program off", errno: -result)
    }
  }

  /// The id of the program that stands here.
  var programID: UInt32? {
    var hook = self.hook
    var options = self.options
    return bpf_tc_query(&hook, &options) == 0 ? options.prog_id : nil
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

/// What traffic control refused.
struct TrafficHookError: Error, Hashable, Sendable {
  var operation: String
  var errno: Int32
}
