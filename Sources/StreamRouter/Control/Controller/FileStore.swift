import Foundation
import SystemPackage

/// The wanted topology in files of one controller.
///
/// - `state.json`: the number of the revision in force, the deploy under way, the latest number given.
/// - `revisions/NUMBER.json`: one for each revision, the latest ``kept`` of them.
///
/// Each call is on the disk when it returns; what needs to happen together is one file.
actor FileStore: DesiredStore {
  /// How many revisions can be gone back to.
  static let kept = 100

  private struct State: Hashable, Codable {
    var current: UInt64 = 0
    var latest: UInt64 = 0
    var deployment: Deployment?
  }

  private let folder: FilePath
  private var state: State

  init(folder: FilePath) throws {
    self.folder = folder
    try DurableFile.makeFolder(folder.appending("revisions"))
    state = try DurableFile.read(folder.appending("state.json"), as: State.self) ?? State()
  }

  /// No other controller knows these files.
  func claim() {}

  func current() -> UInt64 { state.current }
  func deployment() -> Deployment? { state.deployment }
  func revision(_ number: UInt64) throws -> Revision? { try recorded(number)?.revision }

  func revisions() throws -> [Recorded] {
    try numbers().sorted(by: >).compactMap { try recorded($0) }
  }

  func open(_ deployment: Deployment) throws {
    if let other = state.deployment { throw DeployRefusal.busy(with: other) }
    guard deployment.revision.number == state.latest + 1, deployment.former == state.current else {
      throw DeployRefusal.outrun(by: state.latest)
    }
    try change { state in
      state.deployment = deployment
      state.latest = deployment.revision.number
    }
  }

  func note(_ deployment: Deployment) throws {
    try check(deployment)
    try change { $0.deployment = deployment }
  }

  func close(_ deployment: Deployment, outcome: Recorded.Outcome) throws {
    try check(deployment)
    let recorded = Recorded(revision: deployment.revision, outcome: outcome)
    try DurableFile.write(recorded, to: file(deployment.revision.number))
    try change { state in
      state.current = outcome == .kept ? deployment.revision.number : deployment.former
      state.deployment = nil
    }
    prune()
  }

  /// The number after the latest one given.
  func nextNumber() -> UInt64 { state.latest + 1 }

  private func check(_ deployment: Deployment) throws {
    guard state.deployment?.revision.number == deployment.revision.number else {
      throw ControlError.superseded(revision: deployment.revision.number)
    }
  }

  private func change(_ body: (inout State) -> Void) throws {
    var changed = state
    body(&changed)
    try DurableFile.write(changed, to: folder.appending("state.json"))
    state = changed
  }

  private func file(_ number: UInt64) -> FilePath {
    folder.appending("revisions").appending("\(number).json")
  }

  private func numbers() -> [UInt64] {
    LabFiles.list(folder.appending("revisions")).compactMap {
      $0.hasSuffix(".json") ? UInt64($0.dropLast(5)) : nil
    }
  }

  private func recorded(_ number: UInt64) throws -> Recorded? {
    try DurableFile.read(file(number), as: Recorded.self)
  }

  /// The revision in force stays, however old.
  private func prune() {
    for number in numbers().sorted(by: >).dropFirst(Self.kept) where number != state.current {
      unlink(file(number).string)
    }
  }
}
