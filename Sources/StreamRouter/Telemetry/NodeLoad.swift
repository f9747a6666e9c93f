/// How busy the machine is: what jitter must be read beside. Times are cumulative since the machine started; a share is
/// the difference of two readings (``NodeRates``).
public struct NodeLoad: Hashable, Sendable, Codable {
  /// Threads running or ready to run, the reader excluded (/proc/stat, procs_running).
  public var runnableThreads: Int
  public var processors: Int
  /// Processor time in softirq, and in all, in seconds over all processors (/proc/stat).
  public var softirqSeconds: Double
  public var totalSeconds: Double
  /// Time that a hypervisor kept for others while something here was ready to run, over all processors; nil where the
  /// kernel does not say.
  public var stealSeconds: Double?
  /// What the kernel's ksoftirqd threads ran, over all processors: softirq work that waited for the scheduler like any
  /// thread. Part of `softirqSeconds`. nil where they are not seen, as in a container.
  public var ksoftirqdSeconds: Double?
  /// Pressure (/proc/pressure/cpu, "some"): nil where the kernel keeps none.
  public var pressure: Pressure?
  /// How packets spread over the processors that are online; nil where the kernel does not say.
  public var byProcessor: [Processor]?

  /// What one processor did for the network.
  public struct Processor: Hashable, Sendable, Codable {
    /// As the kernel numbers it, from 0.
    public var number: Int
    /// How often it ran the receiving half of the network (/proc/softirqs, NET_RX).
    public var netRxSoftirqs: UInt64
    /// Seconds that it spent in interrupts and softirqs (/proc/stat).
    public var interruptSeconds: Double

    public init(number: Int, netRxSoftirqs: UInt64, interruptSeconds: Double) {
      self.number = number
      self.netRxSoftirqs = netRxSoftirqs
      self.interruptSeconds = interruptSeconds
    }
  }

  /// Threads that were ready to run and had to wait for a processor.
  public struct Pressure: Hashable, Sendable, Codable {
    /// Share (0 to 1) of the latest ten seconds in which at least one waited, a moving average of the kernel's.
    public var tenSecondShare: Double
    /// Seconds in which at least one waited.
    public var waitingSeconds: Double

    public init(tenSecondShare: Double, waitingSeconds: Double) {
      self.tenSecondShare = tenSecondShare
      self.waitingSeconds = waitingSeconds
    }
  }

  public init(
    runnableThreads: Int, processors: Int, softirqSeconds: Double, totalSeconds: Double,
    stealSeconds: Double? = nil, ksoftirqdSeconds: Double? = nil, pressure: Pressure? = nil,
    byProcessor: [Processor]? = nil
  ) {
    self.runnableThreads = runnableThreads
    self.processors = processors
    self.softirqSeconds = softirqSeconds
    self.totalSeconds = totalSeconds
    self.stealSeconds = stealSeconds
    self.ksoftirqdSeconds = ksoftirqdSeconds
    self.pressure = pressure
    self.byProcessor = byProcessor
  }
}
