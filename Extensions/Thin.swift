import RelayExtension

/// Drops a part of a stream that its receivers can do without: packets of one payload type, each n-th packet, or those
/// of video frames that no other frame needs.
///
/// - H.264 (RFC 6184): slices with nal_ref_idc 0, by themselves, in STAP-A and STAP-B, and fragmented (FU-A, FU-B). An
///   aggregate is dropped when all of it may be; one with more than eight units, and MTAP, stay.
/// - H.265 (RFC 7798): slices of sub-layer non-reference pictures (types 0 to 14, even), by themselves, in AP and FU.
///   Frames of a higher temporal sub-layer may still need them, so `h265Layer` should be the highest that the stream
///   has, where it has several. Streams with decoding order numbers (sprop-max-don-diff above 0) are not understood.
/// - AV1 (RTP Payload Format For AV1): OBUs of temporal layers from `av1Layer` on, as the OBU extension header names
///   them; an OBU that goes on in the next packets goes as its first part did; a packet with
///   more than four OBUs stays. Whether a frame without that header is
///   needed stands in its frame header, bit by bit behind values of earlier frames, and the Dependency Descriptor
///   is optional: neither is read here, so a stream without layers stays whole.
///
/// The gaps in the sequence numbers stay, and receivers count them as loss. Encrypted payload (SRTP) looks like
/// anything: only `dropPayloadType` and `everyNth` make sense for it.
@main struct Thin: RelayExtension {
  static var summary: StaticString { "drops a payload type, each n-th packet, or frames that no other needs" }
  static var parameters: [Parameter] {
    [
      Parameter("dropPayloadType", 0...128, "RTP payload type that is dropped; 128 is none"),
      Parameter("everyNth", 0...0xffff_ffff, "of the other packets, each n-th is dropped; 0 is none, 1 is all"),
      Parameter("h264", 0...128, "payload type of H.264 to be thinned; 128 is none"),
      Parameter("h265", 0...128, "payload type of H.265 to be thinned; 128 is none"),
      Parameter("h265Layer", 0...6, "the lowest temporal sub-layer of H.265 that is dropped"),
      Parameter("av1", 0...128, "payload type of AV1 to be thinned; 128 is none"),
      Parameter("av1Layer", 1...7, "the lowest temporal layer of AV1 that is dropped"),
    ]
  }

  var dropPayloadType: UInt8 = 128
  var everyNth: UInt32 = 0
  var h264: UInt8 = 128
  var h265: UInt8 = 128
  var h265Layer: UInt8 = 0
  var av1: UInt8 = 128
  var av1Layer: UInt8 = 1

  enum Counter: UInt32, RelayCounter { case payloadType, nth, notReferenced, layer }

