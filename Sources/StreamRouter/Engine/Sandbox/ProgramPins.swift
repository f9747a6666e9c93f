import CStreamRouter
import Foundation

/// The pins of datapaths that stand on devices, below those of their node: `programs/NUMBER`.
///
/// The kernel gives out a program by its number to CAP_SYS_ADMIN only. A node that runs with fewer rights finds its own
/// programs, and those of other nodes of the same user, by these files.
enum ProgramPins {
  /// A descriptor of the program with this number; negative, with `errno`, where it cannot be had.
  static func open(_ id: UInt32) -> Int32 {
    let program = bpf_prog_get_fd_by_id(id)
    guard program < 0, errno == EPERM else { return program }
    let root = NodePaths.pinRoot
    for topology in LabFiles.list(root) {
      for node in LabFiles.list(root.appending(topology)) {
        let pinned = bpf_obj_get(file(id, below: root.appending(topology).appending(node).string))
        if pinned >= 0 { return pinned }
      }
    }
    errno = EPERM
    return -1
  }

  /// Pins a program before it is attached: from then on the next daemon can find it on a device.
  ///
  /// - Returns: false where it was pinned already.
  static func keep(_ program: Int32, id: UInt32, below pins: String) throws -> Bool {
    let file = file(id, below: pins)
    guard !FileManager.default.fileExists(atPath: file) else { return false }
    try SandboxPermission.makeFolder(pins + "/programs")
    guard bpf_obj_pin(program, file) == 0 else {
      throw SandboxDatapath.failure("pinning the program to", file, errno)
    }
    return true
  }

  /// Lets go of those that stand on no device any more.
  static func drop(allBut id: UInt32, below pins: String) {
    for name in LabFiles.list(.init(pins + "/programs")) where name != "\(id)" {
      unlink(pins + "/programs/" + name)
    }
  }

  private static func file(_ id: UInt32, below pins: String) -> String { "\(pins)/programs/\(id)" }
}
