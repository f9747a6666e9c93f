import CStreamRouter
import Topology

/// Whether a node can run a part: everything that can be found out without touching what runs.
struct PartCheck: Sendable {
  var part: NodePart
  var former: NodePart?
  var capacity: Int
  /// By content hash.
  var extensions: [String: ExtensionObject]

  /// - Throws: ``ControlError/refused(node:reason:)``.
  func run() throws {
    guard part.relays.count <= capacity else {
      throw refusal(
        "\(Figure.plural(part.relays.count, "relay")), and its tables hold \(capacity); start it with --relay-capacity"
      )
    }
    if let stranger = part.relays.first(where: { $0.node != part.node }) {
      throw refusal("relay of stream \(stranger.stream) belongs to node \(stranger.node)")
    }
    for relay in part.relays {
      for own in [relay.ingress] + relay.sinks.map(\.source) where !Route.isLocal(own.address) {
        throw refusal(
          "stream \(relay.stream): \(own.address) is not an address of this machine; correct the node's addresses"
        )
      }
      for sink in relay.sinks where (try? Route(to: sink.destination.address)) == nil {
        throw refusal("stream \(relay.stream): there is no route to \(sink.destination.address)")
      }
    }
    try checkExtensions()
  }

  /// New extensions must find here what they need, and go through this kernel's verifier where engine sandbox may run
  /// them.
  private func checkExtensions() throws {
    let known = former?.extensionContents ?? []
    let isSandbox = part.engine == .sandbox || part.engine == .auto
    let verifies = isSandbox && libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SCHED_CLS, nil) == 1
    let new = try part.extensionContents.subtracting(known).sorted().map { content in
      guard let object = extensions[content] else { throw ControlError.missingExtension(name: content) }
      return object
    }
    // By name, so that of several flaws the same is told whenever it is tried.
    for object in new.sorted(by: { $0.manifest.name < $1.manifest.name }) {
      do {
        if isSandbox {
          try PacketFunctions.demand(object.manifest, orNatively: part.engine == .auto)
        } else {
          try PacketFunctions.demandNative(object.manifest, engine: part.engine)
        }
        if verifies { _ = try ExtensionCheck.run(object) }
      } catch {
        throw refusal("extension \(object.manifest.name): \(error)")
      }
    }
  }

  private func refusal(_ reason: String) -> ControlError { .refused(node: part.node, reason: reason) }
}
