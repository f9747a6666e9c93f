/// Writes the Prometheus text format, version 0.0.4: HELP and TYPE of a family, then its samples.
struct MetricsText {
  /// The media type that Prometheus expects of this text.
  static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// Label pairs, ready to be written: made once for the many samples that carry them.
  struct Labels: Hashable, Sendable {
    fileprivate(set) var text: String

    init(_ pairs: [(name: String, value: String)]) {
      text = pairs.map { "\($0.name)=\"\(MetricsText.escaped($0.value))\"" }.joined(separator: ",")
    }

    func with(_ name: String, _ value: String) -> Labels {
      var labels = self
      labels.text += ",\(name)=\"\(MetricsText.escaped(value))\""
      return labels
    }
  }

  private(set) var text = ""

  /// Reserves room, so that the text of a thousand relays is not copied as it grows.
  init(expecting bytes: Int = 0) { text.reserveCapacity(bytes) }

  /// Begins a family. All its samples follow before the next.
  mutating func family(_ family: MetricFamily) {
    text += "# HELP \(family.name) \(Self.escaped(family.help, quotes: false))\n"
    text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
  }

  mutating func sample(_ family: MetricFamily, suffix: String = "", _ labels: Labels, _ value: UInt64) {
    line(family, suffix, labels, String(value))
  }

  mutating func sample(_ family: MetricFamily, suffix: String = "", _ labels: Labels, _ value: Double) {
    line(family, suffix, labels, Self.number(value))
  }

  private mutating func line(
    _ family: MetricFamily, _ suffix: String, _ labels: Labels, _ value: String
  ) {
    text += family.name
    text += suffix
    text += "{"
    text += labels.text
    text += "} "
    text += value
    text += "\n"
  }

  /// Go's notation, which Swift's is but for the infinities.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return String(describing: value)
  }

  /// A backslash before backslashes and, in a label's value, quotes; `\n` for a line feed.
  static func escaped(_ text: String, quotes: Bool = true) -> String {
    guard text.utf8.contains(where: { $0 == 0x5c || $0 == 0x0a || ($0 == 0x22 && quotes) }) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\"" where quotes: result += "\\\""
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
