/// Where several controllers find each other's extensions.
protocol ExtensionCopies: Sendable {
  func bytes(_ content: String) async throws -> [UInt8]?
  func put(_ content: String, _ bytes: [UInt8]) async throws
  /// Removes what these hashes do not name.
  func keepOnly(_ contents: Set<String>) async throws
}

/// The extensions that the controller has: in its folder, and where several may run also as copies that all of them reach.
struct ControllerExtensions: Sendable {
  private let folder: ExtensionStore
  private let copies: (any ExtensionCopies)?

  init(_ folder: ExtensionStore, copies: (any ExtensionCopies)? = nil) {
    self.folder = folder
    self.copies = copies
  }

  /// nil where it is nowhere, or was damaged.
  func object(_ content: String) async throws -> ExtensionObject? {
    if let object = folder.object(content) { return object }
    guard ExtensionStore.isContent(content), let bytes = try await copies?.bytes(content),
      let object = try? folder.put(bytes), object.content == content
    else { return nil }
    return object
  }

  func bytes(_ content: String) async throws -> [UInt8]? {
    try await object(content) == nil ? nil : folder.bytes(content)
  }

  /// Checks the bytes and keeps them under the hash that they have.
  ///
  /// - Throws: ``ExtensionError``, ``ControlError``.
  func put(_ bytes: [UInt8]) async throws -> ExtensionObject {
    let object = try folder.put(bytes)
    try await copies?.put(object.content, bytes)
    return object
  }

  /// Removes what these hashes do not name. What stays too long costs room and nothing else.
  func keepOnly(_ contents: Set<String>) async {
    folder.keepOnly(contents)
    try? await copies?.keepOnly(contents)
  }
}
