import ArgumentParser
import Foundation
import StreamRouter
import Topology

/// `streamrouter sdp`: what a player needs to open streams.
struct SDPCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sdp",
    abstract: "Write the SDP with which a player at a stream's sink opens it.",
    discussion: """
      The codec is not in the topology: name it with --codec, or give the encoder's own file with --sender, whose \
      media stand for the streams in the order of both. Without either, a clock of 90 kHz is taken for H.264 and one \
      of 48 kHz for Opus, and standard error says so. Several streams make one session.

      Examples:
        streamrouter sdp video --topology topologies/three-hop.yaml >studio.sdp
        streamrouter sdp video audio --codec video=h265 --payload-type audio=111 >studio.sdp
        streamrouter sdp video --sender camera.sdp >studio.sdp
        ffplay -protocol_whitelist file,udp,rtp studio.sdp

      Exit status: 0 written, 1 failed, 64 wrong usage or a topology that is not valid.
      """)

  @Argument(help: "Streams of the topology, one m= line each.") var streams: [String]
  @Option(
    help: "The topology file or the topology's name; not needed where exactly one lab runs.",
    completion: .file(extensions: ["yaml", "yml"]))
  var topology: String?
  @Option(
    help: "The node, or the address outside, at which the player is; needed where a stream has several sinks.")
  var at: String?
  @Option(
    help: ArgumentHelp(
      "What a stream carries: \(MediaFormat.known.map(\.name).joined(separator: ", ")); repeatable as STREAM=CODEC.",
      valueName: "codec"))
  var codec: [String] = []
  @Option(
    help: ArgumentHelp("RTP payload type, 0 to 127; repeatable as STREAM=NUMBER.", valueName: "number"))
  var payloadType: [String] = []
  @Option(
    help: ArgumentHelp(
      "What stands in a=fmtp, as sprop-parameter-sets=...; repeatable as STREAM:PARAMETERS.",
      valueName: "parameters"))
  var fmtp: [String] = []
  @Option(help: "The encoder's SDP file: its formats, with the sink's address and port.", completion: .file())
  var sender: String?

  func validate() throws {
    if sender != nil, !(codec.isEmpty && payloadType.isEmpty && fmtp.isEmpty) {
      throw ValidationError(
        "--sender says codecs and payload types: leave --codec, --payload-type and --fmtp out")
    }
    for text in codec where MediaFormat.named(Self.value(text, "=")) == nil {
      throw ValidationError(
        "--codec \(text): no such codec; give one of \(MediaFormat.known.map(\.name).joined(separator: ", "))")
    }
    for text in payloadType where UInt8(Self.value(text, "=")) ?? 255 > 127 {
      throw ValidationError("--payload-type \(text): give 0 to 127")
    }
    for text in codec + payloadType {
      if let equals = text.firstIndex(of: "="), !streams.contains(String(text[..<equals])) {
        throw ValidationError("\(text): no stream of that name is asked for")
      }
    }
    if Set(streams).count < streams.count { throw ValidationError("name each stream once") }
  }

  func run() async throws {
    let text = try await TrafficExit.translate {
      let reference = try TrafficReference(topology)
      let sender = try sender.map { try SenderDescription(path: $0) }
      if let sender, sender.media.count < streams.count {
        throw TrafficError.badDescription(
          file: self.sender ?? "",
          reason: "it has \(sender.media.count) m= lines for \(streams.count) streams; name as many streams")
      }
      var media: [SessionDescription.Media] = []
      for name in streams { media.append(try describe(name, reference, isGuess: sender == nil)) }
      return SessionDescription(name: reference.topology.name, media: media, sender: sender).text
    }
    print(text, terminator: "")
  }

  private func describe(
    _ name: String, _ reference: TrafficReference, isGuess: Bool
  ) throws -> SessionDescription.Media {
    let ends = try reference.ends(name)
    try ends.requireDatagrams(for: "sdp")
    let format = Self.choice(codec, name, "=").flatMap { MediaFormat.named($0) }
    let media = SessionDescription.Media(
      ends.stream, at: try ends.sink(at: at).endpoint, format: format,
      payloadType: Self.choice(payloadType, name, "=").flatMap { UInt8($0) },
      parameters: Self.choice(fmtp, name, ":"))
    guard isGuess else { return media }
    if let contradiction = media.contradiction(with: ends.stream) { Report.note("\(name): \(contradiction)") }
    if ends.stream.transport == .udp {
      Report.note(
        "\(name): plain UDP, taken for MPEG-TS; players open it without SDP too, at udp://\(media.sink)")
    } else if format == nil {
      Report.note(
        "\(name): taken for \(media.format.encoding) with payload type \(media.payloadType); --codec, --payload-type or --sender say otherwise"
      )
    }
    return media
  }

  /// Of repeated options, the one for this stream, else the one for all.
  private static func choice(_ options: [String], _ stream: String, _ separator: Character) -> String? {
    let own = options.last { $0.hasPrefix("\(stream)\(separator)") }
    return own.map { String($0.dropFirst(stream.count + 1)) }
      ?? options.last { separator == ":" || !$0.contains(separator) }
  }

  private static func value(_ text: String, _ separator: Character) -> String {
    text.firstIndex(of: separator).map { String(text[text.index(after: $0)...]) } ?? text
  }
}
