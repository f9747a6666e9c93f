import Crypto
import Foundation
import SwiftASN1
import X509

extension Certificate {
  /// Reads DER that is no larger than a certificate should be.
  init(encoded: [UInt8]) throws {
    guard encoded.count <= IdentityLimits.encodedBytes else {
      throw IdentityError.badCertificate(reason: "it has more than \(IdentityLimits.encodedBytes) bytes")
    }
    self = try Certificate(derEncoded: encoded)
  }

  /// Its DER.
  func encoded() throws -> [UInt8] {
    var serializer = DER.Serializer()
    try serializer.serialize(self)
    return serializer.serializedBytes
  }
}

/// PEM as files hold it.
enum PEM {
  static func text(_ certificate: [UInt8]) -> String {
    PEMDocument(type: Certificate.defaultPEMDiscriminator, derBytes: certificate).pemString + "\n"
  }

  /// The DER of all certificates of a text, and nothing but certificates.
  static func certificates(_ text: String) throws -> [[UInt8]] {
    try PEMDocument.parseMultiple(pemString: text).map { document in
      guard document.discriminator == Certificate.defaultPEMDiscriminator else {
        throw IdentityError.badCertificate(reason: "it holds something else than certificates")
      }
      return document.derBytes
    }
  }
}

/// SHA-256 of a certificate's DER.
struct CertificateDigest: Hashable, Sendable {
  let bytes: [UInt8]

  init(of encoded: [UInt8]) { bytes = Array(SHA256.hash(data: encoded)) }
  init(bytes: [UInt8]) { self.bytes = bytes }
}

extension CertificateDigest: Codable {
  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let bytes = [UInt8](hexadecimal: try container.decode(String.self)), bytes.count == 32 else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "no SHA-256")
    }
    self.bytes = bytes
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(bytes.hexadecimal)
  }
}

extension UInt8 {
  var isHexadecimalDigit: Bool { Character(UnicodeScalar(self)).isHexDigit }
}

extension Collection<UInt8> {
  var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}

extension [UInt8] {
  init?(hexadecimal text: String) {
    let digits = Array(text.utf8)
    guard digits.count.isMultiple(of: 2), digits.allSatisfy(\.isHexadecimalDigit) else { return nil }
    self = stride(from: 0, to: digits.count, by: 2).map { index in
      // Both are digits, so this is a number.
      UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16)!
    }
  }
}
