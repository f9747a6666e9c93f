import Topology

/// Why a tool that sends, receives or replays traffic could not do its work.
public enum TrafficError: Error, Hashable, Sendable, CustomStringConvertible {
  case noNamespace(String, reason: String, isPermission: Bool)
  case cannotOpen(String, step: String, reason: String)
  case cannotSend(to: String, bytes: Int, reason: String, remedy: String)
  case cannotReceive(String, reason: String)
  case unknownStream(String, topology: String, known: [String])
  case unknownNode(String, stream: String, known: [String])
  case severalSinks(stream: String, nodes: [String])
  case noSourceAddress(stream: String, node: String, sources: [String])
  case needsRealtime
  case badDescription(file: String, reason: String)
  case badCodec(stream: String, reason: String)
  case notDatagrams(stream: String, tool: String)
  case badReplay(file: String, reason: String, remedy: String)

  public var description: String {
    switch self {
    case .noNamespace(let name, let reason, let isPermission):
      "the network namespace \(name) cannot be entered: \(reason); "
        + (isPermission ? "run as root" : "is the lab up? 'streamrouter lab status' tells")
    case .cannotOpen(let endpoint, let step, let reason):
      "a socket at \(endpoint) cannot be opened (\(step)): \(reason); "
        + (step == "bind"
          ? "choose another address or port, or end what uses it ('ss -lunp' shows it)"
          : "this kernel or the limits of this process do not allow it")
    case .cannotSend(let destination, let bytes, let reason, let remedy):
      "sending \(bytes) bytes to \(destination) failed: \(reason); \(remedy)"
    case .cannotReceive(let endpoint, let reason):
      "receiving at \(endpoint) failed: \(reason); try again, and report it with the kernel's version if it stays"
    case .unknownStream(let stream, let topology, let known):
      "topology \(topology) has no stream '\(stream)'; it has \(known.joined(separator: ", "))"
    case .unknownNode(let node, let stream, let known):
      "stream \(stream) does not end or start at '\(node)'; name one of \(known.joined(separator: ", "))"
    case .severalSinks(let stream, let nodes):
      "stream \(stream) ends at \(nodes.joined(separator: ", ")); choose one with --at"
    case .noSourceAddress(let stream, let node, let sources):
      "\(node) has no address that stream \(stream) accepts packets from (\(sources.joined(separator: ", "))); name another node with --from"
    case .needsRealtime:
      "SCHED_FIFO is not permitted; run as root, with CAP_SYS_NICE, or without --realtime"
    case .badDescription(let file, let reason):
      "\(file) is no usable session description: \(reason)"
    case .badCodec(let stream, let reason): "stream \(stream): \(reason)"
    case .notDatagrams(let stream, let tool):
      "stream \(stream) is of protocol tcp, and '\(tool)' is for datagrams (udp, rtp); "
        + "use a client and a server of TCP, and 'streamrouter monitor' for what the hops see"
    case .badReplay(let file, let reason, let remedy): "\(file): \(reason); \(remedy)"
    }
  }

  /// Whether more privileges would help.
  public var isPermission: Bool {
    switch self {
    case .noNamespace(_, _, let isPermission): isPermission
    case .needsRealtime: true
    default: false
    }
  }
}
