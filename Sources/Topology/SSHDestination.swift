/// Where a machine is reached by ssh, in the words of ssh's own command line: `host`, `user@host`, or
/// `ssh://user@host:port`. A host may be an alias of the user's ssh configuration.
public struct SSHDestination: Hashable, Sendable, Codable, CustomStringConvertible {
  /// As it was written, and as ssh is given it.
  public let description: String

  /// nil, with what to write instead in ``flaw(of:)``, where ssh would not take the text for a destination.
  public init?(_ text: String) {
    guard Self.flaw(of: text) == nil else { return nil }
    description = text
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let destination = SSHDestination(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "no destination of ssh")
    }
    self = destination
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  /// What is wrong with the text, and what to write instead; nil where it is a destination.
  static func flaw(of text: String) -> (message: String, remedy: String)? {
    let example = "write host, user@host, or ssh://user@host:port"
    guard text.utf8.count <= 255, text.utf8.allSatisfy({ isPlain($0) }) else {
      return ("has characters that no user and no host has", example)
    }
    let scheme = "ssh://"
    let isURI = text.hasPrefix(scheme)
    let rest = isURI ? text.dropFirst(scheme.count) : text[...]
    let parts = rest.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    // ssh would take a hyphen at the beginning for an option.
    guard let place = parts.last, !place.isEmpty, parts.allSatisfy({ !$0.isEmpty && $0.first != "-" }) else {
      return ("names no host", example)
    }
    if parts.count == 2, parts[0].contains(where: { ":/[]@".contains($0) }) {
      return ("has a user that no machine has", example + "; no password belongs here")
    }
    if place.contains("/") || place.contains("@") { return ("has something behind the host", example) }
    return isURI ? flaw(ofPlace: place) : flaw(ofHost: place)
  }

  /// Behind `ssh://`: a host, or an address in brackets, with a port or without.
  private static func flaw(ofPlace place: Substring) -> (message: String, remedy: String)? {
    var host = place
    var port: Substring?
    if place.first == "[" {
      guard let close = place.lastIndex(of: "]") else {
        return ("has no closing bracket", "write ssh://user@[fd00::1]:22")
      }
      host = place[place.index(after: place.startIndex)..<close]
      let behind = place[place.index(after: close)...]
      if !behind.isEmpty {
        guard behind.first == ":" else { return ("has something behind the bracket", "write [fd00::1]:22") }
        port = behind.dropFirst()
      }
      guard IPAddress(String(host))?.family == .ipv6 else {
        return ("has no IPv6 address in its brackets", "write ssh://user@[fd00::1]:22")
      }
    } else if let colon = place.firstIndex(of: ":") {
      host = place[..<colon]
      port = place[place.index(after: colon)...]
    }
    if let port, Int(decimal: port).map({ (1...65_535).contains($0) }) != true {
      return ("has no port from 1 to 65535", "write ssh://user@host:22, and an IPv6 address in brackets")
    }
    return host.isEmpty ? ("names no host", "write ssh://user@host") : nil
  }

  /// Without `ssh://` a colon is part of an IPv6 address: ssh takes no port here.
  private static func flaw(ofHost host: Substring) -> (message: String, remedy: String)? {
    if host.contains("[") || host.contains("]") {
      return ("has brackets", "write ssh://user@[fd00::1]:22, or the address without them")
    }
    guard host.contains(":"), IPAddress(String(host)) == nil else { return nil }
    return ("has a port, which ssh takes in one form only", "write ssh://user@host:port")
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
    default: "-._@:/[]%+$".utf8.contains(byte)
    }
  }
}
