import Foundation
import Subprocess
import SystemPackage

/// The Swift toolchain of this machine: its compiler, and the clang and binary tools beside it.
struct ExtensionToolchain: Sendable {
  let swiftc: FilePath
  let clang: FilePath
  let objcopy: FilePath

  /// What a tool printed.
  struct Outcome: Sendable {
    var succeeded: Bool
    var output: String
    var errors: String
  }

  /// The toolchain whose `swiftc` is first in PATH.
  static func find() throws(ExtensionError) -> ExtensionToolchain {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    for folder in path.split(separator: ":") {
      let candidate = folder + "/swiftc"
      guard access(String(candidate), X_OK) == 0 else { continue }
      // Links such as /usr/bin/swiftc lead to where clang is.
      guard let real = realpath(String(candidate), nil) else { continue }
      defer { free(real) }
      let tools = FilePath(String(cString: real)).removingLastComponent()
      let toolchain = ExtensionToolchain(
        swiftc: FilePath(String(candidate)), clang: tools.appending("clang"),
        objcopy: tools.appending("llvm-objcopy"))
      for tool in [toolchain.clang, toolchain.objcopy] where access(tool.string, X_OK) != 0 {
        throw .noToolchain("\(tool) is missing beside \(candidate)")
      }
      return toolchain
    }
    throw .noToolchain("swiftc is not in PATH")
  }

  func run(_ tool: FilePath, _ arguments: [String], input: String = "") async throws -> Outcome {
    let result = try await Subprocess.run(
      .path(tool), arguments: Arguments(arguments), input: .string(input), output: .string(limit: 64 << 20),
      error: .string(limit: 4 << 20))
    return Outcome(
      succeeded: result.terminationStatus.isSuccess, output: result.standardOutput,
      errors: result.standardError)
  }
}

/// Why an extension cannot be built, read or run. The description says what the user can do.
public enum ExtensionError: Error, Hashable, Sendable, CustomStringConvertible {
  case noToolchain(String)
  /// The compiler's messages, each with file, line and column.
  case compiler(String)
  /// The extension uses what cannot run in a kernel.
  case notPossible(file: String, reason: String, remedy: String)
  /// A step of the build failed that the author has no part in.
  case internalFailure(step: String, detail: String)
  /// A file that is no built extension, or a damaged one.
  case unreadable(file: String, reason: String, remedy: String)
  /// The kernel's verifier said no.
  case refused(name: String, reason: String, log: String)

  public var description: String {
    switch self {
    case .noToolchain(let what):
      "extensions are built with the Swift toolchain: \(what); install it from https://swift.org/install"
    case .compiler(let messages): messages
    case .notPossible(let file, let reason, let remedy): "\(file): \(reason); \(remedy)"
    case .internalFailure(let step, let detail): "\(step) failed: \(detail)"
    case .unreadable(let file, let reason, let remedy): "\(file): \(reason); \(remedy)"
    case .refused(let name, let reason, _): "the kernel's verifier refuses extension \(name): \(reason)"
    }
  }
}
