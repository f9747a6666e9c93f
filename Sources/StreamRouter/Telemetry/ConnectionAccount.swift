/// The TCP connections of a relay at one moment; what they did so far is in the counters.
public struct ConnectionAccount: Hashable, Sendable, Codable {
  /// Connections that are open now.
  public var open: UInt64
  /// The round trip between this hop and the sink, the sink's own time until it acknowledges included: in packet mode by
  /// TCP timestamps (RFC 7323 section 4), where both ends use them; in split mode as the kernel estimates it (RFC 6298)
  /// when a connection is read or closed.
  public var sinkRoundTrip: VariationHistogram
  /// The same between this hop and the source.
  public var sourceRoundTrip: VariationHistogram

  public init(
    open: UInt64, sinkRoundTrip: VariationHistogram = VariationHistogram(),
    sourceRoundTrip: VariationHistogram = VariationHistogram()
  ) {
    self.open = open
    self.sinkRoundTrip = sinkRoundTrip
    self.sourceRoundTrip = sourceRoundTrip
  }
}
