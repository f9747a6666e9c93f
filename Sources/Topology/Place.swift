/// A part of a topology that a finding is about: indices into ``Topology``'s arrays and those of its elements.
enum Place: Hashable {
  case topology
  case node(Int)
  case address(node: Int, Int)
  case link(Int)
  case linkAddress(link: Int, node: String)
  case mtu(link: Int)
  case stream(Int)
  case from(stream: Int)
  case via(stream: Int, Int)
  case sink(stream: Int, Int)
  case sources(stream: Int)
  case family(stream: Int)
  case extensionUse(stream: Int, Int)
  case extensionNode(stream: Int, Int, node: Int)
}

/// What validation found wrong with a ``Topology``, before anyone knows the file's lines.
struct Finding: Hashable {
  /// What a finding may merely be the consequence of.
  enum Cause: Hashable {
    case itself
    /// Two nodes that no links connect.
    case noPath
  }

  var place: Place
  var message: String
  var remedy: String
  var cause = Cause.itself
}
