import CStreamRouter
import Foundation
import Topology

/// Captures the packets of one relay into pcapng files, all of them or those around the moments at which something
/// is wrong.
public struct Capture: Sendable {
  /// What is captured, and for how long.
  public struct Settings: Sendable {
    public var file: String
    /// Bytes after which the next file begins; with one file, the capture ends. nil: no limit.
    public var fileBytes: Int?
    /// Seconds after which the next file begins; nil: no limit.
    public var fileSeconds: Double?
    /// The latest of so many files are kept.
    public var files = 1
    /// The capture ends after this time or so many packets in files; nil: with SIGINT.
    public var seconds: Double?
    public var count: UInt64?
    /// Where there are any, only what came in `keepSeconds` before and after one of them held is written.
    public var triggers: [Threshold] = []
    public var keepSeconds = 10.0
    /// Bytes of memory for what came before.
    public var keepBytes = 64 << 20

    public init(file: String) { self.file = file }
  }

  private let point: CapturePoint
  private let settings: Settings
  private let topology: String

  public init(_ point: CapturePoint, topology: String, settings: Settings) {
    self.point = point
    self.topology = topology
    self.settings = settings
  }

  /// Captures until a limit is reached, or SIGINT or SIGTERM comes.
  ///
  /// - Parameter ready: Called once packets are being taken.
  public func run(ready: @escaping @Sendable () -> Void = {}) async throws -> CaptureReport {
    try await StopFlag.bySignals { try await run(until: $0, ready: ready) }
  }

  func run(until stop: StopFlag, ready: @escaping @Sendable () -> Void = {}) async throws -> CaptureReport {
    try await TrafficThread.run("sr-capture") {
      // A capture belongs to the namespace of the thread that opens it.
      if let namespace = point.namespace, sr_namespace_enter("/run/netns/" + namespace) != 0 {
        throw CaptureError.cannotOpen(
          device: "(any)", node: point.relay.node, reason: "namespace \(namespace) cannot be entered",
          isPermission: !Capability.missing([.sysAdmin]).isEmpty)
      }
      let taps = try point.taps.map { try LiveTap($0, node: point.relay.node) }
      ready()
      return try capture(taps, stop)
    }
  }

  private func capture(_ taps: [LiveTap], _ stop: StopFlag) throws -> CaptureReport {
    let interfaces = taps.map { tap in
      PcapngWriter.Interface(
        name: tap.tap.device, linkType: tap.linkType, filter: tap.tap.filter,
        comment: "topology \(topology), node \(point.relay.node), \(point.comment)")
    }
    var run = CaptureRun(
      files: try CaptureFiles(
        path: settings.file,
        limits: .init(bytes: settings.fileBytes, seconds: settings.fileSeconds, files: settings.files),
        comment: "topology \(topology), \(point.comment)", interfaces: interfaces),
      point: point, settings: settings)
    let endNs = settings.seconds.map { monotonicNs() + UInt64($0 * 1e9) } ?? .max
    var pollers = taps.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
    var flushedNs = monotonicNs()
    while !stop.isSet, !run.isOver {
      let now = monotonicNs()
      if now >= endNs { break }
      // Whoever follows the file sees packets after a second.
      if now - flushedNs > 1_000_000_000 {
        try run.files.flush()
        flushedNs = now
      }
      poll(&pollers, nfds_t(pollers.count), Int32(min(100, (endNs - now) / 1_000_000 + 1)))
      for (number, tap) in taps.enumerated() {
        var taken = 0
        // Other taps and the clock get their turn too.
        while taken < 4096, !run.isOver, let packet = try tap.next() {
          try run.receive(packet, tap: UInt32(number), isOutbound: tap.tap.isOutbound)
          taken += 1
        }
      }
    }
    var report = run.report
    for (number, tap) in taps.enumerated() {
      let counts = tap.counts
      run.files.statistics(interface: UInt32(number), received: counts.received, dropped: counts.dropped)
      report.matched += counts.received
      report.dropped += counts.dropped
    }
    try run.files.flush()
    return report
  }
}
