import Foundation

extension Duration {
  /// Seconds, for arithmetic with `Date`.
  var inSeconds: TimeInterval {
    TimeInterval(components.seconds) + TimeInterval(components.attoseconds) / 1e18
  }

  /// For messages: "6 min", "24 h", "30 d".
  var inWords: String {
    let seconds = Int(inSeconds.rounded())
    return switch seconds {
    case ..<120: "\(seconds) s"
    case ..<7200: "\(seconds / 60) min"
    case ..<(2 * 86_400): "\(seconds / 3600) h"
    default: "\(seconds / 86_400) d"
    }
  }
}

extension Date {
  /// Certificates and files hold whole seconds.
  var wholeSeconds: Date { Date(timeIntervalSince1970: timeIntervalSince1970.rounded(.down)) }

  static func + (date: Date, duration: Duration) -> Date { date.addingTimeInterval(duration.inSeconds) }
  static func - (date: Date, duration: Duration) -> Date { date.addingTimeInterval(-duration.inSeconds) }

  /// UTC in the form of RFC 3339.
  var inWords: String { formatted(.iso8601) }
}

/// How files of this room are written: keys in order, so that a difference shows what changed.
enum StateCoding {
  static func encode(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = .iso8601
    return Array(try encoder.encode(value))
  }

  static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    return try decoder.decode(type, from: Data(bytes))
  }
}
