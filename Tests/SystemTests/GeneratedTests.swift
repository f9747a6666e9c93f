import Foundation
import SystemPackage
import Testing

@testable import StreamRouter

/// The committed completions are what the program prints: a new option does not go without its completion.
@Suite struct GeneratedTests {
  /// Each shell with the name under which it looks for the file.
  @Test(
    "packaging/completions holds what the program prints",
    arguments: [("bash", "streamrouter"), ("zsh", "_streamrouter"), ("fish", "streamrouter.fish")])
  func completions(shell: String, file: String) async throws {
    let program = try LabFiles.ownExecutable().removingLastComponent().appending("streamrouter").string
    let printed = try await LabShell.run("env", [program, "--generate-completion-script", shell])
    let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let committed = try String(
      contentsOf: repository.appending(path: "packaging/completions/\(file)"), encoding: .utf8)
    #expect(
      // Compared as a flag: the texts themselves would fill screens.
      printed == committed, "packaging/completions/\(file) is out of date: run scripts/generate.sh and commit")
  }

  /// Written by a plugin of the package manager, which a test cannot call: at least every option is in it.
  @Test("packaging/man names every option of the completions")
  func manual() throws {
    let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let bash = try String(
      contentsOf: repository.appending(path: "packaging/completions/streamrouter"), encoding: .utf8)
    let manual = try String(
      contentsOf: repository.appending(path: "packaging/man/streamrouter.1"), encoding: .utf8)
    let options = Set(bash.matches(of: /--[a-z]+(-[a-z]+)*/).map { String($0.output.0) })
      .subtracting(["--generate-completion-script"])
    #expect(options.count > 20)
    for option in options.sorted() {
      #expect(
        // Behind a short form, as -w, it is in the same macro.
        manual.contains("Fl -" + option.dropFirst(2))
          || [" ", "\n"].contains { manual.contains(" , -" + option.dropFirst(2) + $0) },
        "\(option) is not in packaging/man: run scripts/generate.sh")
    }
  }
}
