import Glibc

/// What is wrong with the native code of an extension before it is handed to the dynamic loader, which trusts what it
/// loads: nothing of it may run by being loaded, and it brings no other library with it.
///
/// Numbers are those of the System V ABI and its supplements.
enum NativeCode {
  private static let loadable: UInt64 = 1
  private static let dynamic: UInt64 = 2
  private static let stack: UInt64 = 0x6474_e551
  private static let executable: UInt64 = 1
  private static let writable: UInt64 = 2

  private enum Tag {
    static let needed: UInt64 = 1
    static let strings: UInt64 = 5
    static let symbols: UInt64 = 6
    static let relocations: UInt64 = 7
    static let relocationBytes: UInt64 = 8
    static let initialise: UInt64 = 12
    static let finalise: UInt64 = 13
    static let jumpRelocationBytes: UInt64 = 2
    static let jumpRelocations: UInt64 = 23
    static let initialiseArray: UInt64 = 25
    static let finaliseArray: UInt64 = 26
    static let preinitialiseArray: UInt64 = 32
    static let auditors: Set<UInt64> = [0x6fff_fefc, 0x7fff_fffd, 0x7fff_ffff]
  }

  #if arch(x86_64)
    private static let indirect: UInt64 = 37
  #elseif arch(arm64)
    private static let indirect: UInt64 = 1032
  #else
    private static let indirect: UInt64 = 58
  #endif

  /// A sentence without its subject; nil: nothing.
  static func flaw(_ bytes: [UInt8]) -> String? {
    func number(_ at: UInt64, _ count: UInt64) -> UInt64? {
      guard at <= UInt64(bytes.count), count <= UInt64(bytes.count) - at else { return nil }
      return bytes[Int(at)..<Int(at + count)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    let damaged = "is damaged"
    let runsByBeingLoaded = "has code that would run by being loaded"
    // A shared object (ET_DYN) of 64 bits, little endian.
    guard bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]), number(16, 2) == 3, let table = number(32, 8),
      number(54, 2) == 56, let count = number(56, 2), count <= 64, table <= UInt64(bytes.count)
    else { return damaged }
    struct Segment {
      var kind: UInt64, offset: UInt64, address: UInt64, bytes: UInt64
    }
    var segments: [Segment] = []
    var stackIsPlain = false
    var end: UInt64 = 0
    for place in 0..<count {
      let at = table + place * 56
      guard let kind = number(at, 4), let flags = number(at + 4, 4), let offset = number(at + 8, 8),
        let address = number(at + 16, 8), let size = number(at + 32, 8), let memory = number(at + 40, 8),
        offset <= UInt64(bytes.count), size <= UInt64(bytes.count) - offset, size <= memory, memory <= 16 << 20,
        address <= 1 << 32
      else { return damaged }
      if kind == loadable {
        if flags & writable != 0, flags & executable != 0 {
          return "wants memory that it can both write and execute"
        }
        // In order and in pages of their own, lest one segment hides another.
        guard address / 4096 >= end else { return damaged }
        end = (address + memory + 4095) / 4096
      }
      if kind == stack, flags & executable == 0 { stackIsPlain = true }
      segments.append(Segment(kind: kind, offset: offset, address: address, bytes: size))
    }
    guard stackIsPlain else { return "wants a stack that it can execute" }
    // Where in the file an address comes from.
    func file(_ address: UInt64) -> UInt64? {
      segments.first {
        $0.kind == loadable && address >= $0.address && address - $0.address < $0.bytes
      }.map { address - $0.address + $0.offset }
    }
    var tags: [UInt64: UInt64] = [:]
    guard segments.filter({ $0.kind == dynamic }).count == 1,
      let table = segments.first(where: { $0.kind == dynamic }),
      // The loader goes by the address.
      file(table.address) == table.offset
    else { return damaged }
    var at = table.offset
    while true {
      guard let tag = number(at, 8), let value = number(at + 8, 8) else { return damaged }
      if tag == 0 { break }
      if tag == Tag.needed || Tag.auditors.contains(tag) { return "needs another library" }
      let runs = [
        Tag.initialise, Tag.finalise, Tag.initialiseArray, Tag.finaliseArray, Tag.preinitialiseArray,
      ]
      if runs.contains(tag) { return runsByBeingLoaded }
      guard tags.updateValue(value, forKey: tag) == nil else { return damaged }
      at += 16
    }
    // A symbol that stands for a function which chooses the function (STT_GNU_IFUNC). Linkers put the names behind the
    // table of symbols, which does not tell its own length.
    guard let symbols = tags[Tag.symbols].flatMap(file), let strings = tags[Tag.strings].flatMap(file),
      symbols < strings
    else { return damaged }
    for symbol in stride(from: symbols, to: strings, by: 24) {
      guard let kind = number(symbol + 4, 1) else { return damaged }
      if kind & 0xf == 10 { return runsByBeingLoaded }
    }
    for (start, size) in [
      (Tag.relocations, Tag.relocationBytes), (Tag.jumpRelocations, Tag.jumpRelocationBytes),
    ] {
      guard let address = tags[start] else { continue }
      guard let first = file(address), let size = tags[size], size <= UInt64(bytes.count) else {
        return damaged
      }
      for relocation in stride(from: first, to: first + size, by: 24) {
        guard let kind = number(relocation + 8, 4) else { return damaged }
        if kind == indirect { return runsByBeingLoaded }
      }
    }
    return nil
  }
}
