import RelayExtension

/// Gives a stream another SSRC, payload type, sequence numbers or DSCP.
///
/// RTCP gets the new SSRC where the sender names itself: in the first four packets of a compound (RFC 3550 section
/// 6.1), as the reporter, the first chunk of SDES or the first source of BYE. Further chunks and sources, and what
/// reports say of other sources, stay. SRTP and SRTCP authenticate what is changed here: receivers would refuse it.
@main struct Rewrite: RelayExtension {
  static var summary: StaticString { "changes SSRC, payload type, sequence numbers and DSCP" }
  static var parameters: [Parameter] {
    [
      Parameter("onlySSRC", 0...0xffff_ffff, "the source that is changed; 0 is all"),
      Parameter("ssrc", 0...0xffff_ffff, "the new SSRC; 0 leaves it"),
      Parameter("onlyPayloadType", 0...128, "the payload type that is changed; 128 is all"),
      Parameter("payloadType", 0...128, "the new payload type; 128 leaves it"),
      Parameter("sequenceOffset", 0...65535, "what is added to sequence numbers, modulo 65536"),
      Parameter("dscp", 0...64, "the DSCP that packets leave with; 64 leaves it"),
    ]
  }

  var onlySSRC: UInt32 = 0
  var ssrc: UInt32 = 0
  var onlyPayloadType: UInt8 = 128
  var payloadType: UInt8 = 128
  var sequenceOffset: UInt16 = 0
  var dscp: UInt8 = 64

  enum Counter: UInt32, RelayCounter { case rtp, rtcp }

  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
    if dscp < 64 { packet.dscp = dscp }
    if let header = packet.rtp {
      guard onlySSRC == 0 || header.ssrc == onlySSRC else { return .forward }
      if ssrc != 0 { packet.setRTP(ssrc: ssrc) }
      if sequenceOffset != 0 { packet.setRTP(sequence: header.sequence &+ sequenceOffset) }
      if payloadType < 128, onlyPayloadType == 128 || header.payloadType == onlyPayloadType {
        packet.setRTP(payloadType: payloadType, marker: header.marker)
      }
      context.count(.rtp)
    } else if packet.rtcpType != nil, ssrc != 0, renameSender(in: &packet) {
      context.count(.rtcp)
    }
    return .forward
  }

  /// Writes the SSRC into the packets of a compound. False: none names a source that is changed.
  private func renameSender(in packet: inout Packet) -> Bool {
    var start = 0
    var found = false
    for _ in 0..<4 {
      guard let head = packet.uint32(at: start), head >> 30 == 2 else { break }
      let size = (Int(head & 0xffff) + 1) * 4
      let type = UInt8(truncatingIfNeeded: head >> 16)
      // SDES and BYE (RFC 3550 sections 6.5 and 6.6) may name nobody.
      let names = type != 202 && type != 203 || head >> 24 & 0x1f > 0
      if names, size >= 8, let sender = packet.uint32(at: start + 4), onlySSRC == 0 || sender == onlySSRC {
        packet.store(ssrc, at: start + 4)
        found = true
      }
      start += size
    }
    return found
  }
}
