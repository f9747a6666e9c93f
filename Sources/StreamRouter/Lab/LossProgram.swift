import CStreamRouter
import Foundation
import SystemPackage

/// The BPF program of bpf/loss.bpf.c on one device: attached, taken off, and asked for its counts. Works on the
/// network namespace of the process: `lab impair` runs this program again inside the namespace.
public enum LossProgram {
  /// Our place among a device's egress filters; the relays' filters are on ingress.
  private static let handle: UInt32 = 1
  private static let priority: UInt32 = 0x10ff

  /// Makes a device drop a share of what it sends, in place of a share set before.
  ///
  /// - Parameter lossPerMillion: 0 to 1,000,000.
  /// - Returns: The kernel's id of the program, the same in all namespaces.
  public static func attach(device: String, lossPerMillion: UInt32) throws -> UInt32 {
    precondition(lossPerMillion <= 1_000_000, "a share above one")
    let hook = try hook(on: device)
    let bytes = Data(base64Encoded: lossObjectBase64.description) ?? Data()
    guard let object = bytes.withUnsafeBytes({ bpf_object__open_mem($0.baseAddress, $0.count, nil) }) else {
      throw failure("opening the BPF object for", device, -errno)
    }
    defer { bpf_object__close(object) }
    var share = lossPerMillion
    guard let constants = bpf_object__find_map_by_name(object, ".rodata"),
      bpf_map__set_initial_value(constants, &share, MemoryLayout<UInt32>.size) == 0
    else { throw failure("setting the share for", device, -errno) }
    let loaded = bpf_object__load(object)
    guard loaded == 0 else { throw failure("loading the BPF program for", device, loaded) }
    let program = bpf_object__find_program_by_name(object, "sr_loss")
    do {
      return try hook.attach(program: bpf_program__fd(program))
    } catch {
      throw failure(error.operation, device, -error.errno)
    }
  }

  /// Takes the program off a device; nothing happens where it is not on it.
  public static func detach(device: String) throws {
    let hook = try hook(on: device)
    do {
      try hook.detach()
    } catch {
      throw failure(error.operation, device, -error.errno)
    }
  }

  /// How many packets the program met and dropped; nil where it is gone or the process may not ask (CAP_SYS_ADMIN).
  static func counts(program id: UInt32) -> (seen: UInt64, dropped: UInt64)? {
    let program = bpf_prog_get_fd_by_id(id)
    guard program >= 0 else { return nil }
    defer { close(program) }
    guard let loaded = LoadedProgram(program), loaded.name == "sr_loss" else { return nil }
    return loaded.maps.lazy.compactMap { counts(map: $0) }.first
  }

  /// `seen` and `dropped` are the two words of the program's section .bss; its other map holds the constant.
  private static func counts(map id: UInt32) -> (seen: UInt64, dropped: UInt64)? {
    let map = bpf_map_get_fd_by_id(id)
    guard map >= 0 else { return nil }
    defer { close(map) }
    var info = bpf_map_info()
    var length = UInt32(MemoryLayout<bpf_map_info>.size)
    guard bpf_obj_get_info_by_fd(map, &info, &length) == 0, info.value_size == 16 else { return nil }
    var key: UInt32 = 0
    var words: (seen: UInt64, dropped: UInt64) = (0, 0)
    return bpf_map_lookup_elem(map, &key, &words) == 0 ? words : nil
  }

  private static func hook(on device: String) throws -> TrafficHook {
    let index = if_nametoindex(device)
    guard index != 0 else { throw failure("finding the device", device, -ENODEV) }
    return TrafficHook(
      interface: Int32(index), side: .egress, program: "sr_loss", handle: handle, priority: priority)
  }

  private static func failure(_ operation: String, _ device: String, _ status: Int32) -> LabError {
    LabError.failed(operation: operation, subject: device, reason: "\(Errno(rawValue: -status))")
  }
}
