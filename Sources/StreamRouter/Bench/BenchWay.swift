/// What forwards in a benchmark: an engine in one of its settings, the kernel's own forwarding as the reference, or a
/// program that users have today.
public enum BenchWay: String, CaseIterable, Codable, Hashable, Sendable {
  /// Engine process, SCHED_OTHER; for TCP this is split mode.
  case process
  /// Engine process, SCHED_RR.
  case processRR = "process-rr"
  /// The kernel's forwarding, without any relay.
  case kernel
  /// Engine sandbox; for TCP this is packet mode.
  case sandbox
  /// Engine sandbox with ksoftirqd at SCHED_FIFO.
  case sandboxFIFO = "sandbox-fifo"
  /// Engine sandbox with an extension in Swift that lets everything through.
  case sandboxExtension = "sandbox-extension"
  case nginx, haproxy, socat, rtpengine, gstreamer, srt

  /// Those that are ours, and the reference.
  static let own: [BenchWay] = [.process, .processRR, .kernel, .sandbox, .sandboxFIFO, .sandboxExtension]
  /// Programs at user level that others made.
  public static let peers: [BenchWay] = [.nginx, .haproxy, .socat, .rtpengine, .gstreamer, .srt]

  public var isPeer: Bool { Self.peers.contains(self) }
  /// Whether it waits for the scheduler like any thread: what it does comes in slices, so it must be watched for longer.
  var waitsForScheduler: Bool { self == .process || isPeer }

  /// Whether it can be measured in a part at all.
  func takesPart(in part: BenchPart) -> Bool {
    switch self {
    case .process, .kernel, .sandbox: true
    case .processRR, .nginx, .socat: part == .udp || part == .tcp
    case .sandboxFIFO, .sandboxExtension, .rtpengine, .gstreamer, .srt: part == .udp
    case .haproxy: part == .tcp
    }
  }

  /// As a person reads it.
  public var title: String {
    switch self {
    case .process: "process"
    case .processRR: "process, SCHED_RR"
    case .kernel: "kernel forwarding"
    case .sandbox: "sandbox"
    case .sandboxFIFO: "sandbox, SCHED_FIFO"
    case .sandboxExtension: "sandbox + extension"
    case .nginx: "nginx stream"
    case .haproxy: "haproxy"
    case .socat: "socat"
    case .rtpengine: "rtpengine"
    case .gstreamer: "GStreamer"
    case .srt: "srt-live-transmit"
    }
  }

  /// The title of a series: a way's, or the series' own name where it is none.
  static func title(of series: String) -> String { BenchWay(rawValue: series)?.title ?? series }
}
