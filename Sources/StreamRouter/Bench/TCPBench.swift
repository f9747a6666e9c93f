import Foundation

/// A file fetched by wget from a real Apache through the relay, against background threads.
struct TCPBench: Sendable {
  var lab: BenchLab

  static let rate = BenchFigure(
    key: "tcp-rate", title: "Fetching a file over TCP", part: .tcp, axis: "background threads", unit: "MB/s",
    better: .higher,
    note:
      "wget from Apache, both on the processor without background threads. process is split mode (two connections), sandbox is packet mode (one, rewritten). From the start of wget to its end; a fetch that takes longer than the limit is ended, and its rate taken from what the device had received."
  )
  static let seconds = BenchFigure(
    key: "tcp-seconds", title: "Time of the fetch", part: .tcp, axis: "background threads", unit: "s",
    better: .lower, note: "At most the limit of the run.", isBeside: true)
  static let ksoftirqd = BenchFigure(
    key: "tcp-ksoftirqd", title: "Share of the softirq work done in ksoftirqd", part: .tcp,
    axis: "background threads", unit: "%", better: .neither, note: ThroughputBench.ksoftirqdNote, isBeside: true
  )

  /// What came of one fetch.
  private struct Fetch: Sendable {
    var seconds: Double
    var bytes: Double
    var softirq: SoftirqReading
  }

  func run(_ results: inout BenchResults) async throws {
    let settings = lab.settings
    var ways = lab.ways(in: .tcp)
    do {
      try await lab.network.carryTrains(true)
      try await warmUp()
      for round in 0..<settings.repetitions {
        for threads in settings.threads {
          for way in ways where settings.measures(way, at: threads) {
            lab.progress(
              "tcp, round \(round + 1) of \(settings.repetitions), \(threads) background threads: \(way.title)")
            do {
              let fetch = try await measure(way, threads: threads)
              func add(_ value: Double?, _ figure: BenchFigure) {
                results.add(value, to: figure, way: way.rawValue, x: threads, round: round)
              }
              add(fetch.bytes / fetch.seconds / 1e6, Self.rate)
              add(fetch.seconds, Self.seconds)
              add(fetch.softirq.ksoftirqdPercent, Self.ksoftirqd)
            } catch let error as BenchError {
              results.skip(way.rawValue, in: .tcp, because: error.reason)
              if error.endsWay { ways.removeAll { $0 == way } }
            }
          }
        }
      }
    } catch {
      await Task { [lab] in try? await lab.network.carryTrains(false) }.value
      throw error
    }
    try await lab.network.carryTrains(false)
  }

  /// Reads the file once, so that the first way to send it does not wait for its pages.
  private func warmUp() async throws {
    guard (try? server()) != nil else { return }
    try await LabShell.run("dd", ["if=\(file)", "of=/dev/null", "bs=1M", "status=none"])
  }

  private var root: String { lab.folder.appendingPathComponent("apache").path }
  private var file: String { root + "/files/bench.bin" }

  private func measure(_ way: BenchWay, threads: Int) async throws -> Fetch {
    let server = try server()
    return try await server.run { [lab] in
      try await lab.forwarder.run(way, over: .tcp) { destination in
        let load = BenchLoad(threads: threads, processor: BenchNetwork.relayProcessor)
        defer { load.end() }
        return try await Self.fetch("http://\(destination)/bench.bin", lab)
      }
    }
  }

  /// Apache on a folder of its own, as Benchmarks/peers/apache2.conf says.
  private func server() throws -> BenchProcess {
    for (program, package) in [("apache2", "apache2"), ("wget", "wget")]
    where BenchPeer.path(of: program) == nil {
      throw BenchError.needs("\(program) is not installed (Debian: \(package))")
    }
    let configuration = URL(fileURLWithPath: lab.settings.peersDirectory).appendingPathComponent("apache2.conf")
      .path
    guard FileManager.default.fileExists(atPath: configuration) else {
      throw BenchError.needs(
        "there is no apache2.conf in \(lab.settings.peersDirectory); name its folder with --peers-directory")
    }
    if !FileManager.default.fileExists(atPath: file) {
      for folder in ["files", "run"] {
        try FileManager.default.createDirectory(atPath: "\(root)/\(folder)", withIntermediateDirectories: true)
      }
      _ = FileManager.default.createFile(atPath: file, contents: nil)
      // Sparse: it takes no room on the disk, and nothing is read from there.
      guard truncate(file, off_t(lab.settings.tcpMegabytes) * 1_000_000) == 0 else {
        throw BenchError.needs("a file of \(lab.settings.tcpMegabytes) MB in the folder for temporary files")
      }
    }
    let (network, port) = (lab.network, BenchNetwork.server.port)
    return BenchProcess(
      name: "apache2", command: ["apache2", "-d", root, "-f", configuration, "-DFOREGROUND"],
      namespace: network.sinkName, processor: BenchFlood.processor
    ) { try BenchNetwork.listens(.tcp, port, in: network.sinkName) }
  }

  private static func fetch(_ url: String, _ lab: BenchLab) async throws -> Fetch {
    let bytes = Double(lab.settings.tcpMegabytes) * 1e6
    let before = (try received(in: lab.network.source), lab.network.softirqs.read(), monotonicNs())
    let outcome = try await LabShell.attempt(
      "nsenter",
      [
        "--net=/run/netns/\(lab.network.source)", "taskset", "-c", "\(BenchFlood.processor)", "timeout",
        "\(lab.settings.tcpSecondsAtMost)", "wget", "--no-config", "--no-proxy", "--tries=1", "--quiet",
        "--output-document=/dev/null", url,
      ])
    let seconds = Double(monotonicNs() - before.2) / 1e9
    let softirq = lab.network.softirqs.read() - before.1
    try Task.checkCancellation()
    if outcome.succeeded { return Fetch(seconds: seconds, bytes: bytes, softirq: softirq) }
    // timeout(1) says 124.
    guard outcome.status.contains("124") else {
      throw BenchError.nothingArrived("wget ended with \(outcome.status) \(outcome.errors)")
    }
    return Fetch(
      seconds: seconds, bytes: Double(try received(in: lab.network.source) - before.0), softirq: softirq)
  }

  /// Bytes that the source's device has received.
  private static func received(in namespace: String) throws -> UInt64 {
    try NetworkNamespace.run(in: namespace) {
      let table = LabFiles.read("/proc/thread-self/net/dev") ?? ""
      let line = table.split(separator: "\n").first { $0.contains("to-relay:") }
      return line?.split(separator: ":").last?.split(separator: " ").first.flatMap { UInt64($0) } ?? 0
    }
  }
}
