/// How busy one node was between two of its snapshots: what jitter must be read beside.
public struct NodeRates: Hashable, Sendable {
  /// Seconds between the two snapshots, by the node's own clock; above zero.
  public var intervalSeconds: Double
  /// Share (0 to 1) of all processor time that went to softirq; nil where no processor time was counted.
  public var softirqShare: Double?
  /// Shares (0 to 1) of all processor time that a hypervisor kept for others, and that the ksoftirqd threads ran; nil
  /// where no processor time or none of this kind was counted.
  public var stealShare: Double?
  public var ksoftirqdShare: Double?
  /// Share (0 to 1) of the interval in which a thread that could run waited for a processor; nil where the kernel
  /// keeps no pressure.
  public var pressureShare: Double?
  /// Share (0 to 1) of the NET_RX softirqs that the busiest processor ran: 1 where one does all the receiving, one by
  /// the number of processors where it is spread evenly. nil where there were none.
  public var busiestNetRxShare: Double?
  /// Packets a second that entered the datapath of engine sandbox, relays or not; nil without such a datapath.
  public var datapathPacketsPerSecond: Double?

  /// nil where the later snapshot is not later. Processor times and counters that went backwards count from
  /// zero, as in ``RelayRates``.
  public init?(from earlier: NodeSnapshot, to later: NodeSnapshot) {
    guard later.timeNs > earlier.timeNs else { return nil }
    intervalSeconds = Double(later.timeNs - earlier.timeNs) / 1e9
    let now = later.load
    let before = now.totalSeconds < earlier.load.totalSeconds ? nil : earlier.load
    let total = now.totalSeconds - (before?.totalSeconds ?? 0)
    func share(_ seconds: (NodeLoad) -> Double?, of whole: Double) -> Double? {
      guard let end = seconds(now), whole > 0 else { return nil }
      return min(1, max(0, (end - (before.flatMap(seconds) ?? 0)) / whole))
    }
    softirqShare = share({ $0.softirqSeconds }, of: total)
    stealShare = share({ $0.stealSeconds }, of: total)
    ksoftirqdShare = share({ $0.ksoftirqdSeconds }, of: total)
    // Without the beginning there is no share of the interval: pressure counts since the machine started.
    pressureShare = before?.pressure == nil ? nil : share({ $0.pressure?.waitingSeconds }, of: intervalSeconds)
    busiestNetRxShare = Self.busiest(from: before?.byProcessor ?? [], to: now.byProcessor ?? [])
    datapathPacketsPerSecond = later.datapath["seen"].map { seen in
      let before = earlier.datapath["seen"] ?? 0
      return Double(seen >= before ? seen - before : seen) / intervalSeconds
    }
  }

  private static func busiest(
    from earlier: [NodeLoad.Processor], to later: [NodeLoad.Processor]
  ) -> Double? {
    let before = Dictionary(earlier.map { ($0.number, $0.netRxSoftirqs) }, uniquingKeysWith: { $1 })
    let counts = later.map { processor in
      let former = before[processor.number] ?? 0
      return processor.netRxSoftirqs >= former ? processor.netRxSoftirqs - former : processor.netRxSoftirqs
    }
    let total = counts.reduce(0, &+)
    return total > 0 ? Double(counts.max() ?? 0) / Double(total) : nil
  }
}
