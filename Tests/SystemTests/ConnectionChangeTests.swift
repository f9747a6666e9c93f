import Foundation
import Testing
import Topology

@testable import StreamRouter

private let absent = LabFixture.missing("curl", "python3", "ss", "tcpdump")

/// What users do with a stream of connections beside using it: another mode, limits, captures.
@Suite(
  .serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"),
  .enabled(if: absent == nil, "\(absent ?? "")"))
struct ConnectionChangeTests {
  private static func streams(_ more: String) -> String {
    "  web: {protocol: tcp, from: \"camera:8080\", to: \"studio:8080\"\(more)}"
  }

  /// A web server with a file of two megabytes, and one that reads whatever comes.
  private static let web = ["-m", "http.server", "8080", "--bind", "10.78.0.3", "--directory"]
  private static let reader = [
    "-c",
    """
    import socket
    server = socket.create_server(("10.78.0.3", 8080))
    while True:
        connection, _ = server.accept()
        while connection.recv(65536): pass
    """,
  ]

  /// A lab with a server in studio.
  private static func use(
    _ name: String, _ engine: EngineChoice, _ more: String, server: [String] = web,
    body: (LiveLab) async throws -> Void
  ) async throws {
    let live = try LiveLab(name, engine: engine, streams: streams(more))
    try await live.use {
      let folder = live.folder.appending(path: "www")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try Data(count: 2_000_000).write(to: folder.appending(path: "file"))
      try await live.serve(["python3"] + server + [folder.path], until: ":8080")
      try await body(live)
    }
  }

  private static func fetch(_ live: LiveLab) async throws -> LabShell.Outcome {
    try await live.run(
      "camera",
      [
        "curl", "-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{size_download}",
        "http://10.78.0.1:8080/file",
      ])
  }

  @Test("another mode takes over, and back again", .timeLimit(.minutes(2)))
  func modes() async throws {
    try await Self.use("t-mode", .auto, "") { live in
      for (more, engine) in [
        ("", EngineChoice.sandbox), (", mode: split", .process), (", mode: packet", .sandbox), ("", .sandbox),
      ] {
        try live.rewrite(engine: .auto, streams: Self.streams(more))
        try await live.up()
        let got = try await Self.fetch(live)
        #expect(got.output == "2000000", "\(more): \(got.errors)")
        let hops = try await live.account("web")
        #expect(hops.map(\.engine) == [engine, engine, engine], "\(more)")
        #expect(hops.allSatisfy { $0.counters["tcp_established"] ?? 0 > 0 }, "\(more)")
      }
    }
  }

  /// What goes from the source to the sink is judged: 4 Mbit/s for some five seconds.
  private static let writer = """
    import socket, time
    connection = socket.create_connection(("10.78.0.1", 8080))
    for _ in range(50):
        connection.sendall(bytes(50000))
        time.sleep(0.1)
    """

  @Test(
    "limits are judged by what connections carry", .timeLimit(.minutes(2)),
    arguments: [EngineChoice.sandbox, .process])
  func limits(engine: EngineChoice) async throws {
    try await Self.use("t-tcplimit", engine, ", expect: {rate: 1M..}", server: Self.reader) { live in
      let program = try LabFiles.ownExecutable().removingLastComponent().appending(LiveLab.program).string
      let idle = try await LabShell.attempt("env", [program, "check", live.file.path, "--for", "1s"])
      #expect(idle.status == "exited(2)", "\(idle)")
      async let sending = live.run("camera", ["python3", "-c", Self.writer])
      try await Task.sleep(for: .milliseconds(500))
      let busy = try await LabShell.attempt("env", [program, "check", live.file.path, "--for", "1s"])
      #expect(busy.status == "exited(0)", "\(busy)")
      #expect(try await sending.succeeded)
    }
  }

  @Test(
    "segments are captured as they come in", .timeLimit(.minutes(2)),
    arguments: [EngineChoice.sandbox, .process])
  func captured(engine: EngineChoice) async throws {
    try await Self.use("t-tcpcap", engine, "") { live in
      let report = try await live.capture("web", at: "edge", .before, file: "edge.pcapng") {
        for _ in 0..<3 {
          let got = try await Self.fetch(live)
          #expect(got.output == "2000000", "\(got.errors)")
        }
      }
      let file = try #require(report.files.first)
      let begun = try await LabShell.attempt("tcpdump", ["-nr", file, "tcp[tcpflags] & tcp-syn != 0"])
      #expect(begun.succeeded && begun.output.split(separator: "\n").count == 3, "\(begun.output)")
      // From the hop before to this one, and nothing that comes back.
      let other = try await LabShell.attempt("tcpdump", ["-nr", file, "not (src 10.78.0.1 and dst 10.78.0.2)"])
      #expect(other.succeeded && other.output.isEmpty, "\(other.output)")
    }
  }
}
