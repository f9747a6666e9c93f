import JitterStats

/// Hz of the timestamps of each payload type, and where that is known from.
public struct PayloadRates: Hashable, Sendable {
  /// What says the rate of a payload type.
  public enum Origin: String, Hashable, Sendable, Codable {
    /// --clock-rate.
    case option
    /// a=rtpmap of --sdp.
    case description
    /// The payload type itself (RFC 3551 section 6).
    case payloadType = "payload type"
    /// Nothing: 90 kHz.
    case assumed
  }

  private var rates: [UInt8: (rate: UInt32, origin: Origin, format: String?)] = [:]

  public static func == (one: PayloadRates, other: PayloadRates) -> Bool {
    one.rates.mapValues(\.rate) == other.rates.mapValues(\.rate)
  }
  public func hash(into hasher: inout Hasher) { hasher.combine(rates.mapValues(\.rate)) }

  public init() {}

  /// Reads the a=rtpmap lines of a session description.
  /// - Parameter file: What errors call it.
  /// - Throws: ``TrafficError/badDescription(file:reason:)`` where two media give one payload type two rates.
  public init(_ description: SenderDescription, file: String) throws(TrafficError) {
    for media in description.media {
      for attribute in media.attributes {
        // a=rtpmap:96 H264/90000 (RFC 8866 section 6.6).
        guard attribute.hasPrefix("a=rtpmap:") else { continue }
        let words = attribute.dropFirst(9).split(separator: " ")
        let parts = words.dropFirst().first?.split(separator: "/") ?? []
        guard let type = words.first.flatMap({ UInt8($0) }), type < 128, parts.count > 1,
          let rate = UInt32(parts[1]), Self.limits.contains(rate)
        else {
          throw .badDescription(
            file: file,
            reason: "'\(attribute)' is not like a=rtpmap:96 H264/90000; mend it, or use --clock-rate")
        }
        if let former = rates[type], former.rate != rate {
          throw .badDescription(
            file: file,
            reason:
              "it gives payload type \(type) \(former.rate) and \(rate) Hz; say which with --clock-rate \(type)=\(rate) and without --sdp"
          )
        }
        rates[type] = (rate, .description, String(parts[0]))
      }
    }
  }

  /// Hz that a clock can have.
  public static let limits: ClosedRange<UInt32> = 1...1_000_000_000

  /// What the user says goes before anything else.
  public mutating func set(_ rate: UInt32, of payloadType: UInt8) {
    rates[payloadType] = (rate, .option, rates[payloadType]?.format)
  }

  func rate(of payloadType: UInt8) -> UInt32 {
    rates[payloadType]?.rate ?? PayloadClock.rate(payloadType: payloadType)
  }

  func origin(of payloadType: UInt8) -> Origin {
    rates[payloadType]?.origin ?? (payloadType < 35 ? .payloadType : .assumed)
  }

  /// As registered: `H264`; nil: not known.
  func format(of payloadType: UInt8) -> String? {
    rates[payloadType]?.format
      ?? MediaFormat.known.first { $0.payloadType == payloadType && payloadType < 96 }?.encoding
  }
}
