import CStreamRouter
import Crypto
import Foundation
import SystemPackage
import Topology

/// From one Swift file to a built extension: a BPF program for engine `sandbox` and native code for the others, with
/// the description of both, in one ELF file.
///
/// The author's file is compiled twice: as an ordinary program that prints what the extension is, and as Embedded Swift
/// whose intermediate code is carried over to BPF and to this machine (``ExtensionIR``).
public struct ExtensionBuilder: Sendable {
  private let toolchain: ExtensionToolchain

  public init() throws(ExtensionError) { toolchain = try ExtensionToolchain.find() }

  /// What was built.
  public struct Product: Sendable {
    public var object: ExtensionObject
    /// The file that was written.
    public var path: FilePath
    /// Compiler warnings, each with file, line and column.
    public var warnings: String
  }

  /// Builds a file and writes the object as NAME.srx into a folder, in place of a former one.
  ///
  /// - Parameter byHand: A C file that stands in the place of the Swift code in the kernel's half, to compare with; the
  ///   name then ends in `-c`.
  /// - Throws: ``ExtensionError``; nothing is written then.
  public func build(source: FilePath, into output: FilePath, byHand: FilePath? = nil) async throws -> Product {
    guard access(source.string, R_OK) == 0 else {
      throw ExtensionError.unreadable(
        file: source.string, reason: "cannot be read",
        remedy: "name a Swift file, or write one with 'extension new'")
    }
    let folder = try Self.makeFolder(for: source)
    defer { try? FileManager.default.removeItem(at: folder) }
    let workshop = Workshop(toolchain: toolchain, folder: FilePath(folder.path), source: source)
    try workshop.unpackKit()
    let (description, warnings) = try await workshop.describe()
    var manifest = try description.manifest(of: source)
    if byHand != nil { manifest.name += "-c" }
    let code = try await workshop.intermediateCode(of: description.type)
    let kernel = try await workshop.kernelObject(code, description, byHand: byHand)
    let nativeCode = try await workshop.nativeCode(code)
    let native = try await workshop.nativeObject(nativeCode, description)
    let upcall = try await workshop.upcallImage(nativeCode, description)
    let record = ExtensionObject.Record(
      manifest: manifest, state: description.state, machine: ExtensionObject.machine,
      content: ExtensionObject.noContent)
    let bytes = try await workshop.join(kernel, native, upcall, record)
    let path = output.appending(manifest.name + ExtensionObject.suffix)
    let object = try ExtensionObject(bytes: bytes, file: path.string)
    if let flaw = object.kernelFlaw ?? object.upcallFlaw {
      throw ExtensionError.notPossible(
        file: source.string, reason: "the extension \(flaw)", remedy: "use what module RelayExtension offers")
    }
    try Data(bytes).write(to: URL(fileURLWithPath: path.string), options: .atomic)
    return Product(object: object, path: path, warnings: warnings)
  }

  /// A folder whose name depends on the source alone: paths stand in what compilers make, and the same source shall make
  /// the same extension. While another build of it is under way, one of another name.
  private static func makeFolder(for source: FilePath) throws -> URL {
    let bytes = FileManager.default.contents(atPath: source.string) ?? Data()
    let name = SHA256.hash(data: bytes).prefix(8).hex()
    let place = FileManager.default.temporaryDirectory
    let folder = place.appendingPathComponent("sr-extension-\(name)")
    // Whoever makes it owns it.
    if mkdir(folder.path, 0o700) == 0 { return folder }
    let other = place.appendingPathComponent("sr-extension-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: other, withIntermediateDirectories: true)
    return other
  }
}

/// What the describing program printed (Describe.swift of the SDK).
private struct ExtensionDescription: Decodable {
  var type: String
  var version: String
  var summary: String
  var histogram: String
  var parameterBytes: Int
  var parameters: [ExtensionManifest.Parameter]
  var counters: [String]
  var needs: [ExtensionManifest.Function]
  var likes: [ExtensionManifest.Function]
  var stateBytes: Int
  var state: [UInt8]

  /// Bits of `sr_packet_function`.
  var functions: UInt32 { (needs + likes).reduce(0) { $0 | $1.bit } }

  func manifest(of source: FilePath) throws(ExtensionError) -> ExtensionManifest {
    let manifest = ExtensionManifest(
      name: Self.kebab(type), version: version, abi: Int(SR_EXTENSION_ABI_VERSION.rawValue), summary: summary,
      parameters: parameters, counters: counters, histogram: histogram.isEmpty ? nil : histogram,
      stateBytes: stateBytes, parameterBytes: parameterBytes, needs: needs, likes: likes)
    if let flaw = manifest.flaws.first {
      throw .notPossible(file: source.string, reason: flaw, remedy: "correct the extension's declarations")
    }
    return manifest
  }

