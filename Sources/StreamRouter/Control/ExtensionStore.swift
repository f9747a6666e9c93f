import Foundation
import SystemPackage

/// Built extensions by their content hash, in a folder: what travels with a topology.
struct ExtensionStore: Sendable {
  let folder: FilePath

  init(_ folder: FilePath) throws {
    self.folder = folder
    try DurableFile.makeFolder(folder)
  }

  /// A hash is 64 hexadecimal digits: nothing else becomes the name of a file.
  static func isContent(_ text: String) -> Bool {
    text.utf8.count == 64 && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }

  private func path(_ content: String) -> FilePath { folder.appending(content + ExtensionObject.suffix) }

  /// The object's bytes; nil where it is not here.
  func bytes(_ content: String) -> [UInt8]? {
    guard Self.isContent(content) else { return nil }
    return FileManager.default.contents(atPath: path(content).string).map { [UInt8]($0) }
  }

  /// nil where it is not here, or was damaged.
  func object(_ content: String) -> ExtensionObject? {
    bytes(content).flatMap { try? ExtensionObject(bytes: $0, file: content) }.flatMap {
      $0.content == content ? $0 : nil
    }
  }

  /// Checks the bytes and keeps them under the hash that they have.
  ///
  /// - Throws: ``ExtensionError``, ``ControlError/unwritable(path:reason:)``.
  @discardableResult
  func put(_ bytes: [UInt8]) throws -> ExtensionObject {
    let object = try ExtensionObject(bytes: bytes, file: "the extension that was sent")
    guard Self.isContent(object.content) else {
      throw ControlError.unwritable(path: folder.string, reason: "the extension's hash is none")
    }
    if self.object(object.content) == nil { try DurableFile.write(bytes, to: path(object.content)) }
    return object
  }

  /// Removes what these hashes do not name.
  func keepOnly(_ contents: Set<String>) {
    for file in LabFiles.list(folder) where file.hasSuffix(ExtensionObject.suffix) {
      if !contents.contains(String(file.dropLast(ExtensionObject.suffix.count))) {
        unlink(folder.appending(file).string)
      }
    }
  }
}
