import CStreamRouter
import Glibc
import Synchronization
import Testing

@testable import StreamRouter

/// Loaded datapaths, 16 relays each, that one test after the other uses: a verifier takes longer than most tests, in an
/// emulated guest by far. What a test gets is as if it had just been loaded: every map is empty.
enum DatapathPool {
  private static let idle = Mutex<[Lent]>([])

  /// One thread at a time has it.
  private struct Lent: @unchecked Sendable {
    let datapath: SandboxDatapath
  }

  static func lend(_ body: (SandboxDatapath) throws -> Void) throws {
    let lent = try idle.withLock { $0.popLast() } ?? Lent(datapath: SandboxDatapath(pins: nil, capacity: 16))
    defer {
      // One that cannot be emptied is not lent again.
      do {
        try empty(lent.datapath)
        idle.withLock { $0.append(lent) }
      } catch {
        Issue.record(error)
      }
    }
    try body(lent.datapath)
  }

  private static func empty(_ datapath: SandboxDatapath) throws {
    guard let program = LoadedProgram(datapath.programDescriptor), program.maps.count < 64 else {
      throw TestFailure("the program's maps")
    }
    for identifier in program.maps {
      let map = bpf_map_get_fd_by_id(identifier)
      guard map >= 0 else { throw TestFailure("map \(identifier): errno \(errno)") }
      defer { close(map) }
      try empty(map: map)
    }
  }

  private static func empty(map: Int32) throws {
    var info = bpf_map_info()
    var length = UInt32(MemoryLayout<bpf_map_info>.size)
    guard bpf_obj_get_info_by_fd(map, &info, &length) == 0 else { throw TestFailure("a map: errno \(errno)") }
    let name = withUnsafeBytes(of: info.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    // The program's constants.
    if name.contains(".") { return }
    switch bpf_map_type(info.type) {
    case BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH:
      var key = [UInt8](repeating: 0, count: Int(info.key_size))
      while bpf_map_get_next_key(map, nil, &key) == 0 {
        guard bpf_map_delete_elem(map, key) == 0 else { throw TestFailure("emptying \(name): errno \(errno)") }
      }
    case BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY:
      let values = info.type == BPF_MAP_TYPE_ARRAY.rawValue ? 1 : Int(libbpf_num_possible_cpus())
      let zeros = [UInt8](repeating: 0, count: (Int(info.value_size) + 7) / 8 * 8 * values)
      for entry in 0..<info.max_entries {
        var entry = entry
        guard bpf_map_update_elem(map, &entry, zeros, UInt64(BPF_ANY)) == 0 else {
          throw TestFailure("emptying \(name): errno \(errno)")
        }
      }
    default: throw TestFailure("map \(name) is of type \(info.type), which nothing here empties")
    }
  }
}
