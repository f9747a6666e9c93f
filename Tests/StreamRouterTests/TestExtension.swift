import CStreamRouter
import Foundation
import SystemPackage
import Topology

@testable import StreamRouter

/// Extensions of a test, written in C against sr_extension_process.h: they may do what Swift ones cannot.
struct TestExtension {
  /// Around what a test writes: `relay` returns the verdict.
  private static let frame = """
    #include <sys/syscall.h>
    #include "sr_extension_process.h"
    extern long syscall(long, ...);
    extern void *malloc(unsigned long);
    static int relay(__u8 *payload, struct sr_call *call, const __u8 *parameters, __u32 *state,
                     struct sr_extension_account *account);
    __attribute__((visibility("default"))) int sr_extension(
        const struct sr_datagram *datagram, struct sr_call *call, const void *parameters, void *state,
        struct sr_extension_account *account) {
      account->runs++;
      int verdict = relay(datagram->payload, call, parameters, state, account);
      account->verdicts[verdict & 3]++;
      return verdict;
    }

    """
  private static let relay = """
    static int relay(__u8 *payload, struct sr_call *call, const __u8 *parameters, __u32 *state,
                     struct sr_extension_account *account) {

    """

  /// Builds an extension whose function has this body; it has one parameter, `value`, and a state of 64 bytes.
  ///
  /// - Parameters:
  ///   - more: What stands before the function.
  ///   - flags: For the compiler, last.
  static func build(
    _ name: String, _ body: String, more: String = "", flags: [String] = [],
    state: [UInt8] = [UInt8](repeating: 0, count: 64)
  ) async throws -> ExtensionObject {
    let toolchain = try ExtensionToolchain.find()
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sr-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    func path(_ file: String) -> String { folder.appendingPathComponent(file).path }
    func run(_ tool: FilePath, _ arguments: [String], input: String = "") async throws {
      let outcome = try await toolchain.run(tool, arguments, input: input)
      guard outcome.succeeded else { throw TestFailure(outcome.errors + outcome.output) }
    }
    let headers = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Sources/CStreamRouter/include").path
    try await run(
      toolchain.clang,
      [
        "-O1", "-fPIC", "-shared", "-nostdlib", "-fuse-ld=lld", "-I", headers, "-x", "c", "-", "-o",
        path("native.so"),
      ] + flags, input: frame + more + relay + body + "\n}\n")
    try await run(toolchain.clang, ["-c", "-x", "c", "-", "-o", path("empty.o")])
    let record = ExtensionObject.Record(
      manifest: ExtensionManifest(
        name: name, version: "1", abi: Int(SR_EXTENSION_ABI_VERSION.rawValue), summary: "",
        parameters: [.init(name: "value", type: .uint8, offset: 0, default: .unsigned(0))],
        stateBytes: state.count, parameterBytes: 8),
      state: state, machine: ExtensionObject.machine, content: ExtensionObject.noContent)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    try encoder.encode(record).write(to: URL(fileURLWithPath: path("record.json")))
    try await run(
      toolchain.objcopy,
      [
        "--add-section", "\(ExtensionObject.recordSection)=\(path("record.json"))", "--add-section",
        "\(ExtensionObject.nativeSection)=\(path("native.so"))", path("empty.o"), path("joined"),
      ])
    let bytes = try ExtensionObject.sealed([UInt8](Data(contentsOf: URL(fileURLWithPath: path("joined")))))
    return try ExtensionObject(bytes: bytes, file: name)
  }
}
