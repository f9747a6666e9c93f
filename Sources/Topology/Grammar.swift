/// The words of the file format: the one table that the decoder reads by and topologies/schema.json is tested
/// against.
enum Grammar {
  /// The keys of one kind of mapping.
  struct Form {
    /// What an error calls it.
    let name: String
    let required: [String]
    let optional: [String]

    var keys: [String] { required + optional }
  }

  static let topology = Form(
    name: "topology", required: ["version", "name", "nodes"], optional: ["links", "streams", "probe"])
  /// Exactly one of `address` and `addresses` is needed too.
  static let node = Form(
    name: "node", required: [], optional: ["address", "addresses", "engine", "scheduling", "labels"])
  static let scheduling = Form(name: "scheduling", required: ["policy"], optional: ["priority"])
  static let link = Form(name: "link", required: ["between"], optional: ["addresses", "mtu", "probe"])
  static let probe = Form(name: "probe", required: [], optional: ["interval", "port"])
  static let stream = Form(
    name: "stream", required: ["protocol", "from", "to"],
    optional: ["via", "sources", "family", "dscp", "clockRate", "mode", "extensions", "expect"])
  static let `extension` = Form(name: "extension", required: ["name"], optional: ["with", "at"])
  static let expectation = Form(name: "expectation", required: [], optional: StreamLimit.names)

  /// The file of `lab up --hosts`.
  static let hosts = Form(name: "hosts file", required: ["hosts"], optional: ["controller", "address"])

  static let engines = EngineChoice.allCases.map(\.rawValue)
  static let protocols = StreamProtocol.allCases.map(\.rawValue)
  static let modes = TCPMode.allCases.map(\.rawValue)
  static let families = IPAddress.Family.allCases.map(\.rawValue)
  static let policies = ["other", "rr", "fifo"]

  /// Names of differentiated services code points, in the order of their values: class selectors (RFC 2474
  /// section 4.2.2), lower effort (RFC 8622), assured forwarding (RFC 2597 section 6), voice-admit (RFC 5865)
  /// and expedited forwarding (RFC 3246).
  static let dscp: KeyValuePairs<String, UInt8> = [
    "cs0": 0, "le": 1, "cs1": 8, "af11": 10, "af12": 12, "af13": 14, "cs2": 16, "af21": 18, "af22": 20,
    "af23": 22, "cs3": 24, "af31": 26, "af32": 28, "af33": 30, "cs4": 32, "af41": 34, "af42": 36, "af43": 38,
    "cs5": 40, "va": 44, "ef": 46, "cs6": 48, "cs7": 56,
  ]

  /// What the names of topologies, nodes, streams and extensions look like, lengths apart.
  static let namePattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"

  /// Whether the text matches ``namePattern`` and is not longer than `limit`.
  static func isName(_ text: String, limit: Int) -> Bool {
    let bytes = text.utf8
    guard let first = bytes.first, let last = bytes.last, bytes.count <= limit else { return false }
    let hyphen = UInt8(ascii: "-")
    return first != hyphen && last != hyphen
      && bytes.allSatisfy {
        $0 == hyphen || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
          || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
      }
  }

  /// What the names of an extension's parameters look like, lengths apart: those of a field in its author's source.
  static let parameterNamePattern = "^[A-Za-z][A-Za-z0-9_]*$"

  /// Whether the text matches ``parameterNamePattern`` and is not too long.
  static func isParameterName(_ text: String) -> Bool {
    let letters = [UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z")]
    let others = [UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_")...UInt8(ascii: "_")]
    guard let first = text.utf8.first, text.utf8.count <= Limits.parameterNameLength else { return false }
    return letters.contains { $0.contains(first) }
      && text.utf8.allSatisfy { byte in (letters + others).contains { $0.contains(byte) } }
  }

  /// Integers that YAML and JSON take for text: decimal digits and a power of 1000, or hexadecimal digits.
  static let numberTextPattern = "^(-?[0-9]+[kMG]|0x[0-9a-fA-F]+)$"
}
