import ArgumentParser
import Foundation
import StreamRouter
import Topology

/// `streamrouter receive`: a test sink.
struct ReceiveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "receive",
    abstract: "Receive a stream and account for every packet of it.",
    discussion: """
      Takes what any sender sends. Where that is 'streamrouter send', loss, duplicates and order are exact, and the \
      one-way delay is measured (between machines: as exactly as their clocks agree). Ends after --for, --count or \
      --idle, or on Ctrl-C, and then reports. MPEG-TS in RTP or UDP is looked into: continuity, program clocks (PCR) and \
      the Media Delivery Index (RFC 4445). What peers say in RTCP that comes to the same port stands apart. In a lab, \
      --stream receives in the namespace of the stream's sink.

      Examples:
        streamrouter receive --stream video --idle 2s
        streamrouter receive --stream feed --at studio-a --for 60s --json
        streamrouter receive --at 0.0.0.0:5004 --count 100000 --fail-when 'loss>0' --fail-when 'jitter>5ms'

      Exit status: 0 received, 1 failed or nothing came, 2 a --fail-when holds, 64 wrong usage, 77 not permitted.
      """)

  @Option(
    help: ArgumentHelp(
      "Where to listen; with --stream the node, or address outside, whose sink it is.",
      valueName: "address:port|node"))
  var at: String?
  @Option(help: "The stream whose sink this is.") var stream: String?
  @Option(
    help: "The topology file or the topology's name; not needed where exactly one lab runs.",
    completion: .file(extensions: ["yaml", "yml"]))
  var topology: String?
  @Option(help: "rtp or udp; by default the stream's protocol, and rtp without --stream.")
  var transport: StreamProtocol?
  @Option(help: "Hz of the RTP timestamps; by default the stream's, else by payload type.") var clockRate:
    UInt32?
  @Option(name: .customLong("for"), help: ArgumentHelp("End after this time.", valueName: "time"))
  var duration: TimeSpan?
  @Option(help: "End after this many packets.") var count: UInt64?
  @Option(help: ArgumentHelp("End when this time has passed after the last packet.", valueName: "time"))
  var idle: TimeSpan?
  @Option(
    help: ArgumentHelp(
      "Exit with status 2 where this holds at the end: loss>0, loss>0.1%, duplicates>0, reordered>0, queue>0, jitter>5ms, delay>20ms, and of MPEG-TS df>50ms or mlr>0. Repeatable.",
      valueName: "condition"))
  var failWhen: [Threshold] = []
  @Flag(help: "Receive at real-time priority (SCHED_FIFO).") var realtime = false
  @Flag(help: "Print the report as one JSON document.") var json = false

  func validate() throws {
    if stream == nil {
      guard let at, Endpoint(at) != nil else {
        throw ValidationError("give --at ADDRESS:PORT or --stream STREAM")
      }
      if topology != nil { throw ValidationError("--topology belongs to --stream") }
    }
    try ClockRate.check(clockRate)
    if let count, count == 0 { throw ValidationError("--count 0: give 1 or more") }
  }

  func run() async throws {
    let report = try await TrafficExit.translate {
      let settings = try settings()
      return try await TestReceiver(settings).run { Report.note("listening at \(settings.endpoint)") }
    }
    if json { try LabExit.printJSON(report) } else { print(report.text) }
    let broken = failWhen.filter { report.exceeds($0) }
    for threshold in broken { Report.error("\(threshold) holds") }
    if !broken.isEmpty { throw ExitCode(TrafficExit.limitExceeded) }
    if report.packets == 0 { throw ExitCode.failure }
  }

  private func settings() throws -> TestReceiver.Settings {
    var settings: TestReceiver.Settings
    if let stream {
      let ends = try TrafficReference(topology).ends(stream)
      try ends.requireDatagrams(for: "receive")
      let sink = try ends.sink(at: at)
      settings = TestReceiver.Settings(endpoint: sink.endpoint)
      settings.namespace = sink.namespace
      settings.transport = transport ?? ends.stream.transport
      settings.clockRate = clockRate ?? ends.stream.clockRate
    } else {
      guard let endpoint = at.flatMap({ Endpoint($0) }) else { throw ValidationError("give --at ADDRESS:PORT") }
      settings = TestReceiver.Settings(endpoint: endpoint)
      settings.transport = transport ?? .rtp
      settings.clockRate = clockRate
    }
    settings.seconds = duration?.seconds
    settings.count = count
    settings.idleSeconds = idle?.seconds
    settings.isRealtime = realtime
    return settings
  }
}

extension Threshold: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}
