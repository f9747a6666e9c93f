import ArgumentParser
import Foundation
import StreamRouter

/// `streamrouter bench`: what the engines do on this machine, side by side in one run.
struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure the engines against each other, kernel forwarding and what users have today.",
    discussion: """
      Builds three network namespaces of its own and removes them. Needs root and two processors, and wants an otherwise \
      idle machine. Use a release build. Progress goes to standard error, results to standard output.

      Example: sudo streamrouter bench udp --threads 0,8,64
      """,
    subcommands: [
      UDP.self, TCP.self, Cost.self, FanOut.self, Scale.self, Channel.self, All.self, Compare.self,
      ReportCommand.self, PassingPeer.self,
    ],
    defaultSubcommand: All.self)

  struct UDP: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "udp",
      abstract: "UDP throughput, and transfer time of a paced stream, against background threads.",
      discussion: """
        Ways: process (SCHED_OTHER), process-rr (SCHED_RR), kernel, sandbox, sandbox-fifo (ksoftirqd at \
        SCHED_FIFO), sandbox-extension, and with --peers nginx, socat, rtpengine, gstreamer, srt.
        """)
    @OptionGroup var options: BenchOptions
    @Option(help: "Length of a paced stream whose transfer time is measured, in each round.")
    var transferSeconds: Double?
    @Option(
      name: .customLong("extension"),
      help: "A built extension for sandbox-extension, instead of one that lets everything through.",
      completion: .file(extensions: ["srx"]))
    var passExtension: String?

    func validate() throws {
      if let transferSeconds, !(transferSeconds > 0) {
        throw ValidationError("--transfer-seconds must be above 0")
      }
    }

    func run() async throws {
      try await options.measure([.udp]) { settings in
        if let transferSeconds { settings.transferSeconds = transferSeconds }
        settings.passExtension = passExtension
      }
    }
  }

  struct TCP: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "tcp",
      abstract: "wget of a file from a real Apache through the relay, against background threads.",
      discussion: """
        Needs apache2 and wget. Ways: process (split mode), process-rr, kernel, sandbox (packet mode), and with --peers \
        nginx, haproxy, socat.
        """)
    @OptionGroup var options: BenchOptions
    @Option(help: "Size of the file in MB (1,000,000 bytes).")
    var size: Int?
    @Option(help: "Seconds after which a fetch is ended, and its rate taken from what has come.")
    var limit: Double?

    func validate() throws {
      if let size, size < 1 { throw ValidationError("--size must be at least 1") }
      if let limit, !(limit > 0) { throw ValidationError("--limit must be above 0") }
    }

    func run() async throws {
      try await options.measure([.tcp]) { settings in
        if let size { settings.tcpMegabytes = size }
        if let limit { settings.tcpSecondsAtMost = limit }
      }
    }
  }

  struct Cost: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "cost",
      abstract: "What a packet costs: relay path, null upcall, share of the relay's processor.",
      discussion: """
        Nanoseconds and cycles, sandbox beside kernel forwarding and beside the paper's figures. With the kernel module \
        loaded with upcall=1 also a null upcall beside a woken SCHED_FIFO and SCHED_OTHER thread, in the mode that the \
        module was loaded in; load it in the other, measure once more with --only upcall, and 'bench compare' sets both \
        side by side. Instructions that emulated guests counted are shown where Tests/VM/cost.sh has left them.
        """)
    @OptionGroup var options: BenchOptions
    @OptionGroup var emulated: EmulatedOption
    @Option(
      help: "Costs to measure: path, upcall, processor (default: all).",
      transform: { try BenchOptions.usage { try BenchSettings.costs(from: $0) }($0) })
    var only: [BenchCost]?
    @Option(
      name: .customLong("extension"),
      help: "Also measure what this built extension costs: FILE or FILE,parameter=value,... Repeatable.",
      completion: .file(extensions: ["srx"]))
    var extensions: [String] = []
    @Flag(help: "Also measure costs with the account left out.")
    var withoutAccount = false

    func validate() throws {
      guard let only else { return }
      if emulated.emulated != nil, !only.contains(.upcall) {
        throw ValidationError("--emulated is of cost upcall, which --only leaves out")
      }
      if !extensions.isEmpty || withoutAccount, !only.contains(.path) {
        throw ValidationError("--extension and --without-account are of cost path, which --only leaves out")
      }
    }

    func run() async throws {
      try await options.measure([.cost], emulated: emulated.found()) { settings in
        settings.costs = only
        settings.extensions = extensions
        settings.withoutAccount = withoutAccount
      }
    }
  }

  struct FanOut: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "fanout", abstract: "1 to 16 sinks of a stream: cost of each, and throughput.")
    @OptionGroup var options: BenchOptions

    func run() async throws { try await options.measure([.fanout]) { _ in } }
  }

  struct Scale: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "scale",
      abstract: "1 to 10,000 relays: cost of a packet, and throughput with traffic spread over them.")
    @OptionGroup var options: BenchOptions

    func run() async throws { try await options.measure([.scale]) { _ in } }
  }

  struct Channel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "channel",
      abstract: "Packets between two processes: SandboxChannel beside pipe, Unix sockets and io_uring.")
    @OptionGroup var options: BenchOptions

    func run() async throws { try await options.measure([.channel]) { _ in } }
  }

  /// The other process of `bench channel`, which starts it.
  struct PassingPeer: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "passing-peer", abstract: "The receiver of 'bench channel'.", shouldDisplay: false)
    @Argument var way: String
    @Argument var bytes: Int
    @Argument var processor: Int
    @Flag var echo = false

    func run() throws {
      do {
        try PassingProcess.serve(way: way, bytes: bytes, echoes: echo, processor: processor)
      } catch {
        throw BenchOptions.fail(error)
      }
    }
  }

  struct All: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "all",
      abstract: "Everything, one after the other (default).",
      discussion: "Some forty minutes with --peers; --quick is a look of six minutes.")
    @OptionGroup var options: BenchOptions
    @OptionGroup var emulated: EmulatedOption

    func run() async throws {
      try await options.measure(BenchPart.allCases, emulated: emulated.found()) { _ in }
    }
  }
}
