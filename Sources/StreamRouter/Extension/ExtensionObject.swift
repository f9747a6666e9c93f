import CStreamRouter
import Crypto
import Foundation
import Topology

/// A built extension: an ELF file with the BPF program, the native code and the description. Reading it trusts nothing.
public struct ExtensionObject: Sendable {
  static let recordSection = ".streamrouter.record"
  static let nativeSection = ".streamrouter.native"
  static let upcallSection = ".streamrouter.upcall"
  /// The end of the names of built extensions.
  public static let suffix = ".srx"
  /// The names by which the datapath knows an extension; the node writes the place's number over the XX.
  static let symbols = ["sr_extension_XX", "states_XX", "parameters_XX", "accounts_XX"]
  /// Stands in place of the content hash while it is taken.
  static let noContent = String(repeating: "0", count: 64)
  private static let largest = 16 << 20
  private static let largestState = 65_536
  /// The helpers of the kernel that the frame calls, by number; an extension that calls others was not built by us.
  static let helpers = [
    1: "map_lookup_elem", 5: "ktime_get_ns", 7: "get_prandom_u32", 9: "skb_store_bytes",
    11: "l4_csum_replace", 26: "skb_load_bytes",
  ]
  private static let sections: Set = [
    ".strtab", ".symtab", ".shstrtab", ".text", ".rel.text", ".maps", ".BTF", ".rel.BTF", ".BTF.ext",
    ".rel.BTF.ext", recordSection, nativeSection, upcallSection,
  ]

  /// The processor architecture that native code is built for, as LLVM names it.
  static let machine: String = {
    #if arch(x86_64)
      "x86_64"
    #elseif arch(arm64)
      "aarch64"
    #elseif arch(riscv64)
      "riscv64"
    #else
      #error("extensions are not ported to this architecture")
    #endif
  }()

  /// What stands in the section of the description.
  struct Record: Codable, Sendable {
    var manifest: ExtensionManifest
    /// The state that a relay starts with; empty: zeros.
    var state: [UInt8]
    var machine: String
    /// SHA-256 of the whole file with these 64 digits as zeros.
    var content: String
  }

  public let manifest: ExtensionManifest
  /// SHA-256 of the file: what it is known by, whatever its name.
  public let content: String
  /// The state that a relay starts with, `manifest.stateBytes` long.
  let initialState: [UInt8]
  /// The whole file.
  let image: [UInt8]
  let native: [UInt8]
  let nativeMachine: String
  /// What the kernel module is given for engine upcall; empty where it was built without.
  let upcallImage: [UInt8]

