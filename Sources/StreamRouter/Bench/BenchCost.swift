/// What `streamrouter bench cost` measures; all of it unless some are named.
public enum BenchCost: String, CaseIterable, Codable, Hashable, Sendable {
  /// The relay path by itself, with and without extensions.
  case path
  /// An upcall of engine upcall, beside a thread that is woken.
  case upcall
  /// All that a packet takes of the relay's processor, beside the kernel's own forwarding.
  case processor
}
