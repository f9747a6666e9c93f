import CStreamRouter
import Glibc

/// Why a worker ended, in words.
struct WorkerEnd: CustomStringConvertible {
  let description: String

  /// - Parameters:
  ///   - names: Of the relay's extensions, in their order.
  ///   - text: What the worker itself said.
  init(_ report: sr_worker_report, names: [String], text: String) {
    let place = Int(report.stage) - 1
    let who = names.indices.contains(place) ? "extension \(names[place])" : "the worker"
    let signal = report.status & 0x7f
    let code = report.status >> 8 & 0xff
    switch (signal, UInt32(code)) {
    case (0, SR_WORKER_STUCK.rawValue): description = "\(who) did not return and was ended"
    case (0, SR_WORKER_FAILED.rawValue): description = "the worker could not be made ready: \(text)"
    case (0, _): description = "\(who) ended the worker (exit \(code))"
    case (SIGSYS, _): description = "\(who) made a system call that relays may not make (SIGSYS)"
    case (SIGSEGV, _): description = "\(who) touched memory that is not there (SIGSEGV)"
    case (SIGBUS, _): description = "\(who) touched memory that is not there (SIGBUS)"
    case (SIGILL, _): description = "\(who) trapped (SIGILL)"
    case (SIGTRAP, _): description = "\(who) trapped (SIGTRAP)"
    case (SIGFPE, _): description = "\(who) divided by zero (SIGFPE)"
    case (SIGKILL, _): description = "the worker was killed from outside, as for want of memory (SIGKILL)"
    default: description = "\(who) crashed (signal \(signal))"
    }
  }
}

/// How the worker of a relay fared: engine `process`, relays with extensions.
public struct RelayWorkerSnapshot: Hashable, Sendable, Codable {
  /// How often it had to be started again.
  public var restarts: UInt64
  /// Why, the last time; nil: never.
  public var latest: String?

  public init(restarts: UInt64 = 0, latest: String? = nil) {
    self.restarts = restarts
    self.latest = latest
  }
}
