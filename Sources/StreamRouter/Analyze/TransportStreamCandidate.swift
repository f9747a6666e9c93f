import JitterStats

/// Datagrams of one sender that may be an MPEG transport stream without RTP: held back until ``needed`` packets in a row
/// have their sync byte, which is when ETSI TR 101 290 (1.1, TS_sync_loss) believes in a stream too.
struct TransportStreamCandidate {
  /// Packets of 188 bytes.
  static let needed = 5

  private var held: [(payload: [UInt8], arrivalNs: UInt64)] = []
  private var packets = 0

  /// Datagrams that are held.
  var count: Int { held.count }

  /// - Returns: the account of all that was held and of this datagram, once they are enough.
  mutating func take(_ payload: RawSpan, arrivalNs: UInt64) -> TransportStreamAccount? {
    let found = TransportStreamAccount.packets(in: payload)
    guard found > 0 else {
      (held, packets) = ([], 0)
      return nil
    }
    packets += found
    guard packets >= Self.needed else {
      held.append((payload.withUnsafeBytes { Array($0) }, arrivalNs))
      return nil
    }
    var account = TransportStreamAccount()
    for datagram in held { account.receive(datagram.payload.span.bytes, arrivalNs: datagram.arrivalNs) }
    account.receive(payload, arrivalNs: arrivalNs)
    return account
  }
}