  /// Reads a file.
  ///
  /// - Throws: ``ExtensionError/unreadable(file:reason:remedy:)``.
  public init(path: String) throws(ExtensionError) {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw .unreadable(
        file: path, reason: "cannot be read",
        remedy: "build it with 'streamrouter extension build', or correct the path")
    }
    try self.init(bytes: [UInt8](data), file: path)
  }

  init(bytes: [UInt8], file: String) throws(ExtensionError) {
    func damaged(_ reason: String) -> ExtensionError {
      .unreadable(file: file, reason: reason, remedy: "build it anew with 'streamrouter extension build'")
    }
    guard bytes.count <= Self.largest, let sections = ELFSections(bytes) else {
      throw damaged("is no built extension: its ELF structure is missing or damaged")
    }
    guard let range = sections[Self.recordSection], let native = sections[Self.nativeSection] else {
      throw damaged("is an object file, but no extension: it lacks a description")
    }
    guard let record = try? JSONDecoder().decode(Record.self, from: Data(bytes[range])) else {
      throw damaged("has a description that cannot be read")
    }
    guard let hash = Self.hash(bytes, recordAt: range), hash == record.content else {
      throw damaged("was changed or damaged after it was built: its content is not what its hash says")
    }
    let abi = Int(SR_EXTENSION_ABI_VERSION.rawValue)
    guard record.manifest.abi == abi else {
      throw .unreadable(
        file: file,
        reason:
          "extension \(record.manifest.name) was built for version \(record.manifest.abi) of the interface; this streamrouter has \(abi)",
        remedy: "build it anew with this version's 'streamrouter extension build'")
    }
    if let flaw = record.manifest.flaws.first { throw damaged("has an impossible description: \(flaw)") }
    guard record.manifest.stateBytes <= Self.largestState else {
      throw damaged("wants \(record.manifest.stateBytes) bytes of state; \(Self.largestState) are the limit")
    }
    let state = record.state.isEmpty ? [UInt8](repeating: 0, count: record.manifest.stateBytes) : record.state
    guard state.count == record.manifest.stateBytes else {
      throw damaged("has a first state of another size than its description says")
    }
    manifest = record.manifest
    content = record.content
    initialState = state
    image = bytes
    self.native = Array(bytes[native])
    nativeMachine = record.machine
    upcallImage = sections[Self.upcallSection].map { Array(bytes[$0]) } ?? []
  }

  /// What the node would link that is no extension; nil where there is nothing. The native code is looked at where it
  /// is loaded.
  var kernelFlaw: String? {
    guard let sections = ELFSections(image) else { return "has no ELF structure" }
    if let other = sections.names.filter({ !Self.sections.contains($0) && !$0.hasPrefix(".rodata") }).min() {
      return [".data", ".bss"].contains { other.hasPrefix($0) }
        ? "has global variables, which all relays would share: keep them in State"
        : "has a section \(other), which is no part of an extension"
    }
    guard let code = sections[".text"], sections.function(Self.symbols[0], in: image) != nil else {
      return "lacks its function"
    }
    let functions = sections.externalCalls(in: image)
    let wanted = Set((manifest.needs + manifest.likes).map { "sr_function_\($0.rawValue)" })
    for (place, call) in BPFInstruction.all(in: image, code).enumerated() where call.isCall {
      if let name = functions[place * 8], call.code == 0x85, call.source == 1, wanted.contains(name) {
        continue
      }
      if call.code != 0x85 || call.source != 0 || Self.helpers[Int(call.immediate)] == nil {
        return "calls \(call.callee), which extensions may not"
      }
    }
    return nil
  }

  /// The object as it is linked into one of the datapath's places.
  func image(slot: UInt32) -> [UInt8] {
    var image = image
    let number = Array((slot < 10 ? "0\(slot)" : "\(slot)").utf8)
    for name in Self.symbols.map({ Array($0.utf8) }) {
      var start = 0
      while start + name.count <= image.count {
        if image[start] == name[0], image[start..<start + name.count].elementsEqual(name) {
          image.replaceSubrange(start + name.count - 2..<start + name.count, with: number)
          start += name.count
        } else {
          start += 1
        }
      }
    }
    return image
  }

  /// The file with its content hash filled in.
  static func sealed(_ bytes: [UInt8]) throws(ExtensionError) -> [UInt8] {
    guard let sections = ELFSections(bytes), let range = sections[recordSection],
      let place = digits(bytes, in: range), let hash = hash(bytes, recordAt: range)
    else {
      throw .internalFailure(step: "sealing the object", detail: "the description is not where it was put")
    }
    var sealed = bytes
    sealed.replaceSubrange(place, with: Array(hash.utf8))
    return sealed
  }

  private static func hash(_ bytes: [UInt8], recordAt range: Range<Int>) -> String? {
    guard let place = digits(bytes, in: range) else { return nil }
    var blank = bytes
    blank.replaceSubrange(place, with: Array(noContent.utf8))
    return SHA256.hash(data: blank).hex()
  }

  /// Where the 64 digits of the content hash stand.
  private static func digits(_ bytes: [UInt8], in range: Range<Int>) -> Range<Int>? {
    let key = Array("\"content\":\"".utf8)
    guard range.count >= key.count + 64 else { return nil }
    for start in range.lowerBound...(range.upperBound - key.count - 64)
    where bytes[start] == key[0] && bytes[start..<start + key.count].elementsEqual(key) {
      return start + key.count..<start + key.count + 64
    }
    return nil
  }
}

