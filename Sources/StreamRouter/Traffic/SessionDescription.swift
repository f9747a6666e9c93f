import Foundation
import Topology

import struct Topology.Stream

/// A session description (SDP, RFC 8866) for a player at the sinks of streams.
///
/// There is no a=source-filter: the source address of what arrives is that of the previous hop with engine sandbox
/// and of the last hop with engine process, which the player cannot know beforehand.
public struct SessionDescription: Hashable, Sendable {
  /// One m= line and what belongs to it.
  public struct Media: Hashable, Sendable {
    public var stream: String
    /// Where the player listens.
    public var sink: Endpoint
    public var transport: StreamProtocol
    public var format: MediaFormat
    public var payloadType: UInt8
    /// The value of a=fmtp behind the payload type; nil: none.
    public var parameters: String?

    /// - Parameters:
    ///   - format: nil: what is likely from the clock rate that the topology gives.
    ///   - payloadType: nil: the one that the format has by itself.
    public init(
      _ stream: Stream, at sink: Endpoint, format: MediaFormat? = nil, payloadType: UInt8? = nil,
      parameters: String? = nil
    ) {
      self.stream = stream.name
      self.sink = sink
      transport = stream.transport
      var chosen =
        format
        ?? (stream.transport == .udp
          ? MediaFormat.named("mpegts")! : MediaFormat.likely(clockRate: stream.clockRate))
      // L16 at 44.1 kHz and the like: the topology knows the clock, except where the format has but one.
      if let rate = stream.clockRate, ["l16", "l24"].contains(chosen.name) { chosen.clockRate = rate }
      self.format = chosen
      self.payloadType = payloadType ?? chosen.payloadType
      self.parameters = parameters ?? chosen.parameters
    }

    /// Why the topology and the format cannot both be right; nil: they can.
    public func contradiction(with stream: Stream) -> String? {
      guard let rate = stream.clockRate, rate != format.clockRate else { return nil }
      return "the topology says clockRate \(rate), but \(format.name) counts at \(format.clockRate) Hz"
    }

    /// The c= line that it needs.
    var connection: String {
      "c=IN \(sink.address.family == .ipv4 ? "IP4" : "IP6") \(sink.address)"
    }

    /// Lines of the description.
    ///
    /// - Parameter connection: The c= line of the session.
    func lines(sender: SenderDescription.Media?, connection: String) -> [String] {
      let media = sender?.media ?? format.media
      let types = sender?.payloadTypes ?? "\(payloadType)"
      // ffmpeg takes a plain UDP m= line by the number that MPEG-TS has in RTP.
      var lines = ["m=\(media) \(sink.port) \(transport == .udp ? "udp" : "RTP/AVP") \(types)"]
      if self.connection != connection { lines.append(self.connection) }
      if transport == .udp {
        // Not RTP: no format is mapped.
      } else if let sender {
        lines += sender.attributes
      } else {
        lines.append("a=rtpmap:\(payloadType) \(format.map)")
        if let parameters { lines.append("a=fmtp:\(payloadType) \(parameters)") }
      }
      return lines + ["a=recvonly"]
    }
  }

  public var name: String
  public var media: [Media]
  /// What the sender says of itself; its media stand for ours in the order of both.
  public var sender: SenderDescription?

  public init(name: String, media: [Media], sender: SenderDescription? = nil) {
    self.name = name
    self.media = media
    self.sender = sender
  }

  /// With the line ends that RFC 8866 section 5 wants.
  public var text: String {
    guard let first = media.first else { return "" }
    let family = first.sink.address.family == .ipv4 ? "IP4" : "IP6"
    // The same streams are the same session, whenever it is described.
    let session = LabNames.stableHash(([name] + media.map { "\($0.stream)\($0.sink)" }).joined(separator: " "))
    // In the session, not in each media: ffmpeg 5.1 overlooks it below an m= line of MPEG-TS.
    var lines = [
      "v=0", "o=- \(session >> 1) 1 IN \(family) \(first.sink.address)", "s=\(name)", first.connection,
      "t=0 0",
    ]
    for (number, media) in media.enumerated() {
      let ofSender = sender.flatMap { $0.media.indices.contains(number) ? $0.media[number] : nil }
      lines += media.lines(sender: ofSender, connection: first.connection)
    }
    return lines.map { $0 + "\r\n" }.joined()
  }
}

/// The parts of an encoder's session description that hold for its receivers too, wherever they are: media, payload
/// types and the attributes of the format. Addresses and ports are the encoder's own and are left out.
public struct SenderDescription: Hashable, Sendable {
  public struct Media: Hashable, Sendable {
    /// `video`, `audio`.
    public var media: String
    /// As they stand in the m= line.
    public var payloadTypes: String
    /// Whole lines: a=rtpmap, a=fmtp and others of the format.
    public var attributes: [String]
  }

  public var media: [Media]

  /// Attributes that describe the format (RFC 8866 section 6), in place of those about the way or the direction.
  private static let kept = ["rtpmap", "fmtp", "ptime", "maxptime", "framerate", "framesize", "rtcp-fb"]
  private static let bytesLimit = 65_536

  /// Reads an encoder's file, as ffmpeg's `-sdp_file` writes it.
  ///
  /// - Throws: ``TrafficError/badDescription(file:reason:)``.
  public init(path: String) throws(TrafficError) {
    guard let handle = FileHandle(forReadingAtPath: path),
      let data = try? handle.read(upToCount: Self.bytesLimit)
    else {
      throw .badDescription(file: path, reason: "it cannot be read; name the file that the encoder wrote")
    }
    try self.init(String(decoding: data, as: UTF8.self), file: path)
  }

  /// - Parameter file: What errors call it.
  public init(_ text: String, file: String) throws(TrafficError) {
    media = []
    for (number, line) in text.split(whereSeparator: \.isNewline).enumerated() {
      // Some of ffmpeg's files begin with a line of its own.
      guard let type = line.first, line.dropFirst().first == "=" else { continue }
      let value = line.dropFirst(2)
      if type == "m" {
        let words = value.split(separator: " ")
        let types = words.dropFirst(3).joined(separator: " ")
        guard words.count > 3, words[2].hasPrefix("RTP/"),
          words.dropFirst(3).allSatisfy({ UInt8($0) ?? 255 < 128 })
        else {
          throw .badDescription(
            file: "\(file):\(number + 1)",
            reason: "'\(line)' is no m= line of RTP, such as m=video 5004 RTP/AVP 96")
        }
        media.append(Media(media: String(words[0]), payloadTypes: types, attributes: []))
      } else if type == "a", !media.isEmpty, Self.kept.contains(String(value.prefix { $0 != ":" })) {
        media[media.count - 1].attributes.append(String(line))
      }
    }
    guard !media.isEmpty else {
      throw .badDescription(file: file, reason: "it has no m= line; name the file that the encoder wrote")
    }
  }
}
