import Foundation
import Synchronization

/// The records of an authority that several machines share, as they were read, with what is done to them until it is kept.
/// Keys are no records: they stay in files of each machine.
final class AuthorityDraft: Sendable {
  private struct State {
    var files: [String: [UInt8]]
    /// Keys that are of no use once the draft is kept.
    var spentKeys: [String] = []
  }

  private let state: Mutex<State>

  init(_ files: [String: [UInt8]]) { state = Mutex(State(files: files)) }

  /// Whether it is a file of which each machine has its own.
  static func isKey(_ name: String) -> Bool { name.hasSuffix(".key.pem") }

  var files: [String: [UInt8]] { state.withLock { $0.files } }
  var spentKeys: [String] { state.withLock { $0.spentKeys } }

  subscript(name: String) -> [UInt8]? {
    get { state.withLock { $0.files[name] } }
    set { state.withLock { $0.files[name] = newValue } }
  }

  func spend(key name: String) { state.withLock { $0.spentKeys.append(name) } }
}
