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

  /// All that engine sandbox pins on this machine. Root's, or of the user that the node's service runs as.
  static let pinRoot = FilePath("/sys/fs/bpf/streamrouter")

  /// The pinned maps of engine sandbox for one topology.
  public static func pinDirectory(topology: String) -> FilePath { pinRoot.appending(topology) }

  /// Who may look for sockets: everybody where root runs the node, the service's group where its folder was given by
  /// STREAMROUTER_RUNTIME_DIR, nobody else in a user's own.
  static var runtimeMode: Int {
    geteuid() == 0 ? 0o755 : getenv("STREAMROUTER_RUNTIME_DIR") != nil ? 0o750 : 0o700
  }

  /// The unix socket that answers with the node's snapshot.
  public var controlSocket: FilePath { Self.runtimeDirectory(topology: topology).appending(node + ".sock") }
  public var log: FilePath { Self.runtimeDirectory(topology: topology).appending(node + ".log") }
  /// Copies of the extensions that run in engine sandbox.
  public var extensions: FilePath { Self.runtimeDirectory(topology: topology).appending(node + ".extensions") }
  public var pins: FilePath { Self.pinDirectory(topology: topology).appending(node) }
}
