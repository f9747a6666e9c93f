/// The names of what a lab makes in the kernel, shortened where the kernel or the eye sets a limit.
public enum LabNames {
  /// Longest name of a network namespace that a lab makes.
  public static let namespaceLimit = 60
  /// Longest name of a network device, in bytes (IFNAMSIZ less the terminating zero).
  public static let deviceLimit = 15
  /// The node name that stands for everything outside the topology.
  public static let outside = "outside"

  /// What all namespaces of a topology begin with.
  public static func namespacePrefix(topology: String) -> String { "sr-\(topology)-" }

  /// The namespace of one node.
  public static func namespace(topology: String, node: String) -> String {
    shorten(
      node, after: namespacePrefix(topology: topology), limit: namespaceLimit, hashDigits: 8)
  }

  /// The device that leads to a neighbour.
  public static func device(to peer: String) -> String {
    shorten(peer, after: "to-", limit: deviceLimit, hashDigits: 6)
  }

  /// `prefix` + `name`; where that is too long, the beginning of the name, `-` and a hash of all of it, so that
  /// names which begin alike stay apart and the same name is shortened alike every time.
  private static func shorten(_ name: String, after prefix: String, limit: Int, hashDigits: Int) -> String {
    let full = prefix + name
    guard full.utf8.count > limit else { return full }
    let digits = hex(stableHash(name)).suffix(hashDigits)
    return prefix + name.prefix(limit - prefix.utf8.count - hashDigits - 1) + "-" + digits
  }

  /// 16 hexadecimal digits.
  static func hex(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// FNV-1a with 64 bits: the same in every process, which Swift's own hash is not.
  static func stableHash(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  static func stableHash(_ text: String) -> UInt64 { stableHash(text.utf8) }
}
