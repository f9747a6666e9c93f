import ArgumentParser
import Foundation
import StreamRouter
import SystemPackage
import Topology

/// `streamrouter extension`: from a Swift file to code that runs on every packet of a relay.
struct ExtensionCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "extension",
    abstract: "Write, build and check relay extensions: Swift code that runs on every packet.",
    subcommands: [New.self, Build.self, Check.self, Test.self, List.self, Show.self])

  /// Exit status of a file that is not what it should be.
  fileprivate static let dataError: Int32 = 65

  fileprivate static func fail(_ error: any Error) -> ExitCode {
    Report.error("\(error)")
    switch error {
    case ExtensionError.noToolchain: return ExitCode(69)
    case EngineError.unsupported: return ExitCode(77)
    default: return ExitCode(dataError)
    }
  }

  struct New: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "new",
      abstract: "Write a first extension to start from.",
      discussion: """
        Writes FILE.swift, an extension that forwards everything and counts the packets with the RTP marker.

        Example: streamrouter extension new DropByte.swift
        """)
    @Argument(help: "The file to write; its name, in capitals and small letters, becomes the extension's.")
    var file: String

    func run() throws {
      do {
        try ExtensionTemplate.write(to: file)
        print("\(file): written; edit it, then 'streamrouter extension build \(file)'")
      } catch {
        throw fail(error)
      }
    }
  }

  struct Build: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "build",
      abstract: "Build Swift files into extensions that nodes can load.",
      discussion: """
        Each FILE.swift becomes NAME.srx, which holds the BPF program for engine sandbox, native code for the others, \
        and the description of both. Needs the Swift toolchain; nodes need none.
        Exit status: 0 all are built, 65 one is not, 69 no Swift toolchain.

        Example: streamrouter extension build DropByte.swift --output-dir extensions
        """)
    @Argument(help: "Swift files, one extension each.", completion: .file(extensions: ["swift"]))
    var files: [String]
    @Option(help: "Where the built extensions go.", completion: .directory)
    var outputDir = "."
    @Option(
      help: ArgumentHelp(
        "C code for the kernel's half, to compare with Swift (Benchmarks/extensions).", visibility: .hidden))
    var byHand: String?

    func run() async throws {
      do {
        let builder = try ExtensionBuilder()
        do {
          try FileManager.default.createDirectory(atPath: outputDir, withIntermediateDirectories: true)
        } catch {
          throw ExtensionError.unreadable(
            file: outputDir, reason: "cannot be made: \(error.localizedDescription)",
            remedy: "name a folder that can be written with --output-dir")
        }
        for file in files {
          let product = try await builder.build(
            source: FilePath(file), into: FilePath(outputDir),
            byHand: byHand.map { FilePath(URL(fileURLWithPath: $0).path) })
          if !product.warnings.isEmpty { FileHandle.standardError.write(Data((product.warnings + "\n").utf8)) }
          print("\(product.path): \(product.object.summary)")
        }
      } catch {
        throw fail(error)
      }
    }
  }

  struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "check",
      abstract: "Have the kernel's verifier look at built extensions.",
      discussion: """
        Loads each into a datapath of its own that no packet reaches. Needs root.
        Exit status: 0 all are taken, 65 one is refused or damaged, 77 not permitted.

        Example: sudo streamrouter extension check drop-byte.srx
        """)
    @Argument(help: "Built extensions.", completion: .file(extensions: ["srx"]))
    var files: [String]
    @Flag(help: "Print the verifier's whole log where it refuses.")
    var log = false

    func run() async throws {
      for file in files {
        do {
          let object = try ExtensionObject(path: file)
          let check = try ExtensionCheck.run(object)
          print(
            """
            \(file): taken by the verifier
              \(check.instructions) instructions, \(check.machineBytes) bytes of machine code, \(check.stackBytes) of 512 bytes of stack
              \(check.verified) instructions followed over all paths (the limit is 1000000)
              helpers: \(check.helpers.joined(separator: ", "))
            """)
        } catch {
          if log, case ExtensionError.refused(_, _, let text) = error { print(text) }
          throw fail(error)
        }
      }
    }
  }

  struct Test: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "test",
      abstract: "Run built extensions on packets, and compare what comes out.",
      discussion: """
        Each runs in the kernel's datapath (BPF_PROG_TEST_RUN, in a network of its own) and as native code, on the \
        packets of NAME.vectors.yaml beside it. Without root only the native part runs.

        A file of vectors is a list of cases:

          - name: every second packet goes
            with: {everyNth: 2}            # parameters
            sinks: 2                       # default 1; protocol: rtp or udp; family: ipv4 or ipv6
            rtp: {payloadType: 96}         # fields of all packets of the case
            packets:
              - {at: 20ms, rtp: {sequence: 1, timestamp: 900}, payload: 67 42 00, expect: forward}
              - {rtp: {sequence: 2}, repeat: {count: 4, every: 5ms}, expect: [drop, forward]}
              - {raw: 80 60 00 07 00 00 00 00 00 00 00 01, expect: {only: [1], rtp: {sequence: 9}, dscp: 46}}
            counters: {dropped: 2}         # those that are not named must be 0
            histogram: {values: 3, sum: 90}

        What 'expect' does not name must leave as it came; without it, the packet is forwarded. More keys: packets \
        take raw, filler, port: rtcp, dscp, ttl, sourcePort; rtp takes sequence, timestamp, ssrc, payloadType, marker, \
        csrc, extension, padding; expect takes verdict (forward, drop, trap), only, rtp, payload, bytes, dscp.

        Several extensions and one file of vectors: each case says which of them its packets meet, one after the \
        other as on a relay, at most four and each with its own with, counters and histogram:

          - name: what thin drops is not charged to police
            chain: [{name: thin, with: {everyNth: 2}, counters: {nth: 2}}, police]
            packets: [{rtp: {sequence: 1}, repeat: 4, expect: [forward, drop]}]

        With --pcap the UDP datagrams of a capture take the place of vectors, with their times, through all extensions \
        in their order: verdicts, counters and how many packets were changed are printed, and both engines must agree \
        on every packet. At most 100000 datagrams of at most 1452 bytes are run.

        Exit status: 0 all is as expected, 1 something is not, 65 a file is damaged or the verifier refuses.

        Examples:
          sudo streamrouter extension test thin.srx --pcap camera.pcapng --param everyNth=2
          sudo streamrouter extension test .build/extensions/*.srx --vectors Extensions
          sudo streamrouter extension test thin.srx police.srx --vectors Chains.vectors.yaml
        """)
    @Argument(help: "Built extensions.", completion: .file(extensions: ["srx"]))
    var files: [String]
    @Option(
      help: "A file of vectors, or the folder where they are, if not beside the extensions.",
      completion: .file(extensions: ["yaml"]))
    var vectors: String?
    @Option(
      help: "A capture whose datagrams are run instead of vectors.",
      completion: .file(extensions: ["pcap", "pcapng"]))
    var pcap: String?
    @Option(help: ArgumentHelp("Which packets of the capture, as in tcpdump.", valueName: "pcap-filter"))
    var filter: String?
    @Option(
      help: ArgumentHelp(
        "A parameter, with --pcap; extension.name=value where several have it. Repeatable.",
        valueName: "name=value"))
    var param: [ParameterSetting] = []
    @Flag(help: "Print the report as one JSON document, with --pcap.") var json = false

    func validate() throws {
      if pcap == nil, filter != nil || !param.isEmpty || json {
        throw ValidationError("--filter, --param and --json belong to --pcap")
      }
      if pcap != nil, vectors != nil { throw ValidationError("give --pcap or --vectors") }
      if pcap != nil, files.count > 4 { throw ValidationError("a relay runs at most four extensions") }
    }

    func run() throws {
      if let pcap { return try run(on: pcap) }
      var failed = false
      do {
        for part in try ExtensionTest.parts(of: files, vectors: vectors) {
          let test = try ExtensionTest.run(
            part.objects.map { file throws(ExtensionError) in try ExtensionObject(path: file) },
            vectors: part.vectors)
          for failure in test.failures { print("\(part.vectors): \(failure)") }
          let ran = test.engines.joined(separator: " and ")
          let name = part.objects.joined(separator: ", ")
          print(
            "\(name): \(test.failures.isEmpty ? "as expected" : "\(test.failures.count) differences"), \(test.cases) cases with \(test.packets) packets in \(ran)"
          )
          if let skipped = test.skipped { Report.note("\(name): \(skipped)") }
          failed = failed || !test.failures.isEmpty
        }
      } catch {
        throw fail(error)
      }
      if failed { throw ExitCode(1) }
    }

    private func run(on capture: String) throws {
      let report: ExtensionCaptureReport
      do {
        var settings = ExtensionCaptureTest.Settings(file: capture)
        settings.filter = filter ?? ""
        settings.parameters = param.map { ($0.name, $0.value) }
        let objects = try files.map { file throws(ExtensionError) in try ExtensionObject(path: file) }
        report = try ExtensionCaptureTest(objects, settings).run()
      } catch let error as CaptureError {
        Report.error("\(error)")
        throw ExitCode(CaptureExit.status(error) ?? EXIT_FAILURE)
      } catch {
        throw fail(error)
      }
      guard report.packets > 0 else {
        Report.error(
          "\(capture) has no datagram that can be run; see 'streamrouter analyze \(capture)' for what is in it")
        throw ExitCode.failure
      }
      if json { try LabExit.printJSON(report) } else { print(report.text) }
      if let skipped = report.skipped { Report.note("\(capture): \(skipped)") }
      if report.disagreements > 0 { throw ExitCode.failure }
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list",
      abstract: "List the built extensions that topologies can use.",
      discussion: """
        Looks beside the topology file, in extensions/ beside it, in each folder of STREAMROUTER_EXTENSIONS (separated \
        by colons), in /usr/local/lib/streamrouter/extensions and in /usr/lib/streamrouter/extensions. Of two files of \
        one name the first counts.
        Exit status: 0, or 65 where a file is damaged.

        Example: streamrouter extension list --topology studio.yaml
        """)
    @Option(help: "Look in this folder, and nowhere else. Repeatable.", completion: .directory)
    var dir: [String] = []
    @Option(help: "Look beside this topology file first.", completion: .file(extensions: ["yaml", "yml"]))
    var topology: String?
    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
      let library = ExtensionLibrary(places: dir.isEmpty ? ExtensionLibrary.places(for: topology) : dir)
      if json {
        print(try library.json())
      } else if library.entries.isEmpty {
        Report.note(
          "no extension in \(library.places.joined(separator: ", ")); build one with 'streamrouter extension build', or name a folder with --dir or a topology with --topology"
        )
      } else {
        print(library.table)
      }
      let flaws = library.flaws
      for flaw in flaws { Report.error("\(flaw)") }
      if !flaws.isEmpty { throw ExitCode(ExtensionCommand.dataError) }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show",
      abstract: "Print what a built extension says of itself.",
      discussion: "Example: streamrouter extension show drop-byte.srx")
    @Argument(help: "A built extension.", completion: .file(extensions: ["srx"]))
    var file: String
    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
      do {
        let object = try ExtensionObject(path: file)
        print(json ? try object.json() : object.text)
      } catch {
        throw fail(error)
      }
    }
  }
}

/// A parameter of the command line: `everyNth=2`, `police.packetsPerSecond=1k`.
struct ParameterSetting: ExpressibleByArgument {
  let name: String
  let value: ParameterValue

  init?(argument: String) {
    guard let equals = argument.firstIndex(of: "="), equals > argument.startIndex,
      let value = ParameterValue(String(argument[argument.index(after: equals)...]))
    else { return nil }
    name = String(argument[..<equals])
    self.value = value
  }
}
