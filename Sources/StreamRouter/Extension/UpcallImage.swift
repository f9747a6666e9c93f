import CStreamRouter

/// Whether an image for engine upcall is one that the kernel module loads, told at build time in the words that the module
/// has for it. The module looks again, at every byte (kmodule/image.c).
enum UpcallImage {
  /// The rule that an image breaks; nil: none.
  static func flaw(of image: [UInt8]) -> sr_image_flaw? {
    guard image.count >= 64, image.count <= Int(SR_IMAGE_BYTES.rawValue) else { return SR_IMAGE_FLAW_SIZE }
    func number(_ at: Int, _ count: Int) -> Int? {
      guard at >= 0, at <= image.count - count else { return nil }
      return Int(exactly: image[at..<at + count].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
    // ELFCLASS64, little-endian; ET_DYN, EM_X86_64.
    guard image.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]), number(16, 2) == 3, number(18, 2) == 62 else {
      return SR_IMAGE_FLAW_FORMAT
    }
    guard let table = number(32, 8), number(54, 2) == 56, let count = number(56, 2), number(60, 2) == 0,
      table <= image.count
    else {
      return SR_IMAGE_FLAW_HEADERS
    }
    var loads: [Segment] = []
    var dynamic: Range<Int>?
    for place in 0..<count {
      let start = table + 56 * place
      guard let kind = number(start, 4), let flags = number(start + 4, 4), let offset = number(start + 8, 8),
        let address = number(start + 16, 8), let inFile = number(start + 32, 8),
        let inMemory = number(start + 40, 8),
        offset <= image.count, inFile <= image.count - offset, inMemory >= inFile,
        inMemory <= Int(SR_IMAGE_DATA_END.rawValue), address <= Int(SR_IMAGE_DATA_END.rawValue) - inMemory
      else { return SR_IMAGE_FLAW_SEGMENT_BOUNDS }
      switch kind {
      case 1:
        if flags & 3 == 3 { return SR_IMAGE_FLAW_WRITABLE_CODE }
        loads.append(
          Segment(memory: address..<address + inMemory, offset: offset, inFile: inFile, flags: flags))
      case 2: dynamic = offset..<offset + inFile
      case 0x6474_e551: if flags & 1 != 0 { return SR_IMAGE_FLAW_EXECUTABLE_STACK }
      default: return SR_IMAGE_FLAW_SEGMENT_KIND
      }
    }
    guard let entry = number(24, 8), loads.contains(where: { $0.flags & 1 != 0 && $0.memory.contains(entry) })
    else {
      return SR_IMAGE_FLAW_ENTRY
    }
    guard let dynamic else { return nil }
    return relocations(in: dynamic, loads, number)
  }

  private struct Segment {
    var memory: Range<Int>
    var offset: Int
    var inFile: Int
    var flags: Int
  }

  private static func relocations(
    in dynamic: Range<Int>, _ loads: [Segment], _ number: (Int, Int) -> Int?
  ) -> sr_image_flaw? {
    var tags: [Int: Int] = [:]
    for start in stride(from: dynamic.lowerBound, through: dynamic.upperBound - 16, by: 16) {
      guard let tag = number(start, 8), let value = number(start + 8, 8) else { return SR_IMAGE_FLAW_DYNAMIC }
      if tag == 0 { break }
      tags[tag] = value
    }
    // DT_NEEDED, DT_INIT, DT_FINI, DT_REL, DT_JMPREL, DT_TEXTREL, and the arrays of initialisers.
    if [1, 12, 13, 17, 23, 22, 25, 26, 32].contains(where: { tags[$0] != nil }) {
      return SR_IMAGE_FLAW_DYNAMIC
    }
    // DT_RELA, DT_RELASZ.
    guard let table = tags[7], let bytes = tags[8] else { return nil }
    guard let segment = loads.first(where: { $0.memory.contains(table) }),
      bytes <= segment.inFile - (table - segment.memory.lowerBound)
    else { return SR_IMAGE_FLAW_RELOCATION_BOUNDS }
    let first = segment.offset + table - segment.memory.lowerBound
    for start in stride(from: first, to: first + bytes, by: 24) {
      guard let target = number(start, 8), let kind = number(start + 8, 8) else {
        return SR_IMAGE_FLAW_RELOCATION_BOUNDS
      }
      if kind != 8 { return kind >> 32 != 0 ? SR_IMAGE_FLAW_IMPORT : SR_IMAGE_FLAW_RELOCATION_KIND }
      guard
        loads.contains(where: {
          $0.flags & 2 != 0 && $0.memory.contains(target) && target <= $0.memory.upperBound - 8
        })
      else { return SR_IMAGE_FLAW_RELOCATION_BOUNDS }
    }
    return nil
  }
}

extension ExtensionObject {
  /// What the kernel module would refuse; nil where there is nothing, or no image.
  var upcallFlaw: String? {
    guard !upcallImage.isEmpty else { return nil }
    return UpcallImage.flaw(of: upcallImage).map {
      "has an image for engine upcall that \(String(cString: sr_image_flaw_text($0.rawValue)))"
    }
  }
}
