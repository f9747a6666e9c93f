import ArgumentParser
import Foundation
import StreamRouter
import Topology

/// `streamrouter capture`: what passes one hop of a stream, as pcapng.
struct CaptureCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "capture",
    abstract: "Capture a stream at one hop, before or after its extensions, into a pcapng file.",
    discussion: """
      The filter is made of the topology's addresses. Section, devices and packets have comments that name stream, \
      node and hop. With --when, packets are held in memory, and what came in the --keep time before and after the \
      condition held is written: the packet at which it began to hold says so in its comment. Loss is what was \
      missing in this second and the one before.

      Examples:
        streamrouter capture video@edge -w edge.pcapng --for 10s
        streamrouter capture video@edge --after -w ring.pcapng --size 100M --files 5
        streamrouter capture video@studio -w bad.pcapng --when 'jitter>5ms' --when 'loss>0' --keep 10s

      Exit status: 0 captured, 1 failed, 64 wrong usage, 77 not permitted.
      """)

  @Argument(help: ArgumentHelp("The stream, and the node where it is captured.", valueName: "stream[@node]"))
  var place: String
  @Option(
    help: "The topology file or the topology's name; not needed where exactly one lab runs.",
    completion: .file(extensions: ["yaml", "yml"]))
  var topology: String?
  @Option(name: [.customShort("w"), .customLong("write")], help: "The file to write.", completion: .file())
  var file: String
  @Flag(help: "Before the extensions, as packets come in (default), or after them, as they leave.")
  var side = CapturePoint.Side.before
  @Option(name: .customLong("for"), help: ArgumentHelp("End after this time.", valueName: "time"))
  var duration: TimeSpan?
  @Option(help: "End after so many written packets.") var count: UInt64?
  @Option(
    help: ArgumentHelp(
      "Bytes of a file, as 100M; the next one begins, or the capture ends.", valueName: "bytes"))
  var size: ByteCount?
  @Option(help: ArgumentHelp("Time after which the next file begins.", valueName: "time")) var rotate: TimeSpan?
  @Option(help: "Keep the latest so many files, each with a number in its name.") var files = 1
  @Option(
    help: ArgumentHelp(
      "Write only what is around the moments at which this holds: jitter>5ms, loss>0 or loss>1%. Repeatable.",
      valueName: "condition"))
  var when: [Threshold] = []
  @Option(help: ArgumentHelp("Time to keep before and after, with --when.", valueName: "time"))
  var keep: TimeSpan?
  @Option(help: ArgumentHelp("Memory for what came before, with --when (default: 64M).", valueName: "bytes"))
  var memory: ByteCount?
  @Flag(help: "Print the report as one JSON document.") var json = false

  func validate() throws {
    if files < 1 || files > 99_999 { throw ValidationError("--files \(files): give 1 to 99999") }
    if files > 1, size == nil, rotate == nil {
      throw ValidationError("--files \(files) needs --size or --rotate")
    }
    if rotate != nil, files == 1 { throw ValidationError("--rotate needs --files") }
    if when.isEmpty, keep != nil || memory != nil {
      throw ValidationError("--keep and --memory belong to --when")
    }
    for condition in when where ![.jitter, .loss].contains(condition.figure) {
      throw ValidationError("--when '\(condition)': conditions on jitter and loss can be watched for")
    }
    if let memory, !(1 << 20...1 << 40).contains(memory.bytes) {
      throw ValidationError("--memory: give 1M or more")
    }
    if let count, count == 0 { throw ValidationError("--count 0: give 1 or more") }
  }

  func run() async throws {
    let report = try await TrafficExit.translate {
      let reference = try TrafficReference(topology)
      let parts = place.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let point = try await CapturePoint.find(
        reference.ends(parts[0]), at: parts.count > 1 ? parts[1] : nil, side: side)
      if !when.isEmpty, point.relay.transport != .rtp {
        throw ValidationError(
          "--when needs RTP, and stream \(point.relay.stream) is of protocol \(point.relay.transport.rawValue)")
      }
      return try await Capture(point, topology: reference.topology.name, settings: settings()).run {
        Report.note("capturing \(point.comment); end with Ctrl-C")
      }
    }
    if json { try LabExit.printJSON(report) } else { print(report.text) }
  }

  private func settings() -> Capture.Settings {
    var settings = Capture.Settings(file: file)
    settings.fileBytes = size?.bytes
    settings.fileSeconds = rotate?.seconds
    settings.files = files
    settings.seconds = duration?.seconds
    settings.count = count
    settings.triggers = when
    if let keep { settings.keepSeconds = keep.seconds }
    if let memory { settings.keepBytes = memory.bytes }
    return settings
  }
}

extension CapturePoint.Side: EnumerableFlag {}

/// Bytes of the command line: `1500`, `64k`, `100M`, `2G`, in powers of 1000.
struct ByteCount: ExpressibleByArgument {
  let bytes: Int

  /// nil where it is no number of bytes above 0.
  init?(argument: String) {
    guard case .packetsPerSecond(let number)? = TrafficRate(argument), !argument.hasSuffix("s") else {
      return nil
    }
    bytes = Int(number)
  }
}
