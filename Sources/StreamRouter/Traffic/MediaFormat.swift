/// A payload format as session descriptions name it: what stands in `a=rtpmap`, and the payload type it has by
/// itself or by custom.
public struct MediaFormat: Hashable, Sendable {
  /// What users call it: `h264`.
  public var name: String
  /// The media of the m= line: `video` or `audio`.
  public var media: String
  /// As registered for RTP: `H264`, `opus`.
  public var encoding: String
  /// Hz of the time stamps.
  public var clockRate: UInt32
  public var channels: Int?
  /// Static (RFC 3551 section 6), or the dynamic one that encoders use first.
  public var payloadType: UInt8
  /// Parameters without which a receiver would go wrong.
  public var parameters: String?

  private init(
    _ name: String, _ media: String, _ encoding: String, _ clockRate: UInt32, channels: Int? = nil,
    payloadType: UInt8 = 96, parameters: String? = nil
  ) {
    self.name = name
    self.media = media
    self.encoding = encoding
    self.clockRate = clockRate
    self.channels = channels
    self.payloadType = payloadType
    self.parameters = parameters
  }

  /// Those that have a name here.
  public static let known: [MediaFormat] = [
    // RFC 6184; packetization mode 1 (section 6.2) is what encoders send, and receivers of it take mode 0 too.
    MediaFormat("h264", "video", "H264", 90_000, parameters: "packetization-mode=1"),
    MediaFormat("h265", "video", "H265", 90_000),
    MediaFormat("vp8", "video", "VP8", 90_000),
    MediaFormat("vp9", "video", "VP9", 90_000),
    MediaFormat("av1", "video", "AV1", 90_000),
    MediaFormat("jpeg", "video", "JPEG", 90_000, payloadType: 26),
    MediaFormat("mpegts", "video", "MP2T", 90_000, payloadType: 33),
    // RFC 7587 section 7: always 48000/2, whatever is in it.
    MediaFormat("opus", "audio", "opus", 48_000, channels: 2, payloadType: 97),
    MediaFormat("l16", "audio", "L16", 48_000, channels: 2, payloadType: 97),
    MediaFormat("l24", "audio", "L24", 48_000, channels: 2, payloadType: 97),
    MediaFormat("pcmu", "audio", "PCMU", 8_000, payloadType: 0),
    MediaFormat("pcma", "audio", "PCMA", 8_000, payloadType: 8),
    MediaFormat("g722", "audio", "G722", 8_000, payloadType: 9),
    MediaFormat("mpa", "audio", "MPA", 90_000, payloadType: 14),
  ]

  public static func named(_ name: String) -> MediaFormat? {
    known.first { $0.name == name.lowercased() }
  }

  /// What a stream is taken for of which only the clock is known: the most frequent format with this clock.
  static func likely(clockRate: UInt32?) -> MediaFormat {
    switch clockRate {
    case nil, 90_000: known[0]
    case 8_000: MediaFormat("pcmu", "audio", "PCMU", 8_000, payloadType: 0)
    default: MediaFormat("opus", "audio", "opus", 48_000, channels: 2, payloadType: 97)
    }
  }

  /// `H264/90000`, `opus/48000/2`: the value of a=rtpmap (RFC 8866 section 6.6).
  var map: String { "\(encoding)/\(clockRate)" + (channels.map { "/\($0)" } ?? "") }
}
