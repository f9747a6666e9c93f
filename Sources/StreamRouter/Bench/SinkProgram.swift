import CStreamRouter
import Foundation

/// The BPF program of bpf/sink.bpf.c on the device where a benchmark's packets end.
final class SinkProgram: @unchecked Sendable {
  // Sendable: the object is loaded once; afterwards only the kernel's map is read.
  private let object: OpaquePointer
  private let counts: Int32

  /// Attaches to a device of the calling thread's network namespace; the filter goes with the device.
  init(device: String) throws {
    _ = SandboxDatapath.keepLog
    let image = Data(base64Encoded: sinkObjectBase64.withUTF8Buffer { Data($0) }) ?? Data()
    guard let object = image.withUnsafeBytes({ bpf_object__open_mem($0.baseAddress, $0.count, nil) }) else {
      throw SandboxDatapath.failure("opening", "the sink program", errno)
    }
    self.object = object
    let loaded = bpf_object__load(object)
    guard loaded == 0, let program = bpf_object__find_program_by_name(object, "sr_sink") else {
      bpf_object__close(object)
      throw SandboxDatapath.failure("loading", "the sink program", -loaded)
    }
    counts = bpf_object__find_map_fd_by_name(object, ".bss")
    do {
      _ = try Self.hook(device).attach(program: bpf_program__fd(program))
    } catch {
      bpf_object__close(object)
      throw SandboxDatapath.failure(error.operation, "device \(device)", error.errno)
    }
  }

  deinit { bpf_object__close(object) }

  /// Lets packets through again.
  static func detach(device: String) { try? hook(device).detach() }

  private static func hook(_ device: String) -> TrafficHook {
    TrafficHook(
      interface: Int32(if_nametoindex(device)), side: .ingress, program: "sr_sink", handle: 1, priority: 1)
  }

  /// Datagrams that arrived, those of GSO packets counted one by one.
  var datagrams: UInt64 {
    var key: UInt32 = 0
    var count: UInt64 = 0
    return bpf_map_lookup_elem(counts, &key, &count) == 0 ? count : 0
  }
}
