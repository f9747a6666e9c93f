import Foundation
import SystemPackage

/// Where a machine keeps what its node, and the controller if it has one, must find again.
///
/// - `identity/`: key, certificate, whom it trusts.
/// - `controller.json`: where the controllers are, and which node it is.
/// - `member/`: the node's part.
/// - `authority/`, `controller/`: on the controller's machine only.
public struct StatePaths: Hashable, Sendable {
  public let root: FilePath

  public init(_ root: FilePath) { self.root = root }

  /// `$STREAMROUTER_STATE_DIRECTORY`, or what systemd gives the service, or `/var/lib/streamrouter`; without root a folder
  /// of the user's own.
  public static var standard: StatePaths {
    for name in ["STREAMROUTER_STATE_DIRECTORY", "STATE_DIRECTORY"] {
      if let chosen = getenv(name) { return StatePaths(FilePath(String(cString: chosen))) }
    }
    if geteuid() == 0 { return StatePaths("/var/lib/streamrouter") }
    let home = FilePath(String(cString: getenv("HOME") ?? strdup("/tmp")))
    if let data = getenv("XDG_STATE_HOME") {
      return StatePaths(FilePath(String(cString: data)).appending("streamrouter"))
    }
    return StatePaths(home.appending(".local/state/streamrouter"))
  }

  var identity: FilePath { root.appending("identity") }
  var controllerNote: FilePath { root.appending("controller.json") }
  var member: FilePath { root.appending("member") }
  var authority: FilePath { root.appending("authority") }
  var recordsNote: FilePath { authority.appending("records.json") }
  var controller: FilePath { root.appending("controller") }
}
