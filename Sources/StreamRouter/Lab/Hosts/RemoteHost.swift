import Topology

/// A machine that ssh reaches, and how: the user's own OpenSSH client with the user's own configuration.
struct RemoteHost: Hashable, Sendable, Codable {
  /// The node of the topology that is there.
  var node: String
  var destination: SSHDestination
  /// In place of the user's own configuration of ssh; nil: that one.
  var configuration: String?
  /// Whether commands need sudo to be root's.
  var elevates = false

  /// The beginning of every command line of ssh. Nobody is asked for anything: a password, or whether an unknown host is
  /// the right one, would be asked of whoever looks at another terminal.
  private var ssh: [String] {
    ["ssh"] + (configuration.map { ["-F", $0] } ?? []) + [
      "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o",
      "ServerAliveCountMax=3",
      "-o", "LogLevel=ERROR",
    ]
  }

  /// The command line that runs a script of POSIX shell there, as root where that is asked for.
  func command(running script: String, _ arguments: [String], asRoot: Bool) -> [String] {
    let prefix = asRoot && elevates ? "exec sudo -n -- " : "exec "
    let words = ["sh", "-c", script, "sh"] + arguments
    return ssh + [
      "-T", "-o", "ClearAllForwardings=yes", "--", destination.description,
      prefix + words.map(Self.quote).joined(separator: " "),
    ]
  }

  /// The command line that runs a user's command there, as the user that ssh logs in as.
  func command(executing command: [String], onTerminal: Bool) -> [String] {
    ssh + [onTerminal ? "-t" : "-T", "-o", "ClearAllForwardings=yes", "--", destination.description]
      + [command.map(Self.quote).joined(separator: " ")]
  }

  /// The command line that has a unix socket here lead to one there, for as long as it runs. A connection of its own, so
  /// that no shared one keeps it or ends it.
  func command(forwarding local: String, to remote: String) -> [String] {
    ssh + [
      "-N", "-T", "-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ExitOnForwardFailure=yes",
      "-o", "StreamLocalBindMask=0177", "-o", "StreamLocalBindUnlink=yes", "-L", "\(local):\(remote)", "--",
      destination.description,
    ]
  }

  /// A word that every Bourne-like shell reads as this very text.
  static func quote(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
  }
}

extension RemoteHost: CustomStringConvertible {
  var description: String { "\(node) (\(destination))" }
}
