import Foundation
import Testing

@testable import StreamRouter

/// A built extension comes from anywhere: whatever is wrong with it is found when it is read.
@Suite(.enabled(if: ExtensionWorkbench.obstacle == nil, "\(ExtensionWorkbench.obstacle ?? "")"))
struct ExtensionObjectTests {
  private static func object() async throws -> ExtensionObject {
    try await ExtensionWorkbench.shared.shipped("Sample")
  }

  private static func refusal(_ bytes: [UInt8]) -> String? {
    do {
      _ = try ExtensionObject(bytes: bytes, file: "f.srx")
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test func readsWhatWasWritten() async throws {
    let object = try await Self.object()
    let again = try ExtensionObject(bytes: object.image, file: "again")
    #expect(again.manifest == object.manifest)
    #expect(again.content == object.content)
    #expect(again.initialState.count == 4)
  }

  @Test func refusesEveryTruncation() async throws {
    let image = try await Self.object().image
    var taken: [Int] = []
    for length in image.indices where Self.refusal(Array(image[..<length])) == nil { taken.append(length) }
    #expect(taken == [])
  }

  @Test func refusesFlippedBytes() async throws {
    let image = try await Self.object().image
    let seed = UInt64.random(in: 1...UInt64.max)
    var state = seed
    var taken: [Int] = []
    // The headers byte by byte, the rest at random.
    for round in 0..<600 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      var bytes = image
      let at = round < 64 ? round : Int(state % UInt64(image.count))
      bytes[at] ^= UInt8(1 << (state >> 40 & 7))
      if Self.refusal(bytes) == nil { taken.append(at) }
    }
    #expect(taken == [], "seed \(seed)")
  }

  @Test func saysWhatIsWrong() async throws {
    let object = try await Self.object()
    #expect(
      Self.refusal(Array("no object".utf8))
        == "f.srx: is no built extension: its ELF structure is missing or damaged; build it anew with 'streamrouter extension build'"
    )
    var bytes = object.image
    bytes[200] ^= 1
    #expect(Self.refusal(bytes)?.contains("was changed or damaged after it was built") == true)
    #expect(Self.refusal(object.native)?.contains("is an object file, but no extension") == true)
  }

  /// With a hash that is right: someone built it so.
  @Test(arguments: [
    (
      "\"abi\":3,", "\"abi\":9,",
      "extension sample was built for version 9 of the interface; this streamrouter has 3; build it anew with this version's"
    ),
    ("\"machine\":", "\"mxchine\":", "has a description that cannot be read"),
    ("\"name\":\"sample\"", "\"name\":\"sam/le\"", "has an impossible description"),
    ("\"parameterBytes\":5", "\"parameterBytes\":4", "has an impossible description"),
  ])
  func refusesWhatWasSealedSo(_ from: String, _ to: String, _ message: String) async throws {
    let bytes = try Self.replacing(from, to, in: await Self.object().image)
    let refusal = Self.refusal(bytes)
    #expect(refusal?.contains(message) == true, "\(refusal ?? "taken")")
  }

  /// What is read may still not be linked.
  @Test func refusesToLinkWhatIsNoExtension() async throws {
    let object = try await Self.object()
    #expect(object.kernelFlaw == nil)
    let bytes = try Self.replacing(".rel.text", ".xel.text", in: object.image)
    let other = try ExtensionObject(bytes: bytes, file: "f.srx")
    let error = #expect(throws: ExtensionError.self) {
      _ = try DatapathLinker.link(Data(), [ExtensionPlacement(object: other, slot: 0)], functions: nil)
    }
    #expect(
      error?.description
        == "extension sample: has a section .xel.text, which is no part of an extension; build it anew with 'streamrouter extension build'"
    )
  }

  /// With a hash that is right.
  private static func replacing(_ from: String, _ to: String, in image: [UInt8]) throws -> [UInt8] {
    var bytes = image
    let pattern = Array(from.utf8)
    for at in 0...(bytes.count - pattern.count)
    where bytes[at] == pattern[0] && bytes[at..<at + pattern.count].elementsEqual(pattern) {
      bytes.replaceSubrange(at..<at + pattern.count, with: Array(to.utf8))
    }
    #expect(bytes != image)
    return try ExtensionObject.sealed(bytes)
  }
}
