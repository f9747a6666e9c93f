import RelayExtension

/// Makes each run of a test packet another packet, as a stream has them: the next sequence number, and timestamps that
/// come early and late in turn. Without it a repeated test packet is a duplicate, whose account is cheap.
@main struct Advance: RelayExtension {
  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
    guard let rtp = packet.rtp else { return .drop }
    let early: UInt32 = rtp.sequence & 1 == 0 ? 900 : 0xffff_fd30
    packet.store(rtp.sequence &+ 1, at: 2)
    packet.store(rtp.timestamp &+ early, at: 4)
    return .forward
  }
}
