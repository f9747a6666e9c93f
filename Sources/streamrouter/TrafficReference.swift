import ArgumentParser
import Foundation
import StreamRouter
import Topology

/// The topology whose stream a command is about, and the lab that runs it, if one does.
struct TrafficReference {
  let topology: Topology
  /// nil: no lab runs it here.
  let lab: String?

  /// - Parameter text: A topology file or the name of a lab; nil: the only lab that runs.
  init(_ text: String?) throws {
    let reference = try LabReference(text)
    let isLab = Lab.running().contains(reference.name)
    lab = isLab ? reference.name : nil
    if let topology = reference.topology {
      self.topology = topology
    } else {
      topology = try Lab.topology(of: reference.name)
    }
  }

  func ends(_ stream: String) throws -> StreamEnds { try StreamEnds(stream, of: topology, lab: lab) }
}

/// How the commands that send, receive, replay and capture end.
enum TrafficExit {
  /// Exit status where a limit was exceeded.
  static let limitExceeded: Int32 = 2

  /// Runs a command's body; errors are told on standard error and given their exit status.
  static func translate<Result>(_ body: () async throws -> Result) async throws -> Result {
    do {
      return try await LabExit.translate(body)
    } catch let error as TrafficError {
      Report.error("\(error)")
      throw ExitCode(error.isPermission ? EX_NOPERM : EXIT_FAILURE)
    } catch let error as CaptureError {
      Report.error("\(error)")
      throw ExitCode(error.isPermission ? EX_NOPERM : EXIT_FAILURE)
    } catch let error as LabError {
      Report.error("\(error)")
      throw ExitCode.failure
    }
  }
}

extension TrafficRate: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

/// A time of the command line: `250us`, `5ms`, `10s`, `2m`, `1h`, or seconds without a unit.
struct TimeSpan: ExpressibleByArgument {
  let seconds: Double

  /// nil where it is no time above 0.
  init?(argument: String) {
    guard let seconds = TimeText.seconds(argument), seconds > 0 else { return nil }
    self.seconds = seconds
  }
}

/// Hz of RTP timestamps on the command line.
enum ClockRate {
  static func check(_ rate: UInt32?) throws {
    guard let rate, !PayloadRates.limits.contains(rate) else { return }
    throw ValidationError(
      "--clock-rate \(rate): give \(PayloadRates.limits.lowerBound) to \(PayloadRates.limits.upperBound) Hz")
  }
}

/// A whole number up to a limit, in decimal or, with 0x, in hex.
struct Number<Value: FixedWidthInteger & UnsignedInteger & Sendable>: ExpressibleByArgument, Sendable {
  let value: Value

  init?(argument: String) {
    let isHex = argument.lowercased().hasPrefix("0x")
    guard let value = isHex ? Value(argument.dropFirst(2), radix: 16) : Value(argument) else { return nil }
    self.value = value
  }
}

extension Endpoint: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

/// What can be sent and received: datagrams.
extension StreamProtocol: ExpressibleByArgument {
  public init?(argument: String) {
    guard let known = Self(rawValue: argument), known.isDatagrams else { return nil }
    self = known
  }

  public static var allValueStrings: [String] { allCases.filter(\.isDatagrams).map(\.rawValue) }
}
