/// What `streamrouter bench` measures, one subcommand each.
public enum BenchPart: String, CaseIterable, Codable, Hashable, Sendable {
  case udp, tcp, cost, fanout, scale, channel
}
