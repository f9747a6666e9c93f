import CStreamRouter
import Foundation

/// What the kernel makes of an extension: whether its verifier takes it, and what it costs there.
public struct ExtensionCheck: Sendable, Codable {
  /// BPF instructions of the extension, its frame included.
  public var instructions: Int
  /// Bytes of machine code that the kernel made of it.
  public var machineBytes: Int
  /// Instructions that the verifier followed over all paths: how complex the extension is; 1,000,000 is the limit for
  /// the datapath with all its extensions.
  public var verified: Int
  /// Bytes of stack; the limit is 512 together with the datapath's own.
  public var stackBytes: Int
  /// The helpers of the kernel that it calls, by name.
  public var helpers: [String]

  /// Links the extension into a datapath of its own, loads that, and lets it go. Needs the right to load BPF programs.
  ///
  /// - Throws: ``ExtensionError/refused(name:reason:log:)`` with the verifier's log.
  public static func run(_ object: ExtensionObject) throws -> ExtensionCheck {
    try SandboxPermission.demand()
    let alone = try SandboxDatapath(pins: nil, capacity: 1).programInfo()
    let with = try SandboxDatapath(
      pins: nil, capacity: 1, extensions: [ExtensionPlacement(object: object, slot: 0, instances: 1)]
    ).programInfo()
    let code = try object.instructions()
    let calls = code.filter { $0.code == 0x85 && $0.source == 0 }.map { Int($0.immediate) }
    return ExtensionCheck(
      instructions: code.count, machineBytes: Int(with.jited_prog_len) - Int(alone.jited_prog_len),
      verified: Int(with.verified_insns) - Int(alone.verified_insns),
      stackBytes: code.map(\.stackBytes).max() ?? 0, helpers: Set(calls).map(helper).sorted())
  }

  private static func helper(_ number: Int) -> String {
    ExtensionObject.helpers[number] ?? "helper \(number)"
  }
}

/// One instruction of BPF (Linux, include/uapi/linux/bpf.h).
struct BPFInstruction {
  var code: Int
  var destination: Int
  var source: Int
  var offset: Int
  var immediate: Int32

  /// What stands in a range of a file; half an instruction at its end is left out.
  static func all(in file: [UInt8], _ range: Range<Int>) -> [BPFInstruction] {
    file.withUnsafeBytes { bytes in
      stride(from: range.lowerBound, to: range.upperBound - 7, by: 8).map { at in
        let registers = bytes[at + 1]
        return BPFInstruction(
          code: Int(bytes[at]), destination: Int(registers & 15), source: Int(registers >> 4),
          offset: Int(bytes.loadUnaligned(fromByteOffset: at + 2, as: Int16.self)),
          immediate: bytes.loadUnaligned(fromByteOffset: at + 4, as: Int32.self))
      }
    }
  }

  /// A call, of whatever kind.
  var isCall: Bool { code == 0x85 || code == 0x8d }

  /// What a call goes to, for messages.
  var callee: String {
    switch (code, source) {
    case (0x85, 0): "helper \(immediate) of the kernel"
    case (0x85, 2): "a function of the kernel"
    default: "another function"
    }
  }

  /// How far below the frame pointer (register 10) it reads or writes.
  var stackBytes: Int {
    switch code {
    case 0x61, 0x69, 0x71, 0x79: source == 10 ? max(0, -offset) : 0
    case 0x62, 0x6a, 0x72, 0x7a, 0x63, 0x6b, 0x73, 0x7b: destination == 10 ? max(0, -offset) : 0
    default: 0
    }
  }
}

extension ExtensionObject {
  /// The extension's function as it was built.
  func instructions() throws(ExtensionError) -> [BPFInstruction] {
    guard let sections = ELFSections(image), let range = sections.function(Self.symbols[0], in: image) else {
      throw .unreadable(file: manifest.name, reason: "lacks its function", remedy: "build it anew")
    }
    return BPFInstruction.all(in: image, range)
  }
}
