import Foundation

/// The build tool behind the plugin BPFObjects: compiles one BPF C file and writes it as a Swift source.
///
/// Usage: `bpfembed CLANG SOURCE INCLUDE NAME OUTPUT`, or `bpfembed --kit OUTPUT FILE...` for files as they are.
@main
struct BPFEmbed {
  static func main() throws {
    let arguments = CommandLine.arguments
    if arguments.count > 3, arguments[1] == "--kit" {
      return try embedKit(files: Array(arguments[3...]), output: arguments[2])
    }
    guard arguments.count == 6 else { fail("usage: bpfembed CLANG SOURCE INCLUDE NAME OUTPUT") }
    let (clang, source, include, name, output) =
      (arguments[1], arguments[2], arguments[3], arguments[4], arguments[5])
    let object = output + ".bpf.o"
    let compiler = Process()
    compiler.executableURL = URL(fileURLWithPath: clang)
    // -mcpu=v3 is what every kernel from 5.1 runs: 32-bit registers and jumps, atomics.
    compiler.arguments =
      [
        "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-std=gnu17", "-Wall", "-Wextra", "-Werror",
        "-I", include, "-c", source, "-o", object,
      ] + multiarchIncludes().flatMap { ["-idirafter", $0] }
    try compiler.run()
    compiler.waitUntilExit()
    guard compiler.terminationStatus == 0 else {
      fail(
        "clang could not compile \(source): see above (needs the Debian packages libbpf-dev and linux-libc-dev)"
      )
    }
    let bytes = try Data(contentsOf: URL(fileURLWithPath: object))
    let text = """
      // Made by bpfembed from \(URL(fileURLWithPath: source).lastPathComponent); not for editing.
      /// The ELF object of `\(name).bpf.c`, in base64.
      let \(name)ObjectBase64: StaticString = "\(bytes.base64EncodedString())"

      """
    try text.write(toFile: output, atomically: true, encoding: .utf8)
  }

  private static func embedKit(files: [String], output: String) throws {
    var lines = [
      "// Made by bpfembed; not for editing.", "/// The files of the extension SDK, in base64, by name.",
    ]
    lines.append("let extensionKitBase64: [(name: String, text: String)] = [")
    for file in files {
      let url = URL(fileURLWithPath: file)
      lines.append("  (\"\(url.lastPathComponent)\", \"\(try Data(contentsOf: url).base64EncodedString())\"),")
    }
    try (lines + ["]", ""]).joined(separator: "\n").write(toFile: output, atomically: true, encoding: .utf8)
  }

  /// `asm/types.h` lives in a folder named after the host's architecture; the BPF target does not look there.
  static func multiarchIncludes() -> [String] {
    ["x86_64-linux-gnu", "aarch64-linux-gnu", "riscv64-linux-gnu"]
      .map { "/usr/include/" + $0 }
      .filter { FileManager.default.fileExists(atPath: $0 + "/asm/types.h") }
  }

  static func fail(_ message: String) -> Never {
    FileHandle.standardError.write(Data(("bpfembed: " + message + "\n").utf8))
    exit(1)
  }
}
