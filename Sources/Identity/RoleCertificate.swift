import Foundation
import SwiftASN1
import X509

/// A certificate that says who holds it. That it can be read says nothing about who signed it: see ``PeerVerifier``.
public struct RoleCertificate: Hashable, Sendable {
  let x509: Certificate
  /// DER.
  public let encoded: [UInt8]
  public let role: Role
  public let serial: Serial
  /// Whether its holder may admit joiners: only a controller's, which says so by the key purpose of a registration
  /// authority (RFC 6402 section 2.10). Without it any node could pose as the controller to who joins.
  public let admits: Bool

  public var notBefore: Date { x509.notValidBefore }
  public var notAfter: Date { x509.notValidAfter }

  /// id-kp-cmcRA.
  static let registrationAuthority: ASN1ObjectIdentifier = [1, 3, 6, 1, 5, 5, 7, 3, 28]

  public init(encoded: [UInt8]) throws(IdentityError) {
    let certificate: Certificate
    do {
      certificate = try Certificate(encoded: encoded)
    } catch {
      throw .badCertificate(reason: "it cannot be read")
    }
    do {
      try self.init(certificate, encoded: encoded)
    } catch {
      throw .badCertificate(reason: "\(error)")
    }
  }

  init(_ certificate: Certificate, encoded: [UInt8]) throws(PeerRefusal) {
    x509 = certificate
    self.encoded = encoded
    serial = Serial(certificate.serialNumber)
    role = try Self.role(of: certificate)
    let usage = (try? certificate.extensions.extendedKeyUsage) ?? ExtendedKeyUsage()
    guard usage.contains(.clientAuth), usage.contains(.serverAuth) else { throw .wrongUse }
    admits = usage.contains(.init(oid: Self.registrationAuthority))
  }

  /// Exactly one alternative name, a URI of ours: a certificate that says two things may be read in two ways.
  private static func role(of certificate: Certificate) throws(PeerRefusal) -> Role {
    guard let names = try? certificate.extensions.subjectAlternativeNames, !names.isEmpty else {
      throw .noIdentity
    }
    guard names.count == 1 else { throw .severalIdentities(names.count) }
    guard case .uniformResourceIdentifier(let uri) = names[0], let role = Role(uri: uri) else {
      throw .noIdentity
    }
    return role
  }
}

/// The serial number of a certificate: 128 random bits, in hexadecimal.
public struct Serial: Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ number: Certificate.SerialNumber) {
    description = number.bytes.hexadecimal
  }

  /// Reads hexadecimal digits, with or without colons between them; nil for anything else.
  public init?(_ text: String) {
    let digits = text.lowercased().replacing(":", with: "")
    guard (1...40).contains(digits.utf8.count), digits.utf8.allSatisfy({ $0.hexadecimalDigit != nil })
    else { return nil }
    let padded = digits.utf8.count.isMultiple(of: 2) ? digits : "0" + digits
    var bytes = padded[...]
    // As DER has it: no zeros in front.
    while bytes.hasPrefix("00"), bytes.count > 2 { bytes = bytes.dropFirst(2) }
    description = String(bytes)
  }

  static func random() -> Certificate.SerialNumber {
    var generator = SystemRandomNumberGenerator()
    return Certificate.SerialNumber(
      bytes: (0..<16).map { _ in UInt8.random(in: 0 ... .max, using: &generator) })
  }
}

extension Serial: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let serial = Serial(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "no serial number")
    }
    self = serial
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
