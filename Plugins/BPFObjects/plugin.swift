import Foundation
import PackagePlugin

/// Compiles each `bpf/*.bpf.c` with the clang beside the Swift compiler and embeds the object in a Swift file,
/// so that `swift build` alone yields a product that needs no file beside it.
@main
struct BPFObjects: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: Target) async throws -> [Command] {
    let clang = try context.tool(named: "clang").url
    let embed = try context.tool(named: "bpfembed").url
    let package = context.package.directoryURL
    let bpf = package.appending(path: "bpf")
    let shared = package.appending(path: "Sources/CStreamRouter/include")
    let sources = try FileManager.default.contentsOfDirectory(at: bpf, includingPropertiesForKeys: nil)
      .sorted { $0.path < $1.path }
    let headers =
      sources.filter { $0.pathExtension == "h" }
      + ["streamrouter_abi.h", "streamrouter_measure.h", "streamrouter_module.h"]
      .map { shared.appending(path: $0) }
    let objects = sources.filter { $0.lastPathComponent.hasSuffix(".bpf.c") }.map { source -> Command in
      let name = source.lastPathComponent.replacingOccurrences(of: ".bpf.c", with: "")
      let output = context.pluginWorkDirectoryURL.appending(path: "\(name)Object.swift")
      return .buildCommand(
        displayName: "Compiling BPF object \(name)",
        executable: embed,
        arguments: [clang.path, source.path, shared.path, name, output.path],
        inputFiles: [source] + headers,
        outputFiles: [output])
    }
    // What `extension build` compiles an author's file with.
    let sdk = package.appending(path: "Sources/RelayExtension")
    let kit =
      try FileManager.default.contentsOfDirectory(at: sdk, includingPropertiesForKeys: nil)
      .filter { $0.pathExtension == "swift" }.sorted { $0.path < $1.path }
      + [
        sdk.appending(path: "Frame/view.h"), sdk.appending(path: "Frame/process.c"),
        sdk.appending(path: "Frame/upcall.c"), sdk.appending(path: "Frame/upcall.ld"),
        bpf.appending(path: "extension.c"), bpf.appending(path: "functions.h"),
        shared.appending(path: "streamrouter_abi.h"),
        shared.appending(path: "streamrouter_module.h"), shared.appending(path: "sr_extension_process.h"),
        shared.appending(path: "sr_extension_upcall.h"),
      ]
    let output = context.pluginWorkDirectoryURL.appending(path: "ExtensionKit.swift")
    return objects + [
      .buildCommand(
        displayName: "Embedding the extension SDK", executable: embed,
        arguments: ["--kit", output.path] + kit.map(\.path), inputFiles: kit, outputFiles: [output])
    ]
  }
}
