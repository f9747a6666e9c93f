import CStreamRouter
import Foundation
import Topology

/// What engine sandbox asks of the process that runs it: three capabilities, and a folder for its pins.
enum SandboxPermission {
  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` naming what this process lacks to load programs.
  static func demand() throws(EngineError) {
    let missing = Capability.missing(Capability.sandbox)
    guard missing.isEmpty, libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SCHED_CLS, nil) == 1 else {
      throw denied(missing)
    }
  }

  static func denied(_ missing: [Capability]) -> EngineError {
    .unsupported(
      engine: .sandbox,
      reason: missing.isEmpty
        ? "the kernel does not let this process load BPF programs, though it has \(Capability.sandbox.sentence)"
        : "this process lacks \(missing.sentence)",
      remedy: missing.isEmpty
        ? "run it outside of a container, or in one that may use BPF"
        : "run as root, or with \(Capability.sandbox.sentence) as the service does")
  }

  /// Makes a folder on the BPF file system.
  static func makeFolder(_ path: String) throws(EngineError) {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch CocoaError.fileWriteNoPermission {
      throw otherUser(path)
    } catch {
      throw .failed(
        engine: .sandbox, operation: "making", subject: path, errno: 0, detail: error.localizedDescription)
    }
  }

  static func otherUser(_ path: String) -> EngineError {
    .unsupported(
      engine: .sandbox, reason: "\(path) does not belong to this user",
      remedy:
        "have root give \(NodePaths.pinRoot) to it, as tmpfiles.d/streamrouter.conf does, and end what runs "
        + "there for another user with 'streamrouter node remove'")
  }
}