  /// `DejitterMark` is `dejitter-mark`.
  static func kebab(_ type: String) -> String {
    var name = ""
    for character in type {
      if character.isUppercase, !name.isEmpty, !name.hasSuffix("-") { name += "-" }
      name += character.lowercased()
    }
    return name.replacing("_", with: "-")
  }
}

/// The steps of one build, in a folder of its own.
private struct Workshop {
  let toolchain: ExtensionToolchain
  let folder: FilePath
  let source: FilePath

  /// Errors at the author's line; what would be unsafe is an error as well.
  private static let strict = [
    "-swift-version", "6", "-strict-memory-safety", "-Werror", "StrictMemorySafety",
  ]
  private static let sdk = [
    "-swift-version", "6", "-enable-experimental-feature", "Extern", "-suppress-warnings",
  ]
  /// One function in, one function out: what is rarely run, such as a trap, must not become a function of its own. Other
  /// compilers of this family know a switch for that; Swift's clang knows only from which size on it pays.
  private static let whole = ["-mllvm", "-hotcoldsplit-threshold=1000000", "-fno-jump-tables"]
  private static let embedded = [
    "-gline-tables-only",
    "-target", "riscv64-none-none-eabi", "-enable-experimental-feature", "Embedded", "-wmo",
    "-parse-as-library", "-O",
  ]

  private func path(_ name: String) -> String { folder.appending(name).string }

  private var kitSources: [String] {
    extensionKitBase64.map(\.name).filter { $0.hasSuffix(".swift") }.map(path)
  }

  func unpackKit() throws {
    for (name, text) in extensionKitBase64 {
      try (Data(base64Encoded: text) ?? Data()).write(to: URL(fileURLWithPath: path(name)))
    }
  }

  /// Compiles the author's file as an ordinary program and asks it what the extension is.
  func describe() async throws -> (ExtensionDescription, warnings: String) {
    try await expect(
      "compiling the SDK", toolchain.swiftc,
      Self.sdk + [
        // One run of the compiler for all files: it starts slower than it compiles one of them.
        "-wmo", "-parse-as-library", "-module-name", "RelayExtension", "-emit-module", "-emit-library",
        "-static",
      ]
        + ["-emit-module-path", path("RelayExtension.swiftmodule"), "-o", path("libRelayExtension.a")]
        + kitSources)
    // The functions of the frame are not called by the program that describes; they need only be there.
    try frameFunctions().map { "void \($0)(void) {}" }.joined(separator: "\n")
      .write(toFile: path("stubs.c"), atomically: false, encoding: .utf8)
    try await expect("compiling stubs", toolchain.clang, ["-c", path("stubs.c"), "-o", path("stubs.o")])
    let compiled = try await toolchain.run(
      toolchain.swiftc,
      Self.strict + [
        "-parse-as-library", "-module-name", "Extension", "-I", folder.string, "-L", folder.string,
        source.string, "-lRelayExtension", path("stubs.o"), "-o", path("describe"),
      ])
    guard compiled.succeeded else {
      let missing = Set(
        compiled.errors.matches(of: /undefined reference to '([^']+)'/).map { String($0.output.1) })
      guard missing.isEmpty else {
        let author = AuthorSource(file: source.string)
        throw ExtensionIR.Failure.runtime(missing.sorted()).error(author.place(of: missing.sorted()[0]))
      }
      throw ExtensionError.compiler(readable(compiled.errors))
    }
    let said = try await toolchain.run(FilePath(path("describe")), [])
    if said.output.hasPrefix("error: ") {
      throw ExtensionError.compiler(
        said.output.split(separator: "\n").map { "\(place(ofFlaw: $0)): \($0)" }.joined(separator: "\n"))
    }
    do {
      let description = try JSONDecoder().decode(ExtensionDescription.self, from: Data(said.output.utf8))
      return (description, readable(compiled.errors))
    } catch {
      throw ExtensionError.internalFailure(step: "describing the extension", detail: "\(said.output) \(error)")
    }
  }

