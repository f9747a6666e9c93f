import Foundation
import Testing

@testable import StreamRouter

/// The lab's note, its processes and its words, without a lab.
@Suite struct LabStateTests {
  private let state = LabState(
    topology: "t", file: "/t.yaml", fileHash: "0", networkFingerprint: "1", mode: .namespaces,
    nodes: ["a", "b"], links: [LabLink(a: "a", b: "b")], namespaces: ["a": "sr-t-a", "b": "sr-t-b"],
    daemons: ["a": LabProcess(pid: 7, startTicks: 9)])

  @Test func theNoteReadsBackAsItWasWritten() throws {
    let data = try JSONEncoder().encode(state)
    #expect(try LabState.decode(data, path: "p", topology: "t") == state)
  }

  @Test(arguments: ["", "{}", "[1, 2", "null", "\u{0}\u{1}", #"{"version": "one"}"#])
  func garbageIsAnErrorThatSaysWhatToDo(_ text: String) {
    do {
      _ = try LabState.decode(Data(text.utf8), path: "/run/lab.json", topology: "t")
      Issue.record("'\(text)' was taken for a note")
    } catch {
      #expect("\(error)".contains("/run/lab.json") && "\(error)".contains("streamrouter lab down t"))
    }
  }

  @Test func everyTruncationOfANoteIsRefused() throws {
    let data = try JSONEncoder().encode(state)
    for length in 0..<data.count {
      #expect(throws: LabError.self) {
        try LabState.decode(data.prefix(length), path: "p", topology: "t")
      }
    }
  }

  @Test func aNoteOfAnotherVersionOrLabIsRefused() throws {
    var other = state
    other.version = LabState.currentVersion + 1
    let data = try JSONEncoder().encode(other)
    #expect(throws: LabError.self) { try LabState.decode(data, path: "p", topology: "t") }
    let right = try JSONEncoder().encode(state)
    #expect(throws: LabError.self) { try LabState.decode(right, path: "p", topology: "u") }
  }

  @Test func aRecycledProcessIdIsNotTakenForTheProcess() throws {
    let own = try #require(LabProcess(running: getpid()))
    #expect(own.isRunning)
    #expect(!LabProcess(pid: own.pid, startTicks: own.startTicks + 1).isRunning)
  }

  @Test func missingCapabilitiesAreNamed() {
    #expect(Capability.missing(Capability.lab, in: "Name:\tx\nCapEff:\t000001ffffffffff\n").isEmpty)
    #expect(Capability.missing(Capability.lab, in: "CapEff:\t0000000000001000\n") == [.sysAdmin])
    #expect(Capability.missing(Capability.lab, in: "") == [.netAdmin, .sysAdmin])
    #expect(Capability.missing(Capability.node, in: "CapEff:\t0000008000001000\n") == [.perfmon, .sysNice])
    #expect(Capability.sandbox.sentence == "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")
    #expect(
      "\(LabError.needsPrivileges(operation: "x", missing: ["CAP_SYS_ADMIN"]))".contains("loopback.yaml"))
  }

  @Test func timesOfAnImpairmentAreReadAsTcReadsThem() {
    #expect(LabImpairmentRequest.milliseconds("5ms") == 5)
    #expect(LabImpairmentRequest.milliseconds("250us") == 0.25)
    #expect(LabImpairmentRequest.milliseconds("1.5s") == 1500)
    #expect(LabImpairmentRequest.milliseconds("7") == 7)
    for bad in ["", "ms", "-1ms", "inf", "nan", "2h", "1e9s"] {
      #expect(LabImpairmentRequest.milliseconds(bad) == nil, "\(bad)")
    }
  }

  @Test func aDirectionIsMeantAsTheLinkIsWritten() throws {
    let links = [LabLink(a: "camera", b: "edge")]
    var request = LabImpairmentRequest(link: "edge -- camera", direction: .aToB, lossPercent: 1)
    #expect(try request.ends(links: links, topology: "t").map(\.from) == ["edge"])
    request.direction = .both
    #expect(try request.ends(links: links, topology: "t").map(\.from) == ["edge", "camera"])
    request.link = "camera--studio"
    #expect(
      throws: LabError.unknownLink(link: "camera--studio", topology: "t", known: ["camera--edge"])
    ) { try request.ends(links: links, topology: "t").map(\.from) }
  }

  @Test(arguments: [
    LabImpairmentRequest(link: "a--b", jitterMs: 1), LabImpairmentRequest(link: "a--b", lossPercent: 101),
    LabImpairmentRequest(link: "a--b", lossPercent: .nan), LabImpairmentRequest(link: "a--b", rateKbit: 0),
  ])
  func impairmentsThatMakeNoSenseAreRefused(_ request: LabImpairmentRequest) {
    #expect(throws: LabError.self) { try request.check() }
  }

  @Test func netemAndTbfAreSpokenToInTheirWords() {
    var impairment = LabImpairment(
      link: LabLink(a: "a", b: "b"), from: "a", to: "b", delayMs: 5, jitterMs: 0.25, lossPercent: 10,
      rateKbit: 1000)
    #expect(
      Lab.netemArguments(impairment).joined(separator: " ")
        == "netem limit 100000 delay 5000us 250us loss 10.0% rate 1000kbit")
    #expect(
      Lab.tbfArguments(rateKbit: 1000).joined(separator: " ") == "tbf rate 1000kbit burst 16384 latency 100ms")
    #expect(impairment.text == "a to b: delay 5 ms, jitter 0.25 ms, loss 10 %, rate 1000 kbit/s")
    impairment.lossPercent = nil
    #expect(!Lab.netemArguments(impairment).contains("loss"))
  }
}