/// The sections of a 64-bit little-endian ELF file (System V ABI, chapter 4), by name.
struct ELFSections {
  private var ranges: [String: Range<Int>] = [:]

  /// nil: no such file, or its tables lie outside it.
  init?(_ bytes: [UInt8]) {
    func number(_ at: Int, _ count: Int) -> Int? {
      guard at >= 0, at <= bytes.count - count else { return nil }
      let value = bytes[at..<at + count].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      return Int(exactly: value)
    }
    guard bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]), let table = number(40, 8),
      let size = number(58, 2),
      let count = number(60, 2), let names = number(62, 2), size >= 64, count < 4096, names < count
    else { return nil }
    func range(_ section: Int) -> Range<Int>? {
      guard table <= bytes.count, let offset = number(table + section * size + 24, 8),
        let length = number(table + section * size + 32, 8), offset <= bytes.count,
        length <= bytes.count - offset
      else { return nil }
      return offset..<offset + length
    }
    guard let texts = range(names) else { return nil }
    for section in 0..<count {
      guard let start = number(table + section * size, 4), let kind = number(table + section * size + 4, 4)
      else {
        return nil
      }
      // SHT_NOBITS takes no room in the file.
      guard kind != 8, kind != 0 else { continue }
      guard start < texts.count, let range = range(section) else { return nil }
      let name = bytes[(texts.lowerBound + start)..<texts.upperBound].prefix { $0 != 0 }
      ranges[String(decoding: name, as: UTF8.self)] = range
    }
  }

  subscript(name: String) -> Range<Int>? { ranges[name] }

  var names: some Sequence<String> { ranges.keys }

  /// Calls in section .text of functions that are defined elsewhere: their names by the place of the instruction.
  func externalCalls(in bytes: [UInt8]) -> [Int: String] {
    guard let relocations = ranges[".rel.text"], let symbols = ranges[".symtab"], let names = ranges[".strtab"]
    else { return [:] }
    func number(_ at: Int, _ count: Int) -> UInt64 {
      bytes[at..<at + count].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }
    var calls: [Int: String] = [:]
    // Elf64_Rel has 16 bytes: offset, then the symbol's number above the type, which is R_BPF_64_32 (10) for calls.
    for relocation in stride(from: relocations.lowerBound, through: relocations.upperBound - 16, by: 16) {
      guard number(relocation + 8, 4) == 10, let place = Int(exactly: number(relocation, 8)) else { continue }
      let (symbol, overflow) = Int(number(relocation + 12, 4)).multipliedReportingOverflow(by: 24)
      guard !overflow, symbol <= symbols.count - 24 else { continue }
      let entry = symbols.lowerBound + symbol
      // Section 0: undefined.
      guard number(entry + 6, 2) == 0, let start = Int(exactly: number(entry, 4)), start < names.count else {
        continue
      }
      let name = bytes[(names.lowerBound + start)..<names.upperBound].prefix { $0 != 0 }
      calls[place] = String(decoding: name, as: UTF8.self)
    }
    return calls
  }

  /// Where a function of section .text stands, by the symbol table.
  func function(_ name: String, in bytes: [UInt8]) -> Range<Int>? {
    guard let symbols = ranges[".symtab"], let names = ranges[".strtab"], let text = ranges[".text"] else {
      return nil
    }
    func number(_ at: Int, _ count: Int) -> Int? {
      Int(exactly: bytes[at..<at + count].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
    // Elf64_Sym has 24 bytes: name, info, other, section, value, size.
    for symbol in stride(from: symbols.lowerBound, through: symbols.upperBound - 24, by: 24) {
      guard let start = number(symbol, 4), start < names.count, let value = number(symbol + 8, 8),
        let size = number(symbol + 16, 8),
        bytes[(names.lowerBound + start)..<names.upperBound].prefix(while: { $0 != 0 }).elementsEqual(
          name.utf8),
        value <= text.count, size <= text.count - value
      else { continue }
      return text.lowerBound + value..<text.lowerBound + value + size
    }
    return nil
  }
}
