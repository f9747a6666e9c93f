/// Why a capture could not be made, or read.
public enum CaptureError: Error, Hashable, Sendable, CustomStringConvertible {
  case cannotWrite(file: String, reason: String)
  case cannotOpen(device: String, node: String, reason: String, isPermission: Bool)
  case deviceGone(device: String, node: String)
  case noRelay(stream: String, node: String, known: [String])
  case severalHops(stream: String, nodes: [String])
  case noDeviceAfter(stream: String, node: String)
  case cannotRead(file: String, reason: String)
  /// It is no capture, or damaged.
  case badFile(String, reason: String, remedy: String)
  case badFilter(String, reason: String)
  case unsupported(what: String, reason: String, remedy: String)

  public var description: String {
    switch self {
    case .cannotWrite(let file, let reason):
      "\(file) cannot be written: \(reason); name another file, or make room"
    case .cannotOpen(let device, let node, let reason, let isPermission):
      "device \(device) of \(node) cannot be captured on: \(reason); "
        + (isPermission ? "run as root or with CAP_NET_RAW" : "see 'ip link' for the devices that are up")
    case .deviceGone(let device, let node):
      "device \(device) of \(node) went away while it was captured on; what came before is in the file"
    case .noRelay(let stream, let node, let known):
      "stream \(stream) has no hop at '\(node)'; it has \(known.joined(separator: ", "))"
    case .severalHops(let stream, let nodes):
      "stream \(stream) has hops at \(nodes.joined(separator: ", ")); choose one as \(stream)@\(nodes[0])"
    case .noDeviceAfter(let stream, let node):
      "behind the last hop of stream \(stream) at \(node) there is no device: engine sandbox hands packets up the stack; capture before the extensions, or receive with 'streamrouter receive'"
    case .cannotRead(let file, let reason):
      "\(file) cannot be read: \(reason); name a capture in pcap or pcapng format"
    case .badFile(let file, let reason, let remedy): "\(file): \(reason); \(remedy)"
    case .badFilter(let filter, let reason): "'\(filter)' is no filter: \(reason); see pcap-filter(7)"
    case .unsupported(let what, let reason, let remedy): "\(what) is not possible here: \(reason); \(remedy)"
    }
  }

  /// Whether more privileges would help.
  public var isPermission: Bool {
    if case .cannotOpen(_, _, _, let isPermission) = self { isPermission } else { false }
  }
}
