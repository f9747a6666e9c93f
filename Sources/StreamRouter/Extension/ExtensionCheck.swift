import CStreamRouter
import Foundation

/// What the kernel makes of an extension: whether its verifier takes it, and what it costs there.
public struct ExtensionCheck: Sendable, Codable {
  /// BPF instructions of the program, the frame included.
  public var instructions: Int
  /// Bytes of machine code that the kernel made of it.
  public var machineBytes: Int
  /// Instructions that the verifier followed over all paths: how complex the extension is; 1,000,000 is the limit.
  public var verified: Int
  /// Bytes of stack, the deepest path; 512 is the limit.
  public var stackBytes: Int
  /// The helpers of the kernel that it calls, by name.
  public var helpers: [String]

  /// Loads the extension into a datapath of its own, which is gone afterwards. Needs the right to load BPF programs.
  ///
  /// - Throws: ``ExtensionError/refused(name:reason:log:)`` with the verifier's log.
  public static func run(_ object: ExtensionObject) throws -> ExtensionCheck {
    guard libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SCHED_CLS, nil) == 1 else {
      throw SandboxDatapath.notPermitted
    }
    let datapath = try SandboxDatapath(pins: nil, capacity: 1)
    let loaded = try KernelExtension(object, slot: 0, datapath: datapath.programDescriptor, instances: 1)
    return try loaded.check()
  }
}

extension KernelExtension {
  func check() throws(ExtensionError) -> ExtensionCheck {
    guard let info = programInfo() else {
      throw .internalFailure(step: "asking the kernel about \(object.manifest.name)", detail: "errno \(errno)")
    }
    let code = instructions
    let calls = code.indices.filter { code[$0].code == 0x85 && code[$0].source == 0 }.map {
      Int(code[$0].immediate)
    }
    // The deepest offset from the frame pointer (register 10) that the program itself uses.
    let stack = code.reduce(0) { deepest, instruction in
      guard [0x61, 0x69, 0x71, 0x79, 0x62, 0x6a, 0x72, 0x7a, 0x63, 0x6b, 0x73, 0x7b].contains(instruction.code)
      else {
        return deepest
      }
      let base =
        [0x61, 0x69, 0x71, 0x79].contains(instruction.code) ? instruction.source : instruction.destination
      return base == 10 ? max(deepest, -Int(instruction.offset)) : deepest
    }
    return ExtensionCheck(
      instructions: code.count, machineBytes: Int(info.jited_prog_len), verified: Int(info.verified_insns),
      stackBytes: stack, helpers: Set(calls).map(Self.helper).sorted())
  }

  private static func helper(_ number: Int) -> String {
    let known = [
      1: "map_lookup_elem", 5: "ktime_get_ns", 7: "get_prandom_u32", 9: "skb_store_bytes",
      11: "l4_csum_replace",
      26: "skb_load_bytes",
    ]
    return known[number] ?? "helper \(number)"
  }
}
