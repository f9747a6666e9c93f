import ArgumentParser
import StreamRouter

/// `streamrouter lab impair`.
struct LabImpairCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "impair", abstract: "Make a link of a lab worse than it is.",
    discussion: """
      Replaces what was set on the link before. Delay and jitter need the kernel's netem; rate and loss do without.
      'lab status' shows what is set.
      """)

  @Argument(help: "The topology file or the topology's name; not needed where exactly one lab runs.")
  var lab: String?
  @Option(help: ArgumentHelp("The link.", valueName: "a--b")) var link: String
  @Option(help: ArgumentHelp("How long each packet waits, as 5ms or 250us.", valueName: "time")) var delay:
    String?
  @Option(help: ArgumentHelp("By how much the delay varies.", valueName: "time")) var jitter: String?
  @Option(help: ArgumentHelp("Packets that are lost.", valueName: "percent")) var loss: Double?
  @Option(help: ArgumentHelp("What the link carries.", valueName: "kbit/s")) var rate: UInt64?
  @Option(help: "Which way: a-to-b, b-to-a (a and b as in --link) or both.")
  var direction: LabImpairmentRequest.Direction = .both
  @Flag(help: "Make the link whole again.") var clear = false

  func validate() throws {
    let request = try request()
    if clear != request.isEmpty {
      throw ValidationError(
        clear
          ? "--clear takes everything off the link; leave the other options out"
          : "say what to do to the link: --delay, --jitter, --loss, --rate or --clear")
    }
  }

  func run() async throws {
    try await LabExit.translate {
      let reference = try LabReference(lab)
      let made = try await Lab(topology: reference.name).impair(try request())
      for impairment in made { print(impairment.text) }
      if made.isEmpty { print("\(link) is whole again") }
    }
  }

  private func request() throws -> LabImpairmentRequest {
    LabImpairmentRequest(
      link: link, direction: direction, delayMs: try Self.milliseconds(delay, "--delay"),
      jitterMs: try Self.milliseconds(jitter, "--jitter"), lossPercent: loss, rateKbit: rate)
  }

  private static func milliseconds(_ text: String?, _ option: String) throws -> Double? {
    guard let text else { return nil }
    guard let value = LabImpairmentRequest.milliseconds(text) else {
      throw ValidationError("\(option) '\(text)' is no time up to an hour; write it as 5ms, 250us or 1.5s")
    }
    return value
  }
}

extension LabImpairmentRequest.Direction: ExpressibleByArgument {}

/// `streamrouter lab impair-here`: what `lab impair` runs inside a node's namespace.
struct LabImpairHereCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "impair-here", abstract: "Set the loss of a device of this network namespace.",
    shouldDisplay: false)

  @Option var device: String
  @Option(name: .customLong("loss-ppm")) var lossPerMillion: UInt32?
  @Flag var clear = false

  func validate() throws {
    guard clear == (lossPerMillion == nil), lossPerMillion ?? 0 <= 1_000_000 else {
      throw ValidationError("give --clear, or --loss-ppm from 0 to 1000000")
    }
  }

  func run() async throws {
    try await LabExit.translate {
      if let lossPerMillion {
        print(try LossProgram.attach(device: device, lossPerMillion: lossPerMillion))
      } else {
        try LossProgram.detach(device: device)
      }
    }
  }
}
