import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// Where one node of one topology keeps what must be found again: by the daemon after a restart, by the lab, by
/// the monitor.
public struct NodePaths: Hashable, Sendable {
  public let topology: String
  public let node: String

  public init(topology: String, node: String) {
    self.topology = topology
    self.node = node
  }

  /// `/run/streamrouter` for root, else a folder of the user's own. `STREAMROUTER_RUNTIME_DIR` overrides it.
  public static var runtimeRoot: FilePath {
    if let chosen = getenv("STREAMROUTER_RUNTIME_DIR") { return FilePath(String(cString: chosen)) }
    if geteuid() == 0 { return "/run/streamrouter" }
    if let user = getenv("XDG_RUNTIME_DIR") { return FilePath(String(cString: user)).appending("streamrouter") }
    return FilePath("/tmp/streamrouter-\(geteuid())")
  }

  /// All nodes of a topology that run on this machine keep their sockets and logs here.
  public static func runtimeDirectory(topology: String) -> FilePath {
    runtimeRoot.appending(topology)
  }

  /// The pinned maps of engine sandbox for one topology.
  public static func pinDirectory(topology: String) -> FilePath {
    FilePath("/sys/fs/bpf/streamrouter").appending(topology)
  }

  /// The unix socket that answers with the node's snapshot.
  public var controlSocket: FilePath { Self.runtimeDirectory(topology: topology).appending(node + ".sock") }
  public var log: FilePath { Self.runtimeDirectory(topology: topology).appending(node + ".log") }
  /// Copies of the extensions that run in engine sandbox.
  public var extensions: FilePath { Self.runtimeDirectory(topology: topology).appending(node + ".extensions") }
  public var pins: FilePath { Self.pinDirectory(topology: topology).appending(node) }
}
