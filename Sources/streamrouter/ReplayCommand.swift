import ArgumentParser
import Foundation
import StreamRouter
import Topology

/// `streamrouter replay`: a capture sent again.
struct ReplayCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Send the UDP datagrams of a capture again, in their own time.",
    discussion: """
      Reads pcap and pcapng. Where a file holds datagrams to several addresses, --filter chooses. Gaps and disorder of \
      the capture are sent as they are, and the report says how late packets were against its times. Over the rounds \
      of --loop, RTP sequence numbers and timestamps go on.

      Examples:
        streamrouter replay camera.pcapng --stream video
        streamrouter replay camera.pcap --to 10.42.0.1:5004 --speed 2 --ssrc 0x1234 --payload-type 96
        streamrouter replay all.pcap --filter 'dst port 5004' --to 10.42.0.1:5004 --loop

      Exit status: 0 sent, 1 failed, 64 wrong usage, 77 not permitted.
      """)

  @Argument(help: "The capture.", completion: .file(extensions: ["pcap", "pcapng"])) var file: String
  @OptionGroup var destination: TrafficDestination
  @Option(help: "How many times as fast as it was captured.") var speed = 1.0
  @Flag(help: "Again and again, until Ctrl-C.") var loop = false
  @Option(help: "So many times.") var times: UInt64?
  @Option(help: ArgumentHelp("Which packets, as in tcpdump.", valueName: "pcap-filter")) var filter = ""
  @Option(help: "RTP synchronization source to write, in decimal or as 0x53520001.")
  var ssrc: Number<UInt32>?
  @Option(help: "RTP payload type to write, 0 to 127.") var payloadType: UInt8?
  @Option(help: "The first RTP sequence number to write; the others keep their distance.")
  var sequence: UInt16?
  @Option(help: "The first RTP timestamp to write; the others keep their distance.") var timestamp: UInt32?
  @Flag(help: "Send at real-time priority (SCHED_FIFO), for exact times on a busy machine.")
  var realtime = false
  @Flag(help: "Print the report as one JSON document.") var json = false

  func validate() throws {
    guard speed >= 0.001, speed <= 1e6 else {
      throw ValidationError("--speed \(speed): give 0.001 to 1000000")
    }
    if let payloadType, payloadType > 127 {
      throw ValidationError("--payload-type \(payloadType): give 0 to 127")
    }
    if loop, times != nil { throw ValidationError("--loop has no end; leave --times out") }
    if let times, times == 0 { throw ValidationError("--times 0: give 1 or more") }
  }

  func run() async throws {
    let report = try await TrafficExit.translate { try await Replay(settings()).run() }
    if json { try LabExit.printJSON(report) } else { print(report.text) }
  }

  private func settings() throws -> Replay.Settings {
    let place = try destination.find(for: "replay")
    var settings = Replay.Settings(file: file, destination: place.endpoint)
    settings.source = place.source
    settings.namespace = place.namespace
    settings.speed = speed
    settings.rounds = loop ? nil : times ?? 1
    settings.filter = filter
    settings.ssrc = ssrc?.value
    settings.payloadType = payloadType
    settings.sequence = sequence
    settings.timestamp = timestamp
    settings.isRealtime = realtime
    return settings
  }
}
