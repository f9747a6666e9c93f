import CStreamRouter
import Foundation

/// Links built extensions into the datapath's object, with libbpf's static linker: no compiler is needed.
enum DatapathLinker {
  /// The object of the datapath with these extensions in their places.
  ///
  /// - Parameter functions: The object that calls the kernel module's functions; nil: extensions find none.
  static func link(_ datapath: Data, _ extensions: [ExtensionPlacement], functions: Data?) throws -> Data {
    guard !extensions.isEmpty else { return datapath }
    for placement in extensions {
      if let flaw = placement.object.kernelFlaw {
        throw ExtensionError.unreadable(
          file: "extension \(placement.object.manifest.name)", reason: flaw,
          remedy: "build it anew with 'streamrouter extension build'")
      }
    }
    _ = SandboxDatapath.keepLog
    // The linker knows files only.
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sr-link-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let output = folder.appendingPathComponent("linked.o")
    guard let linker = bpf_linker__new(output.path, nil) else {
      throw SandboxDatapath.failure("linking", "the datapath", errno)
    }
    defer { bpf_linker__free(linker) }
    func add(_ bytes: Data, _ name: String, _ subject: String) throws {
      let file = folder.appendingPathComponent(name)
      try bytes.write(to: file)
      let result = bpf_linker__add_file(linker, file.path, nil)
      guard result == 0 else { throw SandboxDatapath.failure("linking", subject, -result) }
    }
    try add(datapath, "datapath.o", "the datapath")
    // Before whoever calls them: libbpf takes a weak function that was called for one that must not be replaced.
    if let functions { try add(functions, "functions.o", "the calls of the kernel module") }
    for placement in extensions {
      try add(
        Data(placement.object.image(slot: placement.slot)), "\(placement.slot).o",
        "extension \(placement.object.manifest.name)")
    }
    let result = bpf_linker__finalize(linker)
    guard result == 0 else {
      throw SandboxDatapath.failure("linking", "the datapath with its extensions", -result)
    }
    return try Data(contentsOf: output)
  }
}