  /// Where stands what the describing program finds wrong (Describe.swift of the SDK).
  private func place(ofFlaw message: Substring) -> String {
    let author = AuthorSource(file: source.string)
    if let property = message.firstMatch(of: /property (\w+) has/) {
      return author.place(of: "var", String(property.output.1))
    }
    if message.contains("error: State ") { return author.place(of: "struct", "State") }
    if message.contains("error: parameters ") { return author.place(of: "parameters") }
    if let counter = message.firstMatch(of: /counter (\w+) has/) {
      return author.place(of: "case", String(counter.output.1))
    }
    return author.place(of: "Counter")
  }

  private func frameFunctions() throws -> [String] {
    let core = try String(contentsOfFile: path("Core.swift"), encoding: .utf8)
    return core.matches(of: /@_extern\(c, "(sr_view_[a-z0-9_]+)"\)/).map { String($0.output.1) }
  }

  /// LLVM's intermediate code of SDK and extension.
  func intermediateCode(of type: String) async throws -> String {
    try await expect(
      "compiling the SDK for extensions", toolchain.swiftc,
      Self.sdk + Self.embedded + [
        "-module-name", "RelayExtension", "-emit-module", "-emit-module-path",
        path("RelayExtension.swiftmodule"),
      ] + kitSources)
    try """
    import RelayExtension
    @_cdecl("\(ExtensionIR.entry)")
    func entry(_ view: UnsafeMutableRawPointer, _ parameters: UnsafeRawPointer, _ state: UnsafeMutableRawPointer)
      -> Int32
    { unsafe ExtensionEntry<\(type)>.relay(view, parameters, state) }

    """.write(toFile: path("Entry.swift"), atomically: false, encoding: .utf8)
    let compiled = try await toolchain.run(
      toolchain.swiftc,
      Self.strict + Self.embedded + [
        // LLVM's optimiser runs later, for the target that is meant: it must not make tables of switches here.
        "-Xfrontend", "-disable-llvm-optzns",
        "-module-name", "Extension", "-I", folder.string, "-emit-ir", source.string, path("Entry.swift"), "-o",
        path("extension.ll"),
      ])
    guard compiled.succeeded else { throw ExtensionError.compiler(readable(compiled.errors)) }
    return try String(contentsOfFile: path("extension.ll"), encoding: .utf8)
  }

  /// Bitcode for a target, with nothing left but the entry.
  private func bitcode(_ code: String, triple: String, _ flags: [String]) async throws -> String {
    let raw = path("\(triple).raw.ll")
    try ExtensionIR.retarget(code, triple: triple).write(toFile: raw, atomically: false, encoding: .utf8)
    let lean = path("\(triple).lean.ll")
    let base = ["-target", triple, "-O2", "-Wno-override-module"] + Self.whole + flags
    try await expect(
      "optimising for \(triple)", toolchain.clang, base + ["-S", "-emit-llvm", "-x", "ir", raw, "-o", lean])
    let finished: String
    let optimised = try String(contentsOfFile: lean, encoding: .utf8)
    do {
      finished = try ExtensionIR.finish(optimised)
    } catch let failure {
      throw failure.error(failure.place(in: DebugPlaces(optimised, file: source.string)) ?? source.string)
    }
    let final = path("\(triple).ll")
    try (triple.hasPrefix("bpf") ? KernelArithmetic.lowerFills(finished) : finished).write(
      toFile: final, atomically: false, encoding: .utf8)
    let output = path("\(triple).bc")
    try await expect(
      "finishing for \(triple)", toolchain.clang, base + ["-c", "-emit-llvm", "-x", "ir", final, "-o", output])
    return output
  }

  func kernelObject(
    _ code: String, _ description: ExtensionDescription, byHand: FilePath?
  ) async throws -> String {
    let author =
      if let byHand {
        ["-DSR_AUTHOR_FILE=\"\(byHand)\""]
      } else {
        [
          "-Xclang", "-mlink-builtin-bitcode", "-Xclang",
          try await bitcode(code, triple: "bpfel", ["-mcpu=v3"]),
        ]
      }
    let output = path("kernel.o")
    let compiled = try await toolchain.run(
      toolchain.clang,
      ["-target", "bpfel", "-mcpu=v3", "-O2", "-g", "-std=gnu17", "-Wall", "-Wextra", "-I", folder.string]
        + Self.whole + sizes(description)
        + Self.multiarchIncludes.flatMap { ["-idirafter", $0] } + author + [
          "-c", path("extension.c"), "-o", output,
        ])
    guard compiled.succeeded else { throw kernelFailure(compiled.errors) }
    return output
  }

