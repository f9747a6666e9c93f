import CStreamRouter
import Foundation

/// Turns the LLVM IR that Swift made of an extension into IR that another target's back end takes: BPF for the kernel,
/// this machine for the engines of user level.
///
/// Swift has no BPF target, so extensions are compiled for a 64-bit little-endian machine without an operating system
/// (RISC-V), whose layouts are those of BPF, x86-64 and AArch64. Two steps, with LLVM's optimiser between them.
enum ExtensionIR {
  /// Of the one function that stays: what bpf/extension.c and Frame/process.c call.
  static let entry = "sr_author_relay"
  private static let trap = "sr_author_trap"

  /// What of an extension cannot be carried over.
  enum Failure: Error, Hashable {
    /// Functions that call themselves, or that the optimiser could not inline.
    case notInlined([String])
    /// Functions of Swift's runtime that the extension needs and no kernel has.
    case runtime([String])
    case noEntry
  }

  // MARK: Before the optimiser

  /// Rewrites IR for a triple: all functions but the entry become private and are inlined, what only the former target
  /// understands goes, and traps become calls that can be told apart.
  static func retarget(_ text: String, triple: String) -> String {
    var lines: [Substring] = []
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("target triple") {
        lines.append("target triple = \"\(triple)\"")
      } else if line.hasPrefix("target datalayout") || line.hasPrefix("@llvm.used")
        || line.hasPrefix("@llvm.compiler.used") || (line.hasPrefix("$") && line.contains(" = comdat "))
      {
        // The back end knows its own layout; nothing is kept for its own sake.
        continue
      } else if line.hasPrefix("attributes #") {
        lines.append(attributes(line))
      } else if line.hasPrefix("define ") {
        lines.append(definition(line))
      } else {
        lines.append(plain(line))
      }
    }
    let text = lines.joined(separator: "\n")
    return triple.hasPrefix("bpf") ? KernelArithmetic.lower(text) : text
  }

  private static func attributes(_ line: Substring) -> Substring {
    guard let open = line.firstIndex(of: "{"), let close = line.lastIndex(of: "}") else { return line }
    let kept = line[line.index(after: open)..<close].split(separator: " ").filter { word in
      !["noinline", "optnone", "uwtable", "cold"].contains(word) && !word.hasPrefix("\"target-")
        && !word.hasPrefix("\"frame-pointer\"")
    }
    // Tables in place of switches need bounds that the optimiser knows and the verifier cannot see.
    return line[...open] + " \((kept + ["\"no-jump-tables\"=\"true\""]).joined(separator: " ")) }"
  }

  private static let linkages: Set<Substring> = [
    "weak_odr", "linkonce_odr", "private", "internal", "protected", "hidden", "available_externally", "weak",
    "external", "dso_local", "linkonce",
  ]

  private static func definition(_ line: Substring) -> Substring {
    var words = plain(line).split(separator: " ", omittingEmptySubsequences: false)[1...]
    while let first = words.first, linkages.contains(first) { words.removeFirst() }
    let rest = words.joined(separator: " ")
    if name(of: line) == entry { return "define \(rest)" }
    return "define internal \(alwaysInlined(rest))"
  }

  private static func alwaysInlined(_ definition: String) -> String {
    // Attributes end with the number of their group, which may be missing.
    guard let parameters = definition.lastIndex(of: ")"),
      let end = definition[parameters...].range(of: " #") ?? definition[parameters...].range(of: " {")
    else { return definition }
    return "\(definition[..<end.lowerBound]) alwaysinline\(definition[end.lowerBound...])"
  }

  /// Without what says how a C function of the former target extends small integers, and without groups of the linker.
  private static func plain(_ line: Substring) -> Substring {
    var text = String(line)
    if text.contains("define ") || text.contains("declare ") || text.contains("call ") {
      text = text.replacing("signext ", with: "").replacing("zeroext ", with: "")
      text = text.replacing("@llvm.trap()", with: "@\(trap)()")
    }
    if let comdat = text.range(of: ", comdat") ?? text.range(of: " comdat") {
      var end = comdat.upperBound
      if end < text.endIndex, text[end] == "(" {
        end = text[end...].firstIndex(of: ")").map { text.index(after: $0) } ?? end
      }
      text.removeSubrange(comdat.lowerBound..<end)
    }
    return text[...]
  }

  /// The name behind `@` in a definition or declaration.
  private static func name(of line: Substring) -> String? {
    guard let at = line.firstIndex(of: "@") else { return nil }
    let rest = line[line.index(after: at)...]
    if rest.hasPrefix("\"") {
      return rest.dropFirst().firstIndex(of: "\"").map { String(rest.dropFirst()[..<$0]) }
    }
    return rest.firstIndex(of: "(").map { String(rest[..<$0]) }
  }

  // MARK: After the optimiser

  /// Checks that the entry stands alone, and makes every trap its end with the verdict SR_VERDICT_TRAP.
  static func finish(_ text: String) throws(Failure) -> String {
    var lines: [Substring] = []
    var others: [String] = []
    var runtime: [String] = []
    var foundEntry = false
    var trapped = false
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("define "), let name = name(of: line) {
        guard name == entry else {
          others.append(name)
          continue
        }
        foundEntry = true
        // The frame takes it in, however long it is and however seldom the optimiser thinks it runs.
        lines.append(alwaysInlined(String(line))[...])
        continue
      }
      if line.hasPrefix("attributes #") {
        lines.append(attributes(line))
        continue
      }
      if line.hasPrefix("declare "), let name = name(of: line) {
        if name == trap { continue }
        if !name.hasPrefix("sr_view_") && !name.hasPrefix("llvm.") { runtime.append(name) }
      }
      if line.contains("call void @\(trap)()") {
        trapped = true
        continue
      }
      if trapped {
        trapped = false
        if line.trimmingPrefix(while: \.isWhitespace).hasPrefix("unreachable") {
          lines.append("  ret i32 \(SR_VERDICT_TRAP.rawValue)")
          continue
        }
      }
      lines.append(line)
    }
    guard foundEntry else { throw .noEntry }
    guard runtime.isEmpty else { throw .runtime(runtime) }
    guard others.isEmpty else { throw .notInlined(others) }
    return lines.joined(separator: "\n")
  }
}
