import CStreamRouter
import Foundation
import Topology

/// Where packets of one relay are captured: devices of its node, each with a filter made of the relay's addresses.
///
/// Before the extensions is the tap on ingress, which the kernel serves before traffic control, where the datapath
/// stands. After them is the tap on egress of the device to which each copy is redirected; engine process sends
/// through the same. Copies for a socket on the node itself pass the loopback device with engine process, and no
/// device at all with engine sandbox.
public struct CapturePoint: Hashable, Sendable {
  public enum Side: String, Hashable, Sendable, Codable, CaseIterable {
    case before, after
  }

  /// One device to listen on.
  struct Tap: Hashable, Sendable {
    var device: String
    var filter: String
    var isOutbound: Bool
  }

  public let relay: Relay
  public let side: Side
  /// The node's namespace; nil: this process's own.
  public let namespace: String?
  let taps: [Tap]

  /// - Parameters:
  ///   - engine: What runs the relay.
  /// - Throws: ``CaptureError``.
  public init(_ relay: Relay, side: Side, engine: EngineChoice, namespace: String?) throws {
    self.relay = relay
    self.side = side
    self.namespace = namespace
    let find: @Sendable () throws -> [Tap] = { try Self.taps(relay, side, engine) }
    do {
      taps = try namespace.map { try NetworkNamespace.run(in: $0, find) } ?? find()
    } catch let failure as NetworkNamespace.Failure {
      throw CaptureError.cannotOpen(
        device: "(any)", node: relay.node, reason: "\(failure)",
        isPermission: [EPERM, EACCES].contains(failure.errno))
    }
    if taps.isEmpty { throw CaptureError.noDeviceAfter(stream: relay.stream, node: relay.node) }
  }

  private static func taps(_ relay: Relay, _ side: Side, _ engine: EngineChoice) throws -> [Tap] {
    let devices = SandboxDevices.all()
    switch side {
    case .before:
      let filter =
        "\(kind(relay)) and dst host \(relay.ingress.address) and \(ports("dst", relay.ingress.port, relay))"
      // Engine process takes packets from any device.
      let found = (try? SandboxDevices.ingress(of: relay)).map { $0.sorted() } ?? devices
      return found.map { Tap(device: $0.name, filter: filter, isOutbound: false) }
    case .after:
      var filters: [String: [String]] = [:]
      for sink in relay.sinks where sink.kind != .local || engine != .sandbox {
        let route: Route
        do {
          route = try Route(to: sink.destination.address)
        } catch {
          throw CaptureError.unsupported(
            what: "capturing what goes to \(sink.destination)", reason: "no route leads there",
            remedy: "see 'ip route get \(sink.destination.address)' at \(relay.node)")
        }
        let device = route.isLocal ? "lo" : devices.first { $0.index == route.interface }?.name
        guard let device else { continue }
        filters[device, default: []].append(
          "(src host \(sink.source.address) and dst host \(sink.destination.address) and "
            + "\(ports("dst", sink.destination.port, relay)))")
      }
      return filters.sorted { $0.key < $1.key }.map { device, parts in
        // On lo each packet is met once, as it comes in.
        Tap(
          device: device, filter: "\(kind(relay)) and (" + parts.joined(separator: " or ") + ")",
          isOutbound: device != "lo")
      }
    }
  }

  private static func kind(_ relay: Relay) -> String { relay.transport == .tcp ? "tcp" : "udp" }

  /// RTCP takes the port above (RFC 3550 section 11).
  private static func ports(_ end: String, _ port: UInt16, _ relay: Relay) -> String {
    relay.transport == .rtp ? "\(end) portrange \(port)-\(port + 1)" : "\(end) port \(port)"
  }

  /// What packets bear as their comment: `stream video, hop 1 at edge, before the extensions`.
  public var comment: String {
    "stream \(relay.stream), hop \(relay.hop) at \(relay.node), \(side.rawValue) the extensions"
  }
}

extension CapturePoint {
  /// The point of a stream at one of its nodes, by what the node's daemon says of its engine.
  ///
  /// - Parameter node: nil: the only hop.
  public static func find(_ ends: StreamEnds, at node: String?, side: Side) async throws -> CapturePoint {
    let nodes = ends.relays.map(\.node)
    guard node != nil || nodes.count == 1 else {
      throw CaptureError.severalHops(stream: ends.stream.name, nodes: nodes)
    }
    guard let relay = ends.relays.first(where: { $0.node == node ?? nodes[0] }) else {
      throw CaptureError.noRelay(stream: ends.stream.name, node: node ?? "", known: nodes)
    }
    let reading = await ControlSnapshotSource(topology: ends.topology.name, nodes: [relay.node]).read().first
    let running = reading?.snapshot?.relays.first { $0.stream == relay.stream }?.engine
    // Without an answer, as the file says.
    let engine = running ?? ends.topology.node(relay.node)?.engine ?? .auto
    return try CapturePoint(relay, side: side, engine: engine, namespace: ends.namespace(of: relay.node))
  }
}