  /// What BPF's code generator cannot do, in the author's words.
  private func kernelFailure(_ errors: String) -> ExtensionError {
    let functions = Set(errors.matches(of: /built-in function '(\w+)'/).map { String($0.output.1) })
    if errors.contains("BPF stack limit") {
      return .notPossible(
        file: source.string,
        reason: "its local variables need more than the 512 bytes of stack that a kernel gives",
        remedy: "keep large values in State")
    }
    guard !functions.isEmpty else {
      return .internalFailure(step: "compiling for the kernel", detail: errors)
    }
    // "could not determine the original source location for Thin.swift:12:40"
    let name = source.lastComponent?.string ?? source.string
    let line = errors.components(separatedBy: " for \(name):").dropFirst().first?.prefix {
      $0.isNumber || $0 == ":"
    }
    // __muldf3, __floatunsidf: of double; sf: of float; ti: of 128 bits (libgcc's names).
    let isFloat = functions.contains { $0.contains("df") || $0.contains("sf") }
    let isMemory = functions.contains { $0.hasPrefix("mem") }
    return .notPossible(
      file: source.string + (line.map { ":\($0)" } ?? ""),
      reason: isFloat
        ? "floating point cannot run in a kernel"
        : isMemory
          ? "a value is too large to be copied in a kernel"
          : "numbers of 128 bits cannot be multiplied or divided in a kernel",
      remedy: isFloat
        ? "scale integers instead: thousandths, or nanoseconds"
        : isMemory
          ? "change the elements that matter, one by one" : "use UInt64, and divide before you multiply")
  }

  private static let machine = ExtensionObject.machine + "-unknown-linux-gnu"

  /// Bitcode for this machine.
  func nativeCode(_ code: String) async throws -> String {
    try await bitcode(code, triple: Self.machine, ["-fPIC"])
  }

  /// The image for engine upcall, as streamrouter_module.h says what one is; nil on machines that the module does not
  /// run on. The file has no section headers: bytes that belong to no segment are refused.
  func upcallImage(_ bitcode: String, _ description: ExtensionDescription) async throws -> String? {
    guard ExtensionObject.machine == "x86_64" else { return nil }
    let (object, linked, output) = (path("upcall.o"), path("upcall.linked"), path("upcall.image"))
    try await expect(
      "compiling for engine upcall", toolchain.clang,
      [
        "-target", Self.machine, "-O2", "-fPIE", "-fvisibility=hidden", "-ffunction-sections",
        "-fno-stack-protector",
        "-fno-asynchronous-unwind-tables", "-fcf-protection=none", "-mno-red-zone", "-I", folder.string,
      ] + sizes(description) + [
        "-Xclang", "-mlink-builtin-bitcode", "-Xclang", bitcode, "-c", path("upcall.c"), "-o", object,
      ])
    // max-page-size: what lies between two segments in the file would be bytes of none.
    try await expect(
      "linking for engine upcall", toolchain.clang,
      [
        "-target", Self.machine, "-nostdlib", "-fuse-ld=lld", "-pie", "-Wl,--no-dynamic-linker",
        "-Wl,--build-id=none",
        "-Wl,--hash-style=sysv", "-Wl,-z,norelro", "-Wl,-z,noseparate-code", "-Wl,-z,max-page-size=4096",
        "-Wl,--gc-sections", "-Wl,--strip-all", "-Wl,-T,\(path("upcall.ld"))", object, "-o", linked,
      ])
    try await expect("finishing for engine upcall", toolchain.objcopy, ["--strip-sections", linked, output])
    return output
  }

  func nativeObject(_ bitcode: String, _ description: ExtensionDescription) async throws -> String {
    let output = path("native.so")
    try await expect(
      "compiling for this machine", toolchain.clang,
      [
        "-target", Self.machine, "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-nostdlib", "-fuse-ld=lld",
        "-I",
      ]
        + [folder.string] + sizes(description) + [
          "-Xclang", "-mlink-builtin-bitcode", "-Xclang", bitcode, path("process.c"), "-o", output,
        ])
    return output
  }

  private func sizes(_ description: ExtensionDescription) -> [String] {
    [
      "-DSR_STATE_BYTES=\(description.stateBytes)",
      "-DSR_PARAMETER_BYTES=\(description.parameterBytes)",
      "-DSR_FUNCTIONS=\(description.functions)u",
    ]
  }

  /// `asm/types.h` lives in a folder named after this machine's architecture; the BPF target does not look there.
  private static let multiarchIncludes = ["x86_64", "aarch64", "riscv64"].map { "/usr/include/\($0)-linux-gnu" }
    .filter { FileManager.default.fileExists(atPath: $0 + "/asm/types.h") }

