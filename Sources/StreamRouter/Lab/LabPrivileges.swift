import SystemPackage

/// What making a lab's namespaces asks of the process, and where the kernel's handles of them are.
enum LabPrivileges {
  /// Bits of the capability sets (linux/capability.h).
  private static let needed: [(bit: Int, name: String)] = [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")]

  /// - Throws: ``LabError/needsPrivileges(operation:missing:)`` naming the capabilities that are not there.
  static func demand(operation: String) throws(LabError) {
    let missing = missing(in: LabFiles.read("/proc/self/status") ?? "")
    guard missing.isEmpty else { throw .needsPrivileges(operation: operation, missing: missing) }
  }

  /// Which of the needed capabilities the text of /proc/PID/status does not list as effective.
  static func missing(in status: String) -> [String] {
    let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
    let set = line.flatMap { UInt64($0.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16) } ?? 0
    return needed.filter { set & (1 << UInt64($0.bit)) == 0 }.map(\.name)
  }

  /// `ip netns` keeps a namespace alive by this file.
  static func namespaceFile(_ name: String) -> FilePath { FilePath("/run/netns").appending(name) }

  /// All namespaces that `ip netns` knows.
  static func namespaces() -> [String] { LabFiles.list("/run/netns") }
}
