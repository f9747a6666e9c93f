/// How busy one node was between two of its snapshots: what jitter must be read beside.
public struct NodeRates: Hashable, Sendable {
  /// Seconds between the two snapshots, by the node's own clock; above zero.
  public var intervalSeconds: Double
  /// Share (0 to 1) of all processor time that went to softirq; nil where no processor time was counted.
  public var softirqShare: Double?
  /// Packets a second that entered the datapath of engine sandbox, relays or not; nil without such a datapath.
  public var datapathPacketsPerSecond: Double?

  /// nil where the later snapshot is not later. Processor times and counters that went backwards count from
  /// zero, as in ``RelayRates``.
  public init?(from earlier: NodeSnapshot, to later: NodeSnapshot) {
    guard later.timeNs > earlier.timeNs else { return nil }
    intervalSeconds = Double(later.timeNs - earlier.timeNs) / 1e9
    let rebooted = later.load.totalSeconds < earlier.load.totalSeconds
    let total = later.load.totalSeconds - (rebooted ? 0 : earlier.load.totalSeconds)
    let softirq = later.load.softirqSeconds - (rebooted ? 0 : earlier.load.softirqSeconds)
    softirqShare = total > 0 ? min(1, max(0, softirq / total)) : nil
    datapathPacketsPerSecond = later.datapath["seen"].map { seen in
      let before = earlier.datapath["seen"] ?? 0
      return Double(seen >= before ? seen - before : seen) / intervalSeconds
    }
  }
}
