import Foundation

/// The pages of program code that only the start of a daemon needed.
///
/// The start runs through code that is never run again, and the kernel maps the code around it too: more than half of what
/// such a daemon has resident. Unmapped, these pages stay in the page cache for as long as there is room, and count as this
/// process's memory only where it comes to use them again.
enum StartupPages {
  /// Unmaps all program code once: what runs is mapped again at its next use. Code is never written to, so nothing is lost
  /// by it.
  static func letGo() {
    guard let maps = LabFiles.read("/proc/self/maps") else { return }
    for mapping in codeMappings(maps) {
      // Where the kernel does not, they stay mapped, which does no harm.
      _ = madvise(UnsafeMutableRawPointer(bitPattern: mapping.lowerBound), mapping.count, MADV_DONTNEED)
    }
  }

  /// Addresses of the code that comes from files, of /proc/PID/maps (proc(5)). Data that was relocated stands in mappings of
  /// other rights.
  static func codeMappings(_ maps: String) -> [Range<UInt>] {
    maps.split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ", omittingEmptySubsequences: true)
      guard fields.count >= 6, fields[1] == "r-xp", fields[5].hasPrefix("/") else { return nil }
      let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
      guard ends.count == 2, 0 < ends[0], ends[0] < ends[1] else { return nil }
      return ends[0]..<ends[1]
    }
  }
}
