import Foundation
import Identity
import Logging
import Synchronization
import SystemPackage

/// Where a node finds its controllers.
struct ControllerNote: Hashable, Sendable, Codable {
  /// The one that answered last.
  var address: ControllerAddress
  /// The node on whose machine it runs: whose certificate it shows. Any controller's will do besides.
  var node: String
  /// The others, in the order in which they are tried.
  var others: [ControllerAddress]?

  init(addresses: [ControllerAddress], node: String) {
    precondition(!addresses.isEmpty, "a node that joined has a controller")
    address = addresses[0]
    self.node = node
    others = addresses.count > 1 ? Array(addresses.dropFirst()) : nil
  }

  init(address: ControllerAddress, node: String) { self.init(addresses: [address], node: node) }

  var addresses: [ControllerAddress] { [address] + (others ?? []) }
}

/// The controllers of a node or an operator, the one that answered last first: kept in a file, and corrected by what
/// controllers say of each other. Shared by what connects to them.
final class ControllerPlaces: Sendable {
  /// More are not kept.
  private static let most = 16

  private let path: FilePath?
  private let note: Mutex<ControllerNote>
  private let log: Logger

  /// - Parameter path: Where the note is kept; nil: nowhere.
  init(_ note: ControllerNote, path: FilePath?, log: Logger) {
    self.note = Mutex(note)
    self.path = path
    self.log = log
  }

  var addresses: [ControllerAddress] { note.withLock { $0.addresses } }
  /// Whose certificate is expected, or any controller's.
  var controller: Role { .node(note.withLock { $0.node }) }

  /// This one is at work: it comes first from here on.
  func answered(_ address: ControllerAddress) {
    change { note in
      .init(addresses: [address] + note.addresses.filter { $0 != address }, node: note.node)
    }
  }

  /// What a controller that is at work says of where all of them are.
  ///
  /// - Parameter address: The one at which it was reached: it stays, whatever it says, since it is known to lead there.
  func learn(_ texts: [String], from address: ControllerAddress) {
    let told = texts.prefix(Self.most).compactMap { ControllerAddress($0) }
    guard !told.isEmpty else { return }
    let others = told.filter { $0 != address }
    change { note in
      // In the order that they have here, then the new ones: an unchanged list is not written anew.
      let kept = note.addresses.filter { $0 != address && others.contains($0) }
      let new = others.filter { !kept.contains($0) }
      return .init(addresses: [address] + kept + new, node: note.node)
    }
  }

  private func change(_ body: (ControllerNote) -> ControllerNote) {
    let changed: ControllerNote? = note.withLock { note in
      let next = body(note)
      guard next != note else { return nil }
      note = next
      return next
    }
    guard let changed, let path else { return }
    // It is known in memory; a node that is started again asks those that it knew before.
    do { try DurableFile.write(changed, to: path) } catch {
      log.warning("where the controllers are could not be kept: \(error)")
    }
  }
}
