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
  /// What a hexadecimal digit stands for; nil for another character.
  var hexadecimalDigit: UInt8? {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}

extension Collection<UInt8> {
  var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(2 * count)
    for byte in self {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }
}

extension [UInt8] {
  init?(hexadecimal text: String) {
    self = []
    var high: UInt8?
    for character in text.utf8 {
      guard let digit = character.hexadecimalDigit else { return nil }
      if let first = high { append(first << 4 | digit) }
      high = high == nil ? digit : nil
    }
    // An odd digit is left over.
    if high != nil { return nil }
  }
}
