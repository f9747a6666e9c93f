import Foundation
import SystemPackage
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// How a Prometheus reaches the nodes of a lab.
///
/// From outside no route leads into a lab's namespaces, and a further device in each would be one more on which packets
/// of a relay might come in. A socket, though, belongs to the namespace in which it was opened, whoever holds it: `lab
/// up` opens one for each node on 127.0.0.1 where it runs itself, and the node's daemon inherits it.
enum LabMetrics {
  /// The number under which a daemon finds its socket.
  static let descriptor: Int32 = 3
  /// What is added to a daemon's command line.
  static let arguments = ["--metrics", "fd:\(descriptor)"]

  /// Node number `index`, counted from 0 in the order of the topology, answers there.
  static func endpoint(_ firstPort: UInt16, _ index: Int) throws -> Endpoint {
    guard let port = UInt16(exactly: Int(firstPort) + index), let address = IPAddress("127.0.0.1") else {
      throw LabError.failed(
        operation: "choosing ports for metrics from", subject: "\(firstPort)",
        reason: "node number \(index + 1) would get one above 65535; begin lower")
    }
    return Endpoint(address: address, port: port)
  }

  /// A listening socket; the caller closes it once the daemon has it.
  static func listen(_ endpoint: Endpoint, node: String) throws -> Int32 {
    let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var on: Int32 = 1
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = endpoint.port.bigEndian
    address.sin_addr.s_addr = UInt32(truncatingIfNeeded: endpoint.address.low).bigEndian
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard socket >= 0, bound == 0, Glibc.listen(socket, 64) == 0 else {
      let error = Errno(rawValue: errno)
      if socket >= 0 { close(socket) }
      throw LabError.failed(
        operation: "opening the port for metrics of node \(node)", subject: "\(endpoint)",
        reason: "\(error)\(error == .addressInUse ? "; begin at another port with --metrics PORT" : "")")
    }
    return socket
  }

  /// What Prometheus reads to find the nodes of a lab (file_sd_configs); gone with the lab. Beside the labs' folders,
  /// not within: Prometheus takes an asterisk in a file's name only.
  static func targetsFile(topology: String) -> FilePath {
    NodePaths.runtimeRoot.appending(topology + ".prometheus.json")
  }

  /// Writes that file. A node keeps its name where it is silent: alerts say which.
  static func writeTargets(_ state: LabState) throws {
    guard let firstPort = state.metricsPort else { return }
    struct Target: Encodable {
      var targets: [String]
      var labels: [String: String]
    }
    let targets = try state.nodes.enumerated().map { index, node in
      Target(
        targets: ["\(try endpoint(firstPort, index))"], labels: ["topology": state.topology, "node": node])
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try LabFiles.replace(targetsFile(topology: state.topology), with: encoder.encode(targets))
  }
}

extension Lab {
  /// The file that lists the lab's nodes for Prometheus, once `up` was asked for metrics.
  public nonisolated var metricsTargets: FilePath { LabMetrics.targetsFile(topology: topology) }
}
