import CStreamRouter

/// What the kernel says of a loaded BPF program.
struct LoadedProgram {
  /// Its addresses mean nothing.
  let info: bpf_prog_info
  let name: String
  /// The numbers of the maps that it uses, 64 at most.
  let maps: [UInt32]

  /// nil, with `errno`, where the descriptor is no program's.
  init?(_ descriptor: Int32) {
    var maps = [UInt32](repeating: 0, count: 64)
    var info = bpf_prog_info()
    var length = UInt32(MemoryLayout<bpf_prog_info>.size)
    let result = maps.withUnsafeMutableBufferPointer { maps in
      info.nr_map_ids = UInt32(maps.count)
      info.map_ids = UInt64(UInt(bitPattern: maps.baseAddress))
      return bpf_obj_get_info_by_fd(descriptor, &info, &length)
    }
    guard result == 0 else { return nil }
    self.info = info
    name = withUnsafeBytes(of: info.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    self.maps = Array(maps.prefix(Int(info.nr_map_ids)))
  }
}
