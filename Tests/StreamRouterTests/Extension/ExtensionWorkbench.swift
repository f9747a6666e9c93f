import Foundation
import SystemPackage
import Testing

@testable import StreamRouter

/// Builds extensions for tests, each source once.
actor ExtensionWorkbench {
  static let shared = ExtensionWorkbench()
  /// Why nothing can be built here; nil where it can.
  static let obstacle: String? = {
    do {
      _ = try ExtensionToolchain.find()
      return nil
    } catch {
      return "\(error)"
    }
  }()
  /// Why the kernel's verifier cannot be asked; nil where it can.
  static let kernelObstacle = obstacle ?? SandboxVectors.obstacle() ?? PrivateNetwork.obstacle

  static let sources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Extensions")

  /// Where builds are kept from one run to the next, which must be of the same sources: for machines that run an
  /// extension and take too long to build it, as emulated guests.
  private static let kept = ProcessInfo.processInfo.environment["SR_EXTENSIONS"].map { URL(filePath: $0) }

  private let folder = FileManager.default.temporaryDirectory.appending(path: "sr-tests-\(UUID().uuidString)")
  private var builds: [String: Task<ExtensionObject, any Error>] = [:]

  /// Builds a whole source file.
  func build(_ name: String, source: String) async throws -> ExtensionObject {
    try await build(name) { folder in
      let path = folder.appending(path: name + ".swift")
      try source.write(to: path, atomically: true, encoding: .utf8)
      return path.path
    }
  }

  /// Builds `@main struct NAME: RelayExtension { MEMBERS }`.
  func build(_ name: String, _ members: String) async throws -> ExtensionObject {
    try await build(
      name, source: "import RelayExtension\n\n@main struct \(name): RelayExtension {\n\(members)\n}\n")
  }

  /// Builds one of the extensions that we ship.
  func shipped(_ name: String) async throws -> ExtensionObject {
    try await build(name) { _ in Self.sources.appending(path: name + ".swift").path }
  }

  private func build(
    _ name: String, source: @Sendable @escaping (URL) throws -> String
  ) async throws -> ExtensionObject {
    if let build = builds[name] { return try await build.value }
    let build = Task { [folder] in
      let kept = Self.kept?.appending(path: name + ".srx")
      if let kept, FileManager.default.fileExists(atPath: kept.path) {
        return try ExtensionObject(path: kept.path)
      }
      let folder = folder.appending(path: name)
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let object = try await ExtensionBuilder().build(
        source: FilePath(try source(folder)), into: FilePath(folder.path)
      ).object
      if let kept { try Data(object.image).write(to: kept) }
      return object
    }
    builds[name] = build
    return try await build.value
  }
}

extension ExtensionTest {
  /// Runs extensions on vectors that a test writes out.
  static func run(_ objects: ExtensionObject..., yaml: String) throws -> ExtensionTest {
    try run(objects, VectorReader.read(text: yaml, file: "test.yaml", for: objects.map(\.manifest)))
  }
}
