#if arch(x86_64)
  import CStreamRouter
  import Foundation
  import SystemPackage
  import TestSupport
  import Testing

  @testable import StreamRouter

  /// Images for engine upcall: what `extension build` makes keeps the module's rules, and what does not is told.
  @Suite struct UpcallImageTests {
    private static func image() async throws -> [UInt8] {
      let folder = FileManager.default.temporaryDirectory.appending(path: "upcall-image-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let source = URL(filePath: #filePath).deletingLastPathComponent().appending(
        path: "../../../Extensions/Rewrite.swift")
      let product = try await ExtensionBuilder().build(
        source: FilePath(source.standardized.path), into: FilePath(folder.path))
      return product.object.upcallImage
    }

    /// Offset of the first program header of a type (System V ABI, chapter 5).
    private static func header(_ type: UInt8, in image: [UInt8]) throws -> Int {
      try #require((0..<Int(image[56])).map { 64 + 56 * $0 }.first { image[$0] == type && image[$0 + 3] == 0 })
    }

    @Test func builtOnesAreSound() async throws {
      let image = try await Self.image()
      #expect(image.count > 1_000)
      #expect(UpcallImage.flaw(of: image) == nil)

      var other = image
      other[18] = 0xb7  // EM_AARCH64
      #expect(UpcallImage.flaw(of: other) == SR_IMAGE_FLAW_FORMAT)
      other = image
      other[try Self.header(1, in: image) + 4] = 7  // PF_R | PF_W | PF_X
      #expect(UpcallImage.flaw(of: other) == SR_IMAGE_FLAW_WRITABLE_CODE)
      other = image
      other[try Self.header(1, in: image)] = 7  // PT_TLS
      #expect(UpcallImage.flaw(of: other) == SR_IMAGE_FLAW_SEGMENT_KIND)
      other = image
      other[26] = 0x30  // the entry among the data
      #expect(UpcallImage.flaw(of: other) == SR_IMAGE_FLAW_ENTRY)
      #expect(UpcallImage.flaw(of: Array(image.prefix(63))) == SR_IMAGE_FLAW_SIZE)
    }

    /// Neither reads outside the file nor traps.
    @Test func damagedFiles() async throws {
      let image = try await Self.image()
      var random = SeededRandom()
      var flawed = 0
      for length in stride(from: 0, to: image.count, by: 5) {
        _ = UpcallImage.flaw(of: Array(image[..<length]))
      }
      for _ in 0..<5_000 {
        var damaged = image
        for _ in 0...Int.random(in: 0..<4, using: &random) {
          let place = Int.random(in: 0..<min(image.count, 512), using: &random)
          damaged[place] = random.once(in: 2) ? .random(in: 0 ... .max, using: &random) : 0xff
        }
        if UpcallImage.flaw(of: damaged) != nil { flawed += 1 }
      }
      #expect(flawed > 1_000)
    }
  }
#endif
