import Crypto
import Foundation
import TestSupport
import Testing

@testable import Identity

@Suite struct JoinTokenTests {
  private let token = JoinToken(authority: CertificateDigest(of: [1, 2, 3]))

  /// Vectors of RFC 4648 section 10, in our spelling.
  @Test(arguments: [
    ("", ""), ("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foob", "mzxw6yq"), ("fooba", "mzxw6ytb"),
    ("foobar", "mzxw6ytboi"),
  ])
  func base32(plain: String, text: String) {
    #expect(Base32.encode(plain.utf8) == text)
    #expect(Base32.decode(text.utf8) == Array(plain.utf8))
    #expect(Base32.length(ofBytes: plain.utf8.count) == text.utf8.count)
  }

  /// Spare bits that are set, a character too many, a padding, capitals, digits that are no digits.
  @Test(arguments: ["mz", "m", "mzxw6a", "my======", "MY", "m1", "m8", "m=", "ä"])
  func otherBase32(text: String) {
    #expect(Base32.decode(text.utf8) == nil)
  }

  @Test func aTokenIsReadFromItsText() throws {
    let text = token.text
    #expect(text.wholeMatch(of: /SRJT1-[a-z2-7]{52}-[a-z2-7]{26}/) != nil)
    #expect(try JoinToken(text: text) == token)
    #expect(try JoinToken(text: "\n \(text)\r\n") == token)
    #expect(token.names([1, 2, 3]))
    #expect(!token.names([1, 2, 4]))
  }

  @Test func twoTokensDiffer() {
    #expect(JoinToken(authority: token.authority).secret != token.secret)
  }

  @Test func printingATokenShowsNothing() {
    var dumped = ""
    dump(token, to: &dumped)
    for text in ["\(token)", String(reflecting: token), dumped, "\([token])", "\(Optional(token) as Any)"] {
      #expect(text.contains("SRJT1-…"))
      #expect(!text.contains(Base32.encode(token.secret)))
      #expect(!text.contains("\(token.secret[0]), \(token.secret[1])"))
    }
  }

  @Test func whatIsWrongIsSaid() {
    let text = token.text
    func defect(_ text: String) -> IdentityError.TokenDefect? {
      do throws(IdentityError) {
        _ = try JoinToken(text: text)
        return nil
      } catch {
        guard case .token(let defect) = error else { return nil }
        return defect
      }
    }
    #expect(defect("") == .prefix)
    #expect(defect("K10" + text) == .prefix)
    #expect(defect("SRJT2" + text.dropFirst(5)) == .prefix)
    #expect(defect(text.lowercased()) == .prefix)
    #expect(defect("SRJT1") == .parts(1))
    #expect(defect(text + "-a") == .parts(4))
    #expect(defect(String(text.dropLast(3))) == .length(part: "secret", is: 23, shouldBe: 26))
    #expect(defect(text + "a") == .length(part: "secret", is: 27, shouldBe: 26))
    #expect(defect(text.replacing("SRJT1-", with: "SRJT1-a")) == .length(part: "digest", is: 53, shouldBe: 52))
    #expect(defect("SRJT1-" + text.dropFirst(6).uppercased()) == .characters(part: "digest"))
    #expect(defect(text.dropLast() + "0") == .characters(part: "secret"))
    #expect(defect(String(repeating: "SRJT1-", count: 10_000)) == .prefix)
  }

  @Test func garbageIsAnErrorThatDoesNotRepeatIt() {
    var random = SeededRandom()
    for round in 0..<2000 {
      var bytes = Array(token.text.utf8)
      switch round % 4 {
      case 0: bytes = random.bytes(Int.random(in: 0...200, using: &random))
      case 1: bytes = Array("SRJT1-".utf8) + random.bytes(Int.random(in: 0...100, using: &random))
      case 2: bytes.removeSubrange(Int.random(in: 0..<bytes.count, using: &random)...)
      default:
        let index = Int.random(in: 0..<bytes.count, using: &random)
        let other = UInt8.random(in: 0x80 ... .max, using: &random)
        bytes[index] = other
      }
      let text = String(decoding: bytes, as: UTF8.self)
      do {
        let read = try JoinToken(text: text)
        Issue.record("\(read) was read from \(text.debugDescription), seed \(random.seed)")
      } catch {
        let secret = Base32.encode(token.secret)
        #expect(!error.description.contains(secret), "seed \(random.seed)")
        if text.utf8.count > 12 { #expect(!error.description.contains(text), "seed \(random.seed)") }
      }
    }
  }
}