  struct State: RelayState {
    var packets: UInt32 = 0
    /// Whether the last packet of AV1 ended within an OBU that was dropped, and which packet goes on with it.
    var isWithinDropped = false
    var nextSequence: UInt16 = 0
    var ssrc: UInt32 = 0
  }

  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
    guard let rtp = packet.rtp else { return .forward }
    guard rtp.payloadType != dropPayloadType else {
      context.count(.payloadType)
      return .drop
    }
    if let codec = codec(of: rtp.payloadType), let media = Media(packet, rtp) {
      if codec == .av1 {
        if mayDropAV1(packet, media, rtp, &context) {
          context.count(.layer)
          return .drop
        }
      } else if mayDropSlices(packet, media, codec) {
        context.count(.notReferenced)
        return .drop
      }
    }
    guard everyNth > 0 else { return .forward }
    context.state.packets &+= 1
    guard context.state.packets >= everyNth else { return .forward }
    context.state.packets = 0
    context.count(.nth)
    return .drop
  }

  /// Where the media stands in the datagram.
  struct Media {
    var start: Int
    var end: Int

    @inline(__always)
    init?(_ packet: Packet, _ rtp: RTPHeader) {
      guard let start = packet.payloadOffset(of: rtp), let length = packet.payloadLength(of: rtp), length > 0
      else { return nil }
      self.start = start
      end = start &+ length
    }
  }

  enum Codec { case h264, h265, av1 }

  private func codec(of payloadType: UInt8) -> Codec? {
    payloadType == h264 ? .h264 : payloadType == h265 ? .h265 : payloadType == av1 ? .av1 : nil
  }

  // MARK: H.264 and H.265

  private func mayDropSlices(_ packet: Packet, _ media: Media, _ codec: Codec) -> Bool {
    guard let head = packet.uint16(at: media.start) else { return false }
    // Where the first unit of an aggregate stands, with its size in 16 bits before it.
    let aggregate: Int
    if codec == .h264 {
      // An aggregate has the highest nal_ref_idc of its units (RFC 6184 section 5.7): with 0 all have 0.
      guard head & 0x6000 == 0 else { return false }
      switch head >> 8 & 0x1f {
      case 24: aggregate = 1
      case 25: aggregate = 3
      // FU-A and FU-B have the unit's type in their second byte.
      case 28, 29: return isSlice(head << 8, codec)
      default: return isSlice(head, codec)
      }
    } else {
      switch head >> 9 & 0x3f {
      case 48: aggregate = 2
      case 49:
        // The sub-layer stands in the header, the unit's type in the byte behind it.
        guard let fragment = packet[media.start &+ 2] else { return false }
        return isSlice(UInt16(fragment & 0x3f) << 9 | head & 7, codec)
      default: return isSlice(head, codec)
      }
    }
    var at = media.start &+ aggregate
    for _ in 0..<8 {
      guard let size = packet.uint16(at: at), size > 1, let head = packet.uint16(at: at &+ 2),
        isSlice(head, codec)
      else { return false }
      at = at &+ 2 &+ Int(size)
      if at >= media.end { return at == media.end }
    }
    return false
  }

  /// Whether a unit of nal_ref_idc 0, or of H.265, is a slice that nothing else needs.
  ///
  /// - Parameter head: The first two bytes of the unit.
  private func isSlice(_ head: UInt16, _ codec: Codec) -> Bool {
    if codec == .h264 {
      // Types 1 to 4 are slices and their partitions; delimiters and SEI have a nal_ref_idc of 0 as well.
      return (1...4).contains(head >> 8 & 0x1f)
    }
    // The last three bits are the temporal sub-layer plus one.
    return head >> 9 & 0x3f <= 14 && head >> 9 & 1 == 0 && head & 7 > UInt16(h265Layer)
  }

  // MARK: AV1

  private func mayDropAV1(
    _ packet: Packet, _ media: Media, _ rtp: RTPHeader, _ context: inout Context<Self>
  ) -> Bool {
    guard let aggregation = packet[media.start] else { return false }
    let count = aggregation >> 4 & 3
    let state = context.state
    // Of the unit that the walk is in: at first, it may be one that began in the packet before.
    var isFree = state.isWithinDropped && state.nextSequence == rtp.sequence && state.ssrc == rtp.ssrc
    // A packet is dropped as a whole or not at all, and then what goes on from it is needed.
    context.state.isWithinDropped = false
    var at = media.start &+ 1
    for unit in UInt8(0)..<4 {
      var size = media.end &- at
      // The last of one to three units has no length (section 4.4).
      if count == 0 || unit &+ 1 < count {
        guard let length = packet.uint16(at: at) else { return false }
        // LEB128 (AV1 specification section 4.10.5) of at most 14 bits: no packet holds more.
        guard length & 0x8080 != 0x8080 else { return false }
        let bytes = length & 0x8000 == 0 ? 1 : 2
        size = Int(bytes == 1 ? length >> 8 : length >> 8 & 0x7f | (length & 0x7f) << 7)
        at = at &+ bytes
      }
      // Bit 7 of the aggregation header: the first unit goes on from the packet before, with no header of its own.
      if unit > 0 || aggregation & 0x80 == 0 { isFree = isLayer(packet, at, size) }
      guard isFree else { return false }
      at = at &+ size
      if at >= media.end { break }
    }
    guard at == media.end else { return false }
    context.state.isWithinDropped = aggregation & 0x40 != 0
    context.state.nextSequence = rtp.sequence &+ 1
    context.state.ssrc = rtp.ssrc
    return true
  }

  /// Whether an OBU belongs to a layer that is dropped (AV1 specification sections 5.3.2 and 5.3.3).
  private func isLayer(_ packet: Packet, _ at: Int, _ size: Int) -> Bool {
    guard size >= 2, let head = packet.uint16(at: at), head & 0x0400 != 0 else { return false }
    return head >> 5 & 7 >= UInt16(av1Layer)
  }
}