  /// Puts native code, image and description into the kernel's object, and its content hash into the description.
  func join(
    _ kernel: String, _ native: String, _ upcall: String?, _ record: ExtensionObject.Record
  ) async throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    try encoder.encode(record).write(to: URL(fileURLWithPath: path("record.json")))
    let output = path("joined")
    // Debug information names this machine's folders; BTF has what the verifier's messages need. Only the function and its
    // tables may meet other objects' symbols.
    var arguments = [
      "--strip-debug", "--remove-section", ".linker-options", "--remove-section", ".llvm_addrsig",
    ]
    for symbol in ExtensionObject.symbols { arguments += ["--keep-global-symbol", symbol] }
    arguments += ["--add-section", "\(ExtensionObject.recordSection)=\(path("record.json"))"]
    arguments += ["--add-section", "\(ExtensionObject.nativeSection)=\(native)"]
    if let upcall { arguments += ["--add-section", "\(ExtensionObject.upcallSection)=\(upcall)"] }
    try await expect("joining", toolchain.objcopy, arguments + [kernel, output])
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: output)))
    return try ExtensionObject.sealed(bytes)
  }

  private func expect(_ step: String, _ tool: FilePath, _ arguments: [String]) async throws {
    let outcome = try await toolchain.run(tool, arguments)
    guard outcome.succeeded else {
      throw ExtensionError.internalFailure(step: step, detail: outcome.errors + outcome.output)
    }
  }

  /// The compiler's messages without the pages that explain groups of warnings, and without the folder of the SDK's
  /// copy, which is gone when they are read. A parameter without a default is named: the compiler only says that
  /// `init()` is missing.
  private func readable(_ messages: String) -> String {
    let author = AuthorSource(file: source.string)
    var lines: [String] = []
    if messages.contains("protocol requires initializer 'init()'") {
      for match in messages.matches(of: /:(\d+):\d+: error: type '[^']+' does not conform to protocol 'Relay/) {
        guard let property = author.undefaultedProperty(below: Int(match.output.1) ?? 1) else { continue }
        lines.append(
          "\(property.place): error: property \(property.name) has no default; give it one, such as 'var \(property.name): \(property.type) = \(property.type == "Bool" ? "false" : "0")'"
        )
      }
    }
    lines += messages.split(separator: "\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("[#") }
      .map { String($0).replacing(folder.string + "/", with: "RelayExtension/") }
    return lines.joined(separator: "\n").trimmingCharacters(in: .whitespacesAndNewlines)
  }
}

extension ExtensionIR.Failure {
  /// Where the reason stands in the author's file, if the code tells.
  fileprivate func place(in places: DebugPlaces) -> String? {
    switch self {
    case .notInlined(let functions): functions.lazy.compactMap(places.place(ofFunction:)).first
    case .runtime(let functions): places.place(ofCallTo: functions)
    case .noEntry: nil
    }
  }

  /// - Parameter file: With line and column where they are known.
  fileprivate func error(_ file: String) -> ExtensionError {
    switch self {
    case .notInlined(let functions):
      .notPossible(
        file: file,
        reason:
          "a function that calls itself cannot run in a kernel: \(functions.map(Self.readable).joined(separator: ", "))",
        remedy: "write a loop with a fixed bound instead")
    case .runtime(let functions) where Self.memory.isDisjoint(with: functions):
      .notPossible(
        file: file, reason: "calls what no extension can: \(functions.sorted().joined(separator: ", "))",
        remedy: "use what module RelayExtension offers")
    case .runtime:
      .notPossible(
        file: file, reason: "takes memory while it runs, which no kernel program can",
        remedy: "arrays, strings, dictionaries and classes do: use integers, structs and InlineArray")
    case .noEntry: .internalFailure(step: "finding the entry", detail: file)
    }
  }

  /// Functions of the C library that Swift's runtime takes memory with.
  private static let memory: Set = ["free", "malloc", "posix_memalign", "aligned_alloc"]

  /// `$e9Extension4ThinV5countyS2iF` is `Thin.count` (docs/ABI/Mangling.rst of Swift: names stand behind their length).
  private static func readable(_ mangled: String) -> String {
    var names: [Substring] = []
    var rest = mangled.drop { !$0.isNumber }
    while let length = Int(rest.prefix { $0.isNumber }), length <= rest.count {
      let name = rest.drop { $0.isNumber }.prefix(length)
      names.append(name)
      rest = rest[name.endIndex...].drop { $0.isUppercase }
    }
    return names.isEmpty ? mangled : names.dropFirst().joined(separator: ".")
  }
}
