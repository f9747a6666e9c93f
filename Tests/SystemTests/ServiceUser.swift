import Foundation

@testable import StreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// A user that is not root, as the node's service has one, and what it takes to run the program as that user.
enum ServiceUser {
  /// Why no test can become that user here; nil where it can.
  static var obstacle: String? {
    if let obstacle = LabFixture.obstacle { return obstacle }
    guard geteuid() == 0 else { return "needs root to become another user" }
    return FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv")
      ? nil : "needs setpriv (Debian package util-linux)"
  }

  /// This machine need not know it.
  static let id = 64_042

  /// What makes the command behind it run as the user, with these capabilities.
  static func bounds(_ capabilities: [Capability]) -> [String] {
    let list = ["-all"] + capabilities.map { "+" + $0.rawValue.dropFirst(4).lowercased() }
    let text = list.joined(separator: ",")
    return [
      "setpriv", "--reuid=\(id)", "--regid=\(id)", "--clear-groups", "--inh-caps=\(text)",
      "--ambient-caps=\(text)", "--bounding-set=\(text)", "--no-new-privs", "--",
    ]
  }

  /// A copy of the program where that user may run it.
  static func program(in folder: URL) throws -> String {
    let built = try LabFiles.ownExecutable().removingLastComponent().appending(LiveLab.program)
    let copy = folder.appending(path: "program").path
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: built.string, toPath: copy)
    return copy
  }
}
