import SystemPackage

/// What making a lab's namespaces asks of the process, and where the kernel's handles of them are.
enum LabPrivileges {
  /// - Throws: ``LabError/needsPrivileges(operation:missing:)`` naming the capabilities that are not there.
  static func demand(operation: String) throws(LabError) {
    let missing = Capability.missing(Capability.lab)
    guard missing.isEmpty else {
      throw .needsPrivileges(operation: operation, missing: missing.map(\.rawValue))
    }
  }

  /// `ip netns` keeps a namespace alive by this file.
  static func namespaceFile(_ name: String) -> FilePath { FilePath("/run/netns").appending(name) }

  /// All namespaces that `ip netns` knows.
  static func namespaces() -> [String] { LabFiles.list("/run/netns") }
}
