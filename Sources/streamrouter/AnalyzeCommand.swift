import ArgumentParser
import Foundation
import StreamRouter

/// `streamrouter analyze`: the account of every RTP and MPEG-TS stream in a capture.
struct AnalyzeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "analyze",
    abstract: "Find every RTP and MPEG-TS stream in a capture, and account for each.",
    discussion: """
      Reads pcap and pcapng, from standard input too (-). Needs neither SIP nor SDP: a stream is an SSRC between two \
      socket addresses of which four packets in a row have version 2, a payload type that is not RTCP's (RFC 5761), a \
      header that fits into the packet, and numbers less than 3000 ahead or at most 100 behind the one before, two of \
      them exactly the next. RTCP and what is neither are counted. The figures are those of 'receive' (docs/ACCOUNT.md \
      has the formulas), and beside them those that Wireshark shows.

      MPEG-TS is looked into, in RTP and without: continuity, program clocks (PCR), and the Media Delivery Index DF:MLR \
      (RFC 4445). Without RTP, a pair of socket addresses is a stream once five packets of 188 or 204 bytes in a row \
      have their sync byte.

      Clock rates are known of payload types below 35; for others give --sdp or --clock-rate, or 90000 Hz is assumed.

      Examples:
        streamrouter analyze edge.pcapng
        streamrouter analyze camera.pcap --sdp camera.sdp --filter 'dst port 5004' --json
        tcpdump -i eth0 -w - -c 10000 udp | streamrouter analyze - --clock-rate 97=48000

      Exit status: 0 found, 1 no stream or not readable, 64 wrong usage, 65 the file is damaged: what came before is \
      reported.
      """)

  @Argument(help: "The capture.", completion: .file(extensions: ["pcap", "pcapng"])) var file: String
  @Option(
    help: "A session description, whose a=rtpmap lines give clock rates.",
    completion: .file(extensions: ["sdp"]))
  var sdp: String?
  @Option(help: ArgumentHelp("Hz of a payload type's timestamps. Repeatable.", valueName: "type=hz"))
  var clockRate: [PayloadRate] = []
  @Option(help: ArgumentHelp("Which packets, as in tcpdump.", valueName: "pcap-filter")) var filter = ""
  @Flag(help: "Print the report as one JSON document.") var json = false

  func run() async throws {
    let report = try await TrafficExit.translate {
      do {
        return try CaptureAnalysis.run(settings())
      } catch let error as CaptureError {
        guard let status = CaptureExit.status(error) else { throw error }
        Report.error("\(error)")
        throw ExitCode(status)
      }
    }
    defer { if let damage = report.damage { Report.error(damage) } }
    if json { try LabExit.printJSON(report) } else if !report.isEmpty { print(report.text) }
    if report.isEmpty {
      Report.error(
        "\(file) has no stream of RTP or MPEG-TS"
          + (filter.isEmpty ? "" : " that the filter matches")
          + ": it holds \(report.foundInstead); an RTP stream needs four packets, see 'streamrouter analyze --help'"
      )
      throw report.damage == nil ? ExitCode.failure : ExitCode(EX_DATAERR)
    }
    if report.damage != nil { throw ExitCode(EX_DATAERR) }
  }

  private func settings() throws -> CaptureAnalysis.Settings {
    var settings = CaptureAnalysis.Settings(file: file)
    settings.filter = filter
    if let sdp { settings.rates = try PayloadRates(SenderDescription(path: sdp), file: sdp) }
    for entry in clockRate { settings.rates.set(entry.rate, of: entry.payloadType) }
    return settings
  }
}

/// Exit statuses of commands whose input is a capture.
enum CaptureExit {
  /// nil: the same as any failure's.
  static func status(_ error: CaptureError) -> Int32? {
    switch error {
    case .badFile: EX_DATAERR
    case .badFilter: EX_USAGE
    default: nil
    }
  }
}

/// A clock rate of the command line: `97=48000`.
struct PayloadRate: ExpressibleByArgument {
  let payloadType: UInt8
  /// Hz.
  let rate: UInt32

  init?(argument: String) {
    let parts = argument.split(separator: "=", omittingEmptySubsequences: false)
    guard parts.count == 2, let type = UInt8(parts[0]), type < 128, let rate = UInt32(parts[1]),
      PayloadRates.limits.contains(rate)
    else { return nil }
    (payloadType, self.rate) = (type, rate)
  }
}
