#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// An IPv4 or IPv6 address, held as the 16 bytes of its IPv6 form in network order.
///
/// IPv4 addresses are mapped (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2), as in the datapath's tables, so that
/// one comparison serves both families. A mapped address written as IPv6 is therefore the IPv4 address.
public struct IPAddress: Hashable, Sendable {
  /// The address family.
  public enum Family: String, Hashable, Sendable, Codable, CaseIterable {
    case ipv4, ipv6
  }

  /// The upper and lower eight bytes, each as a big-endian number.
  public let high: UInt64
  public let low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Reads dotted IPv4 or RFC 4291 IPv6 text, without brackets, prefix length or zone; nil where it is neither.
  public init?(_ text: some StringProtocol) {
    if let low = Self.dotted(text.utf8) {
      self.init(high: 0, low: 0xffff_0000_0000 | low)
      return
    }
    let text = String(text)
    // C would stop reading at a NUL and take what stands before it.
    guard !text.utf8.contains(0) else { return nil }
    var v6 = in6_addr()
    guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
    let words = withUnsafeBytes(of: &v6) {
      ($0.load(as: UInt64.self), $0.load(fromByteOffset: 8, as: UInt64.self))
    }
    self.init(high: UInt64(bigEndian: words.0), low: UInt64(bigEndian: words.1))
  }

  /// Four numbers of one to three digits below 256 with dots between, and no needless zero before a digit: what inet_pton
  /// reads. Snapshots of many relays are full of them, so that it is done without a copy for C.
  private static func dotted(_ bytes: some Sequence<UInt8>) -> UInt64? {
    var address: UInt64 = 0
    var (part, digits, dots): (UInt64, Int, Int) = (0, 0, 0)
    for byte in bytes {
      if byte == UInt8(ascii: ".") {
        if digits == 0 || dots == 3 { return nil }
        address = address << 8 | part
        (part, digits, dots) = (0, 0, dots + 1)
        continue
      }
      let digit = byte &- UInt8(ascii: "0")
      if digit > 9 || (digits > 0 && part == 0) { return nil }
      part = part * 10 + UInt64(digit)
      digits += 1
      if part > 255 { return nil }
    }
    return digits > 0 && dots == 3 ? address << 8 | part : nil
  }

  public var family: Family { high == 0 && low >> 32 == 0xffff ? .ipv4 : .ipv6 }

  /// 127.0.0.0/8 or ::1.
  public var isLoopback: Bool {
    family == .ipv4 ? (low >> 24) & 0xff == 127 : high == 0 && low == 1
  }

  /// 224.0.0.0/4 or ff00::/8.
  public var isMulticast: Bool {
    family == .ipv4 ? (low >> 28) & 0xf == 0xe : high >> 56 == 0xff
  }

  /// 0.0.0.0 or ::.
  public var isUnspecified: Bool {
    family == .ipv4 ? low & 0xffff_ffff == 0 : high == 0 && low == 0
  }

  /// The four 32-bit words as they stand in memory in network order: the form of the datapath's tables.
  public var words: (UInt32, UInt32, UInt32, UInt32) {
    (
      UInt32(truncatingIfNeeded: high >> 32).bigEndian, UInt32(truncatingIfNeeded: high).bigEndian,
      UInt32(truncatingIfNeeded: low >> 32).bigEndian, UInt32(truncatingIfNeeded: low).bigEndian
    )
  }

  /// The inverse of ``words``.
  public init(words: (UInt32, UInt32, UInt32, UInt32)) {
    self.init(
      high: UInt64(UInt32(bigEndian: words.0)) << 32 | UInt64(UInt32(bigEndian: words.1)),
      low: UInt64(UInt32(bigEndian: words.2)) << 32 | UInt64(UInt32(bigEndian: words.3)))
  }
}

extension IPAddress: CustomStringConvertible {
  /// Dotted IPv4, or IPv6 as RFC 5952 writes it, without brackets.
  public var description: String {
    if family == .ipv4 {
      let bytes: [UInt8] = (0..<4).map { UInt8(truncatingIfNeeded: low >> (24 - 8 * $0)) }
      return bytes.map(String.init).joined(separator: ".")
    }
    var bytes = in6_addr()
    withUnsafeMutableBytes(of: &bytes) {
      $0.storeBytes(of: high.bigEndian, as: UInt64.self)
      $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    _ = inet_ntop(AF_INET6, &bytes, &text, socklen_t(INET6_ADDRSTRLEN))
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension IPAddress: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let address = IPAddress(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is not an IP address")
    }
    self = address
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

/// A socket address: where packets are sent to or received at. Written `10.0.0.1:5004` or `[fd00::1]:5004`.
public struct Endpoint: Hashable, Sendable, Codable, CustomStringConvertible {
  public var address: IPAddress
  public var port: UInt16

  public init(address: IPAddress, port: UInt16) {
    self.address = address
    self.port = port
  }

  /// Reads `10.0.0.1:5004` or `[fd00::1]:5004`; nil where it is neither or the port is 0.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let number = Int(decimal: text[text.index(after: colon)...]),
      let port = UInt16(exactly: number), port > 0
    else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("[") {
      guard host.hasSuffix("]") else { return nil }
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard let address = IPAddress(host) else { return nil }
    self.init(address: address, port: port)
  }

  public var description: String {
    address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
  }
}

/// As it is written in a topology: one text reads several times as quickly as members, and snapshots are full of them.
extension Endpoint {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let endpoint = Endpoint(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "'\(text)' is not an address and a port")
    }
    self = endpoint
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

/// An address with a prefix length: whom a stream accepts packets from. Written `10.0.0.0/24` or `fd00::/64`.
public struct AddressPrefix: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The first address of the prefix: bits behind the prefix are zero.
  public let address: IPAddress
  /// 0 to 32 for IPv4, 0 to 128 for IPv6.
  public let length: Int

  /// nil where the length does not fit the family. Bits behind the prefix are cleared.
  public init?(address: IPAddress, length: Int) {
    guard length >= 0, length <= (address.family == .ipv4 ? 32 : 128) else { return nil }
    let mask = Self.mask(bits: address.family == .ipv4 ? length + 96 : length)
    self.address = IPAddress(high: address.high & mask.high, low: address.low & mask.low)
    self.length = length
  }

  /// The prefix that holds this address alone.
  public init(_ address: IPAddress) {
    self.address = address
    self.length = address.family == .ipv4 ? 32 : 128
  }

  /// Reads `ADDRESS/LENGTH`, or `ADDRESS` alone for one address.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = IPAddress(parts[0]) else { return nil }
    guard parts.count == 2 else {
      self.init(address)
      return
    }
    guard let length = Int(decimal: parts[1]) else { return nil }
    self.init(address: address, length: length)
  }

  /// The mask over the 128-bit form, in the layout of the datapath's tables.
  public var mask: IPAddress { Self.mask(bits: address.family == .ipv4 ? length + 96 : length) }

  public func contains(_ other: IPAddress) -> Bool {
    other.high & mask.high == address.high && other.low & mask.low == address.low
  }

  private static func mask(bits: Int) -> IPAddress {
    IPAddress(
      high: bits == 0 ? 0 : ~UInt64(0) << UInt64(64 - min(bits, 64)),
      low: bits <= 64 ? 0 : ~UInt64(0) << UInt64(128 - bits))
  }

  public var description: String { "\(address)/\(length)" }
}
