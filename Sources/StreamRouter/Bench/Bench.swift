import Foundation
import Topology
import UnixSignals

/// The benchmarks: ways measured side by side in one run, on a network of their own (``BenchNetwork``).
public struct Bench: Sendable {
  private let settings: BenchSettings
  private let emulated: EmulatedCost?
  private let progress: @Sendable (String) -> Void

  /// - Parameters:
  ///   - emulated: What the guests counted, for part cost.
  ///   - progress: Called with what is being measured.
  public init(
    settings: BenchSettings, emulated: EmulatedCost? = nil, progress: @escaping @Sendable (String) -> Void
  ) {
    self.settings = settings
    self.emulated = emulated
    self.progress = progress
  }

  /// Runs everything that the settings name, until SIGINT or SIGTERM: then what was built is removed all the same, and
  /// the error is a `CancellationError`. Needs root and two processors.
  ///
  /// - Parameter keeping: Called with all that was found whenever a part is over, so that a run that is ended early is
  ///   not lost.
  public func run(
    keeping: @escaping @Sendable (BenchResults) throws -> Void = { _ in }
  ) async throws -> BenchResults {
    let measuring = Task { try await measure(keeping) }
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
    let watching = Task { for await _ in signals { measuring.cancel() } }
    defer { watching.cancel() }
    return try await measuring.value
  }

  private func measure(_ keeping: @Sendable (BenchResults) throws -> Void) async throws -> BenchResults {
    // Root in a container may well lack them.
    let missing = Capability.missing(Capability.lab)
    guard geteuid() == 0, missing.isEmpty else {
      throw BenchError.needs(
        "benchmarks build network namespaces: run as root with all capabilities"
          + (missing.isEmpty ? "" : "; missing: \(missing.sentence)"))
    }
    guard sysconf(Int32(_SC_NPROCESSORS_ONLN)) >= 2 else {
      throw BenchError.needs("benchmarks steer sender and relay to processors of their own: two are needed")
    }
    var results = BenchResults(date: Date.now.ISO8601Format(), machine: .read(), settings: settings)
    results.revision = await Self.revision()
    results.machine.versions = await Self.versions(settings)
    let folder = Self.folder(of: getpid())
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }

    let passing = await passingExtension(in: folder, &results)
    let network = BenchNetwork()
    let lab = BenchLab(
      network: network, settings: settings,
      forwarder: BenchForwarder(network: network, settings: settings, passing: passing, folder: folder),
      folder: folder,
      progress: progress)
    do {
      if settings.needsNetwork { try await network.up() }
      for part in BenchPart.allCases where settings.parts.contains(part) {
        switch part {
        case .cost: try await CostBench(lab: lab, emulated: emulated).run(&results)
        case .udp:
          let ways = try await ThroughputBench(lab: lab).run(&results)
          try await TransferBench(lab: lab).run(ways, &results)
        case .tcp: try await TCPBench(lab: lab).run(&results)
        case .fanout: try await FanOutBench(lab: lab).run(&results)
        case .scale: try await ScaleBench(lab: lab).run(&results)
        case .channel: try await ChannelBench(lab: lab).run(&results)
        }
        try keeping(results)
      }
    } catch {
      // A task of its own, which a cancelled run does not cancel.
      await Task { await network.down() }.value
      throw error
    }
    if settings.needsNetwork { await network.down() }
    return results
  }

  /// Files of a run, removed at its end, or by the next one.
  static func folder(of process: pid_t) -> URL {
    FileManager.default.temporaryDirectory.appendingPathComponent("sr-bench-\(process)")
  }

  /// The extension of the way sandbox-extension: the one that was named, or one that is built here and lets everything
  /// through. nil where there is none; then the results say why.
  private func passingExtension(in folder: URL, _ results: inout BenchResults) async -> String? {
    if let named = settings.passExtension { return named }
    guard settings.ways.contains(.sandboxExtension),
      settings.parts.contains(.udp) || settings.measures(.path)
    else { return nil }
    do {
      progress("building an extension that lets everything through")
      let source = folder.appendingPathComponent("Pass.swift")
      try """
      import RelayExtension

      /// Lets every packet through: what an extension costs that does nothing.
      @main struct Pass: RelayExtension {
        func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict { .forward }
      }

      """.write(to: source, atomically: true, encoding: .utf8)
      return try await ExtensionBuilder().build(source: .init(source.path), into: .init(folder.path)).path
        .string
    } catch {
      for part in [BenchPart.udp, .cost] where settings.parts.contains(part) {
        results.skip(BenchWay.sandboxExtension.rawValue, in: part, because: "\(error)")
      }
      return nil
    }
  }

  /// The commit of the source tree that this program stands in.
  private static func revision() async -> String? {
    guard let folder = try? LabFiles.ownExecutable().removingLastComponent().string,
      let commit = try? await LabShell.run("git", ["-C", folder, "rev-parse", "--short", "HEAD"]),
      // .build is not part of the tree, so the folder says nothing of changes; the whole tree does.
      let changes = try? await LabShell.run(
        "git", ["-C", folder, "status", "--porcelain", "--untracked-files=no", ":/"])
    else { return nil }
    return commit.trimmingCharacters(in: .whitespacesAndNewlines) + (changes.isEmpty ? "" : "+")
  }

  /// Debian's versions of the programs that take part.
  private static func versions(_ settings: BenchSettings) async -> [String: String] {
    var packages: [String: String] = [:]
    for way in settings.ways where way.isPeer {
      if let package = BenchPeer.programs[way]?.package {
        packages[way.rawValue] = String(package.split(separator: " ")[0])
      }
    }
    if settings.parts.contains(.tcp) { packages.merge(["apache2": "apache2", "wget": "wget"]) { $1 } }
    var versions: [String: String] = [:]
    for (name, package) in packages {
      guard let found = try? await LabShell.attempt("dpkg-query", ["-W", "-f", "${Version}", package]),
        found.succeeded, !found.output.isEmpty
      else { continue }
      versions[name] = found.output
    }
    return versions
  }
}

/// What every benchmark works with.
struct BenchLab: Sendable {
  var network: BenchNetwork
  var settings: BenchSettings
  var forwarder: BenchForwarder
  /// For files of this run.
  var folder: URL
  var progress: @Sendable (String) -> Void

  /// The ways of a part that may take part by the settings.
  func ways(in part: BenchPart) -> [BenchWay] { settings.ways.filter { $0.takesPart(in: part) } }
}
