import Foundation

/// The rights of root, one by one (capabilities(7)), that parts of StreamRouter need. The node's service has those of
/// ``node`` and no others.
public enum Capability: String, Sendable, CaseIterable {
  case netAdmin = "CAP_NET_ADMIN"
  case sysAdmin = "CAP_SYS_ADMIN"
  case sysNice = "CAP_SYS_NICE"
  case perfmon = "CAP_PERFMON"
  case bpf = "CAP_BPF"

  /// What a node runs engine sandbox with.
  public static let sandbox: [Capability] = [.bpf, .netAdmin, .perfmon]
  /// What a node uses at most.
  public static let node: [Capability] = sandbox + [.sysNice]
  /// What making and entering network namespaces takes.
  static let lab: [Capability] = [.netAdmin, .sysAdmin]

  /// What it is needed for.
  public var reason: String {
    switch self {
    case .netAdmin:
      "attaches the datapath to devices, keeps neighbours known, sets forwarding of lo, enlarges sockets' queues"
    case .sysAdmin: "makes and enters network namespaces, for labs only"
    case .sysNice: "gives the threads of engine process, or ksoftirqd, the scheduling policies fifo and rr"
    case .perfmon: "lets the verifier accept pointer arithmetic on packets, and without slow guards"
    case .bpf: "makes maps and loads programs"
    }
  }

  /// Its bit in the capability sets (linux/capability.h).
  private var bit: UInt64 {
    switch self {
    case .netAdmin: 12
    case .sysAdmin: 21
    case .sysNice: 23
    case .perfmon: 38
    case .bpf: 39
    }
  }

  /// Those of `needed` that the text of /proc/PID/status does not list as effective.
  static func missing(_ needed: [Capability], in status: String) -> [Capability] {
    let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
    let set = line.flatMap { UInt64($0.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16) } ?? 0
    return needed.filter { set & (1 << $0.bit) == 0 }
  }

  /// Those of `needed` that this process has not.
  static func missing(_ needed: [Capability]) -> [Capability] {
    missing(needed, in: LabFiles.read("/proc/self/status") ?? "")
  }
}

extension [Capability] {
  /// As a list in a sentence: `A, B and C`.
  var sentence: String {
    let names = map(\.rawValue)
    guard let last = names.last, names.count > 1 else { return names.first ?? "" }
    return names.dropLast().joined(separator: ", ") + " and " + last
  }
}
