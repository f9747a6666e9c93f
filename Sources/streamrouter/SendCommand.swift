import ArgumentParser
import Foundation
import StreamRouter
import Topology

/// `streamrouter send`: a test source.
struct SendCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "send",
    abstract: "Send a test stream: numbered, time-stamped packets at exact times.",
    discussion: """
      Ends after --for or --count, at the end of a --ramp, or on Ctrl-C, and then reports what was sent and how late. \
      'streamrouter receive' at the other end accounts for each packet. With --stream, in a lab, packets leave from \
      the namespace of a node that the stream's first hop takes them from.

      Examples:
        streamrouter send --stream video --rate 5000 --for 10s
        streamrouter send --stream video --rate 8Mbit --size 1200 --burst 20 --count 100000
        streamrouter send --to 10.42.0.1:5004 --ramp 1k..50k/30s --json

      Exit status: 0 sent, 1 failed, 64 wrong usage, 77 not permitted.
      """)

  @OptionGroup var destination: TrafficDestination

  @Option(help: "rtp or udp; by default the stream's protocol, and rtp with --to.") var transport:
    StreamProtocol?
  @Option(
    help: ArgumentHelp("Packets a second (5000, 5k) or bits of payload a second (8Mbit).", valueName: "rate"))
  var rate = TrafficRate.packetsPerSecond(1000)
  @Option(
    help: ArgumentHelp(
      "A rate that changes evenly, as 1k..50k/30s; it stays at its end for the rest of --for or --count.",
      valueName: "from..to/time"))
  var ramp: Ramp?
  @Option(help: "Bytes of each datagram's payload.") var size = 200
  @Option(help: "Packets that leave at once; the rate stays what it is.") var burst = 1
  @Option(name: .customLong("for"), help: ArgumentHelp("How long.", valueName: "time")) var duration: TimeSpan?
  @Option(help: "How many packets.") var count: UInt64?

  @Option(help: "RTP payload type, 0 to 127.") var payloadType: UInt8 = 96
  @Option(help: "RTP synchronization source, in decimal or as 0x53520001.") var ssrc: Number<UInt32>?
  @Option(help: "Hz of the RTP timestamps; by default the stream's, else by payload type.") var clockRate:
    UInt32?
  @Option(help: "The first RTP sequence number.") var sequence: UInt16 = 0
  @Flag(help: "Send at real-time priority (SCHED_FIFO), for exact times on a busy machine.") var realtime =
    false
  @Flag(help: "Print the report as one JSON document.") var json = false

  func validate() throws {
    if payloadType > 127 { throw ValidationError("--payload-type \(payloadType): give 0 to 127") }
    try ClockRate.check(clockRate)
    if burst < 1 || burst > 1_000_000 { throw ValidationError("--burst \(burst): give 1 to 1000000") }
    if let count, count == 0 { throw ValidationError("--count 0: give 1 or more") }
    try checkSize(transport ?? .udp)
  }

  private func checkSize(_ transport: StreamProtocol) throws {
    let sizes = TestSender.leastBytes(transport)...TestSender.mostBytes
    guard sizes.contains(size) else {
      throw ValidationError(
        "--size \(size): give \(sizes.lowerBound) to \(sizes.upperBound); number and time of departure must fit in"
      )
    }
  }

  func run() async throws {
    let report = try await TrafficExit.translate { try await TestSender(settings()).run() }
    if json { try LabExit.printJSON(report) } else { print(report.text) }
  }

  private func settings() throws -> TestSender.Settings {
    let place = try destination.find(for: "send")
    var settings = TestSender.Settings(destination: place.endpoint)
    settings.source = place.source
    settings.namespace = place.namespace
    settings.transport = transport ?? place.stream?.transport ?? .rtp
    settings.clockRate = clockRate ?? place.stream?.clockRate ?? TestSender.clockRate(payloadType)
    try checkSize(settings.transport)
    settings.bytes = size
    settings.payloadType = payloadType
    if let ssrc { settings.ssrc = ssrc.value }
    settings.sequence = sequence
    settings.isRealtime = realtime
    settings.pace =
      ramp.map { $0.pace(bytes: size, burst: UInt64(burst)) }
      ?? Pace(perSecond: rate.packetsPerSecond(bytes: size), burst: UInt64(burst))
    let seconds = duration?.seconds ?? (count == nil ? ramp?.seconds : nil)
    settings.count = [count, seconds.map { settings.pace.packets(within: $0) }].compactMap { $0 }.min()
    return settings
  }
}

/// `1k..50k/30s`.
struct Ramp: ExpressibleByArgument {
  let first: TrafficRate
  let last: TrafficRate
  let seconds: Double

  init?(argument: String) {
    // The last slash: a rate may be written as 8Mbit/s.
    guard let slash = argument.lastIndex(of: "/"), let dots = argument[..<slash].firstRange(of: ".."),
      let first = TrafficRate(String(argument[..<dots.lowerBound])),
      let last = TrafficRate(String(argument[dots.upperBound..<slash])),
      let seconds = TimeText.seconds(String(argument[argument.index(after: slash)...])), seconds > 0
    else { return nil }
    (self.first, self.last, self.seconds) = (first, last, seconds)
  }

  func pace(bytes: Int, burst: UInt64) -> Pace {
    Pace(
      ramp: first.packetsPerSecond(bytes: bytes), last.packetsPerSecond(bytes: bytes), seconds: seconds,
      burst: burst)
  }
}
