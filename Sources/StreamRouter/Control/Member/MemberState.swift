import SystemPackage

/// What a node keeps of its part between two lives: written before the node does what it says, so that a node that was
/// killed at any moment goes on with what it relayed.
struct MemberState: Sendable {
  private let folder: FilePath

  /// The revision that is the node's own.
  private(set) var settled: NodePart?
  /// The one after it, while a deploy is under way.
  private(set) var prepared: Prepared?

  struct Prepared: Hashable, Sendable, Codable {
    var part: NodePart
    /// The latest step that was made: relays of this hop and beyond run; nil: none was.
    var hop: Int?
    /// The node goes back where the revision is not settled so long after its first step; 0: it does not.
    var revertAfterSeconds: UInt32
  }

  /// - Throws: ``ControlError/unreadable(path:reason:)``.
  init(folder: FilePath) throws {
    self.folder = folder
    try DurableFile.makeFolder(folder)
    settled = try DurableFile.read(Self.settledFile(folder), as: NodePart.self)
    prepared = try DurableFile.read(Self.preparedFile(folder), as: Prepared.self)
    // Settling writes the one before it removes the other.
    if let prepared, prepared.part.revision == settled?.revision { try forgetPrepared() }
  }

  private static func settledFile(_ folder: FilePath) -> FilePath { folder.appending("settled.json") }
  private static func preparedFile(_ folder: FilePath) -> FilePath { folder.appending("prepared.json") }

  mutating func prepare(_ part: NodePart, revertAfterSeconds: UInt32) throws {
    try note(Prepared(part: part, revertAfterSeconds: revertAfterSeconds))
  }

  mutating func advance(to hop: Int) throws {
    guard var prepared else { return }
    prepared.hop = hop
    try note(prepared)
  }

  mutating func settle() throws {
    guard let prepared else { return }
    try DurableFile.write(prepared.part, to: Self.settledFile(folder))
    settled = prepared.part
    try forgetPrepared()
  }

  mutating func forgetPrepared() throws {
    try DurableFile.remove(Self.preparedFile(folder))
    prepared = nil
  }

  private mutating func note(_ prepared: Prepared) throws {
    try DurableFile.write(prepared, to: Self.preparedFile(folder))
    self.prepared = prepared
  }

  /// The hashes of the extensions that either names.
  var extensionContents: Set<String> {
    (settled?.extensionContents ?? []).union(prepared?.part.extensionContents ?? [])
  }
}
