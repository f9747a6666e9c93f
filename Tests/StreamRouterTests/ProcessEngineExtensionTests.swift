import CStreamRouter
import Foundation
import Synchronization
import SystemPackage
import Testing
import Topology

@testable import StreamRouter

/// Relays with extensions in engine process: what the chain decides, and what becomes of a relay whose extension
/// misbehaves. A datagram that begins with X makes it do so.
///
///     sender --> ingress [worker: extension, extension] --> sink, sink
@Suite(.serialized, .timeLimit(.minutes(3))) struct ProcessEngineExtensionTests {
  private let address = freshLoopback()
  private var ingress: Endpoint { Endpoint(address: address, port: 5004) }

  /// Notices as they come.
  private final class Notices: Sendable {
    private let kept = Mutex<[String]>([])
    var all: [String] { kept.withLock { $0 } }
    func add(_ text: String) { kept.withLock { $0.append(text) } }
  }

  private func engine(_ extensions: [ExtensionObject], _ notices: Notices = Notices()) throws -> ProcessEngine {
    let program = try LabFiles.ownExecutable().removingLastComponent().appending("streamrouter").string
    return try ProcessEngine(
      extensions: { use in
        let name = use.name
        guard let found = extensions.first(where: { $0.manifest.name == name }) else {
          throw TestFailure("no extension \(name)")
        }
        return found
      }, program: program, notice: { notices.add($0) })
  }

  private func relay(
    _ stream: String = "cam", _ transport: StreamProtocol = .udp, extensions uses: [RelayExtensionUse],
    ingress: Endpoint? = nil, to sinks: [TestSocket], dscp: UInt8? = nil
  ) -> Relay {
    var relay = testRelay(
      stream, transport, ingress: ingress ?? self.ingress, to: sinks.map(\.endpoint), dscp: dscp)
    relay.extensions = uses
    return relay
  }

  private func use(_ name: String, _ value: Int? = nil) -> RelayExtensionUse {
    RelayExtensionUse(name: name, settings: value.map { ["value": .unsigned(UInt64($0))] } ?? [:])
  }

  private func byte(_ text: String) -> UInt8 { text.utf8.first! }

  @Test func chainDropsRewritesAndChoosesSinks() async throws {
    let first = try await TestExtension.build(
      "first",
      """
      if (payload[0] == parameters[0]) { account->counters[0]++; return SR_VERDICT_DROP; }
      if (call->payload_length != 100 || call->sink_count != 2) return SR_VERDICT_TRAP;
      payload[1] = 0xaa;
      return SR_VERDICT_FORWARD;
      """)
    let second = try await TestExtension.build(
      "second",
      """
      state[0]++;
      if (payload[0] == 2) call->sinks &= 1;
      if (payload[0] == 3) call->sinks = 0;
      if (payload[0] == 4) call->dscp = 0;
      if (payload[0] == 5) return SR_VERDICT_NONE;
      payload[2] = state[0];
      return SR_VERDICT_FORWARD;
      """, state: [7, 0, 0, 0])
    let engine = try engine([first, second])
    let sender = try TestSocket(address)
    let sinks = try (0..<2).map { _ in try TestSocket(freshLoopback()) }
    for sink in sinks { sink.reportsDSCP(isV4: true) }
    try await engine.add(relay(extensions: [use("first", 1), use("second")], to: sinks, dscp: 46))
    // 5 kinds, a hundred of each, as trains of the kernel where it makes them.
    sender.sendTrains(of: 100)
    for _ in 0..<20 {
      let train = (0..<25).flatMap { [UInt8($0 % 6)] + [UInt8](repeating: 9, count: 99) }
      sender.send(train, to: ingress)
    }
    let kinds = (0..<6).map { kind in 20 * (0..<25).filter { $0 % 6 == kind }.count }
    let near = sinks[0].receive(kinds[0] + kinds[2] + kinds[4])
    let far = sinks[1].receive(kinds[0] + kinds[4])
    #expect(near.count == kinds[0] + kinds[2] + kinds[4])
    #expect(far.count == kinds[0] + kinds[4])
    #expect(near.allSatisfy { $0.bytes[1] == 0xaa && $0.bytes[3] == 9 && [0, 2, 4].contains($0.bytes[0]) })
    #expect(near.allSatisfy { $0.dscp == ($0.bytes[0] == 4 ? 0 : 46) })
    #expect(near.first?.bytes[2] == 8)
    #expect(near.allSatisfy { $0.source == ingress })
    let snapshot = try await engine.snapshot(until: {
      $0.counters["packets_out"] == UInt64(near.count + far.count)
    })
    let sent = UInt64(near.count + far.count)
    #expect(
      snapshot.counted == [
        "packets_in": 500, "bytes_in": 50_000, "packets_out": sent, "bytes_out": sent * 100,
        "drop_extension": UInt64(kinds[1] + kinds[3]), "drop_fault": UInt64(kinds[5]),
      ])
    #expect(snapshot.residence.total == UInt64(near.count))
    #expect(snapshot.worker == RelayWorkerSnapshot())
    let accounts = await engine.extensionAccounts(of: "cam")
    #expect(accounts.map(\.runs) == [500, UInt64(500 - kinds[1])])
    #expect(accounts[0].counters.0 == UInt64(kinds[1]))
    #expect(accounts[0].timed == UInt64((500 + SR_EXTENSION_SAMPLE - 1) / SR_EXTENSION_SAMPLE))
    #expect(accounts[1].verdicts.0 == UInt64(kinds[5]))
  }

  @Test func rtpWithItsCompanion() async throws {
    let object = try await TestExtension.build(
      "mark", "payload[call->payload_length - 1] = call->protocol; return SR_VERDICT_FORWARD;")
    let engine = try engine([object])
    let (sender, sink) = (try TestSocket(address), try TestSocket(address, port: 6000))
    let companion = try TestSocket(address, port: 6001)
    try await engine.add(relay("cam", .rtp, extensions: [use("mark")], to: [sink]))
    for number in 0..<200 where number != 50 {
      sender.send(rtpPacket(UInt16(number), payload: [0]), to: ingress)
    }
    sender.send(PeerReportTests.senderReport(packets: 77), to: Endpoint(address: address, port: 5005))
    #expect(sink.receive(199).allSatisfy { $0.bytes.last == UInt8(SR_PROTOCOL_RTP.rawValue) })
    #expect(companion.receive(1).map(\.bytes.last) == [UInt8(SR_PROTOCOL_RTCP.rawValue)])
    let snapshot = try await engine.snapshot(until: { $0.counters["packets_out"] == 200 })
    #expect(snapshot.counters["rtp_missing"] == 1)
    #expect(snapshot.counters["rtcp_packets"] == 1)
    #expect(snapshot.ssrc == 7)
    #expect(snapshot.peers?.senders.map(\.sentPackets) == [77])
    // It goes on where the worker ends and the engine's thread serves the relay, and the other way.
    let plain = relay("cam", .rtp, extensions: [], to: [sink])
    try await engine.replace(relay("cam", .rtp, extensions: [use("mark")], to: [sink]), with: plain)
    sender.send(PeerReportTests.senderReport(packets: 78), to: Endpoint(address: address, port: 5005))
    #expect(companion.receive(1).count == 1)
    #expect(try await engine.snapshot().peers?.senders.map(\.sentPackets) == [78])
    #expect(try await engine.snapshot().peers?.packets == 2)
    let next = relay("cam", .rtp, extensions: [use("mark")], to: [sink])
    try await engine.replace(plain, with: next)
    sender.send(PeerReportTests.senderReport(packets: 79), to: Endpoint(address: address, port: 5005))
    #expect(companion.receive(1).count == 1)
    let last = try await engine.snapshot(until: { $0.peers?.packets == 3 })
    #expect(last.peers?.senders.map(\.sentPackets) == [79] && last.peers?.unread == 0)
  }

  struct Hostile: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var body: String
    /// What the report says.
    var report: String
    init(_ description: String, _ body: String, _ report: String) {
      testDescription = description
      self.body = body
      self.report = report
    }
  }

  @Test(arguments: [
    Hostile("null", "*(volatile int *)0 = 1;", "SIGSEGV"),
    Hostile("trap", "__builtin_trap();", "SIG"),
    Hostile("endless loop", "for (;;) __asm__ volatile(\"\");", "did not return"),
    Hostile(
      "endless recursion", "return relay(payload, call, parameters, state, account) + state[0];", "SIGSEGV"),
    Hostile("opens a file", "syscall(SYS_openat, -100, \"/etc/passwd\", 0);", "SIGSYS"),
    Hostile("makes a socket", "syscall(SYS_socket, 2, 2, 0);", "SIGSYS"),
    Hostile("forks", "syscall(SYS_clone, 17, 0, 0, 0, 0);", "SIGSYS"),
    Hostile("signals its parent", "syscall(SYS_kill, 1, 9);", "SIGSYS"),
    Hostile("executes", "syscall(SYS_execve, \"/bin/true\", 0, 0);", "SIGSYS"),
    Hostile("makes memory executable", "syscall(SYS_mprotect, state, 4096, 5);", "SIGSYS"),
    Hostile("maps executable memory", "syscall(SYS_mmap, 0, 4096, 7, 0x22, -1, 0);", "SIGSYS"),
    Hostile("sets its clock off", "syscall(SYS_setitimer, 2, 0, 0); for (;;) ;", "SIGSYS"),
    Hostile("reads a socket", "syscall(SYS_read, 6, payload, 8);", "SIGSYS"),
    Hostile("takes all memory", "for (;;) *(volatile int *)malloc(1 << 20) = 1;", "SIGSEGV"),
    Hostile("ends the process", "syscall(SYS_exit_group, 0);", "exit 0"),
  ]) func hostileCodeIsContained(_ hostile: Hostile) async throws {
    let object = try await TestExtension.build(
      "hostile", "if (payload[0] == 'X') { \(hostile.body) } return SR_VERDICT_FORWARD;")
    let harmless = try await TestExtension.build("harmless", "state[0]++; return SR_VERDICT_FORWARD;")
    let notices = Notices()
    let engine = try engine([object, harmless], notices)
    let (sender, sink, otherSink) = (try TestSocket(address), try TestSocket(address), try TestSocket(address))
    let neighbour = try TestSocket(address)
    let otherIngress = Endpoint(address: address, port: 5014)
    try await engine.add(relay(extensions: [use("harmless"), use("hostile")], to: [sink]))
    try await engine.add(relay("other", extensions: [], ingress: otherIngress, to: [otherSink]))
    sender.send([1], to: ingress)
    #expect(sink.receive(1).count == 1)
    sender.send([byte("X")], to: ingress)
    var passed = 0
    for number in 0..<10_000 {
      neighbour.send(numbered(number, length: 100), to: otherIngress)
      if number % 50 == 0 {
        usleep(1_000)
        passed += otherSink.receiveWaiting().count
      }
    }
    passed += otherSink.receive(10_000 - passed).count
    #expect(passed == 10_000)
    // The batch that X was in may be lost with it; later ones are not.
    sender.send([2], to: ingress)
    #expect(sink.receive(1).map(\.bytes) == [[2]])
    var snapshot = try await engine.snapshot(of: "cam")
    for _ in 0..<1_000 where snapshot.counters["packets_out"] != 2 {
      try await Task.sleep(for: .milliseconds(5))
      snapshot = try await engine.snapshot(of: "cam")
    }
    #expect(
      snapshot.counted == [
        "packets_in": 3, "bytes_in": 3, "packets_out": 2, "bytes_out": 2, "drop_fault": 1,
      ])
    #expect(snapshot.worker?.restarts == 1)
    #expect(snapshot.worker?.latest?.contains("extension hostile") == true)
    let notice = try #require(notices.all.first)
    #expect(notices.all.count == 1)
    #expect(notice.contains("stream cam: extension hostile") && notice.contains(hostile.report))
    let accounts = await engine.extensionAccounts(of: "cam")
    // What returned is counted as such, what did not as a fault.
    #expect(accounts.map(\.runs) == [3, 3])
    #expect(accounts.map(\.verdicts.3) == [0, 1])
  }

  @Test(arguments: [("*(volatile int *)0 = 1;", "crash"), ("for (;;) __asm__ volatile(\"\");", "endless loop")])
  func theGapIsShort(_ body: String, _ what: String) async throws {
    let object = try await TestExtension.build(
      "hostile", "if (payload[0] == 'X') { \(body) } return SR_VERDICT_FORWARD;")
    let engine = try engine([object])
    let sink = try TestSocket(address)
    try await engine.add(relay(extensions: [use("hostile")], to: [sink]))
    let (address, ingress, marker) = (address, ingress, byte("X"))
    let count = 1_500
    let sending = Task.detached {
      let sender = try TestSocket(address)
      let clock = ContinuousClock()
      let began = clock.now
      for number in 0..<count {
        var datagram = numbered(number, length: 200)
        datagram[0] = number == count / 2 ? marker : 0
        sender.send(datagram, to: ingress)
        while clock.now - began < .milliseconds(number) { usleep(100) }
      }
    }
    var times: [ContinuousClock.Instant] = []
    while times.count < count - 1, sink.receive(1).count == 1 { times.append(.now) }
    try await sending.value
    let gap = zip(times, times.dropFirst()).map { $1 - $0 }.max()!
    let lost = count - times.count
    print("worker \(what): gap \(gap), lost \(lost)")
    // Some milliseconds where nothing else runs; a busy machine holds up sender and receiver too.
    #expect(gap < .seconds(5))
    #expect(lost < 100)
    let snapshot = try await engine.snapshot()
    #expect(snapshot.counters["drop_fault"] == UInt64(lost))
    #expect(snapshot.worker?.restarts == 1)
  }

  @Test func accountAndStateGoOnOverARestart() async throws {
    let steady = try await TestExtension.build(
      "steady", "payload[1] = ++state[0]; return SR_VERDICT_FORWARD;")
    let hostile = try await TestExtension.build(
      "hostile",
      "payload[2] = ++state[0]; if (payload[0] == 'X') __builtin_trap(); return SR_VERDICT_FORWARD;")
    let engine = try engine([steady, hostile])
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    try await engine.add(relay(extensions: [use("steady"), use("hostile")], to: [sink]))
    for number in 0..<4 {
      sender.send([number == 2 ? byte("X") : 0, 0, 0], to: ingress)
      if number != 2 { #expect(sink.receive(1).first?.bytes[1] == UInt8(number + 1)) }
      if number == 2 { _ = try await engine.snapshot(until: { $0.worker?.restarts == 1 }) }
    }
    sender.send([0, 0, 0], to: ingress)
    // The extension that crashed begins anew, the other goes on.
    #expect(sink.receive(1).map(\.bytes) == [[0, 5, 2]])
    let snapshot = try await engine.snapshot(until: { $0.counters["packets_out"] == 4 })
    #expect(snapshot.counters["packets_in"] == 5)
    #expect(snapshot.residence.total == 4)
    #expect(await engine.extensionAccounts(of: "cam").map(\.runs) == [5, 5])
  }

  @Test func aCrashWithEachPacketIsSlowedDown() async throws {
    let object = try await TestExtension.build(
      "hostile", "if (payload[0] == 'X') __builtin_trap(); return SR_VERDICT_FORWARD;")
    let notices = Notices()
    let engine = try engine([object], notices)
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    try await engine.add(relay(extensions: [use("hostile")], to: [sink]))
    let began = ContinuousClock.now
    while ContinuousClock.now - began < .milliseconds(600) {
      sender.send([byte("X")], to: ingress)
      try await Task.sleep(for: .milliseconds(1))
    }
    let restarts = try #require(try await engine.snapshot().worker?.restarts)
    #expect((4...20).contains(restarts))
    #expect((1...3).contains(notices.all.count))
    // What comes in a batch with such a packet is lost with it.
    var passed = 0
    for _ in 0..<1_000 where passed == 0 {
      sender.send([1], to: ingress)
      try await Task.sleep(for: .milliseconds(5))
      passed = sink.receiveWaiting().count
    }
    #expect(passed > 0)
    let snapshot = try await engine.snapshot(until: {
      $0.counters["packets_in"] == $0.counters["packets_out"]! + $0.counters["drop_fault"]!
    })
    #expect(snapshot.counters["packets_in"] == snapshot.counters["packets_out"]! + snapshot.dropped)
  }

  @Test func replaceUnderLoadLosesNothing() async throws {
    let count = try await TestExtension.build(
      "count", "payload[4] = parameters[0]; ++state[0]; return SR_VERDICT_FORWARD;")
    let other = try await TestExtension.build("other", "return SR_VERDICT_FORWARD;")
    let engine = try engine([count, other])
    let sink = try TestSocket(address)
    let (address, ingress, total) = (address, ingress, 20_000)
    let chains: [[RelayExtensionUse]] = [
      [], [use("count", 1)], [use("count", 2), use("other")], [], [use("count", 3)],
    ]
    try await engine.add(relay(extensions: chains[0], to: [sink]))
    let sending = Task.detached {
      let sender = try TestSocket(address)
      for number in 0..<total {
        sender.send(numbered(number, length: 100), to: ingress)
        if number % 10 == 0 { usleep(500) }
      }
    }
    var arrived: [TestSocket.Datagram] = []
    for (former, next) in zip(chains, chains.dropFirst()) {
      for _ in 0..<30 {
        try await Task.sleep(for: .milliseconds(5))
        arrived += sink.receiveWaiting()
      }
      try await engine.replace(
        relay(extensions: former, to: [sink]), with: relay(extensions: next, to: [sink]))
    }
    arrived += sink.receive(total - arrived.count)
    try await sending.value
    let numbers = arrived.map { $0.bytes[0..<4].reversed().reduce(0) { $0 << 8 | Int($1) } }
    let isWholeAndInOrder = numbers == Array(0..<total)
    #expect(isWholeAndInOrder, "\(arrived.count) arrived")
    let snapshot = try await engine.snapshot(until: { $0.counters["packets_out"] == UInt64(total) })
    #expect(snapshot.counters["packets_in"] == UInt64(total))
    #expect(snapshot.dropped == 0)
    // Each packet by one chain, in their order.
    let versions = arrived.map { [1, 2, 3].contains($0.bytes[4]) ? $0.bytes[4] : 0 }
    #expect(Set(versions) == [0, 1, 2, 3])
  }

  /// Takes no processor time, so that its own clock stands still; its keeper sees it.
  @Test func anExtensionThatOnlyWaitsIsEnded() async throws {
    let object = try await TestExtension.build(
      "hostile",
      """
      struct { int fd; short events, revents; } nothing = {-1, 0, 0};
      if (payload[0] == 'X') syscall(SYS_ppoll, &nothing, 1, 0, 0, 8);
      return SR_VERDICT_FORWARD;
      """)
    let engine = try engine([object])
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    try await engine.add(relay(extensions: [use("hostile")], to: [sink]))
    sender.send([byte("X")], to: ingress)
    let snapshot = try await engine.snapshot(until: { $0.worker?.restarts == 1 })
    #expect(snapshot.worker?.latest == "extension hostile did not return and was ended")
    sender.send([1], to: ingress)
    #expect(sink.receive(1).map(\.bytes) == [[1]])
  }

  @Test func removeRelaysWhatWaits() async throws {
    let slow = try await TestExtension.build(
      "slow", "for (int i = 0; i < 100000; i++) __asm__ volatile(\"\"); return SR_VERDICT_FORWARD;")
    let engine = try engine([slow])
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    let relay = relay(extensions: [use("slow")], to: [sink])
    try await engine.add(relay)
    for number in 0..<2_000 { sender.send(numbered(number, length: 100), to: ingress) }
    try await engine.remove(relay)
    #expect(sink.receive(2_000).count == 2_000)
    #expect(try await engine.snapshots().isEmpty)
    try await engine.add(self.relay(extensions: [use("slow")], to: [sink]))
    sender.send([1], to: ingress)
    #expect(sink.receive(1).count == 1)
  }

  @Test func whatCannotRunIsRefused() async throws {
    let missing = try await TestExtension.build(
      "missing", "extern int nowhere(void); return nowhere();")
    let library = try await TestExtension.build(
      "library", "return SR_VERDICT_FORWARD;", flags: ["-Wl,--no-as-needed", "-lc"])
    let engine = try engine([library, missing])
    let sink = try TestSocket(address)
    for (name, reason) in [
      ("library", "needs another library"), ("missing", "nowhere"), ("unknown", "no extension unknown"),
    ] {
      do {
        try await engine.add(relay(extensions: [use(name)], to: [sink]))
        Issue.record("\(name) runs")
      } catch {
        #expect("\(error)".contains(reason), "\(error)")
      }
    }
    // The ingress is free again.
    try await engine.add(relay(extensions: [], to: [sink]))
    let plain = try ProcessEngine()
    await #expect(throws: EngineError.self) { try await plain.add(relay(extensions: [use("any")], to: [sink])) }
  }

  @Test func theKeeperMayDieToo() async throws {
    let object = try await TestExtension.build("steady", "payload[1] = ++state[0]; return SR_VERDICT_FORWARD;")
    let notices = Notices()
    let engine = try engine([object], notices)
    let (sender, sink) = (try TestSocket(address), try TestSocket(address))
    try await engine.add(relay("keeper-\(address)", extensions: [use("steady")], to: [sink]))
    sender.send([0, 0], to: ingress)
    #expect(sink.receive(1).map(\.bytes) == [[0, 1]])
    for process in keepers(of: "keeper-\(address)") { kill(process, SIGKILL) }
    _ = try await engine.snapshot(until: { $0.worker?.restarts == 1 })
    sender.send([0, 0], to: ingress)
    #expect(sink.receive(1).map(\.bytes) == [[0, 2]])
    #expect(notices.all.count == 1)
    await engine.stop()
    #expect(keepers(of: "keeper-\(address)").isEmpty)
  }

  /// Keepers and workers of a stream, by their command line.
  private func keepers(of stream: String) -> [pid_t] {
    LabFiles.list("/proc").compactMap { pid_t($0) }.filter { process in
      let line = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") ?? Data()
      return String(decoding: line, as: UTF8.self).contains("worker\0\(stream)\0")
    }
  }

  @Test func theWorkerIsLockedDown() async throws {
    let object = try await TestExtension.build("steady", "return SR_VERDICT_FORWARD;")
    let engine = try engine([object])
    let sink = try TestSocket(address)
    let stream = "locked-\(address)"
    try await engine.add(relay(stream, extensions: [use("steady")], to: [sink]))
    let processes = keepers(of: stream)
    let worker = try #require(processes.first { processes.contains(pid_t(status($0)["PPid"] ?? "") ?? 0) })
    let found = status(worker)
    #expect(found["NoNewPrivs"] == "1")
    #expect(found["Seccomp"] == "2")
    #expect(found["CapPrm"] == "0000000000000000" && found["CapEff"] == "0000000000000000")
    #expect(found["Threads"] == "1")
    #expect(found["Uid"]?.hasPrefix("0") == false)
    // Three of /dev/null, the socket, epoll and what wakes it.
    if getuid() == 0 { #expect(LabFiles.list(FilePath("/proc/\(worker)/fd")).count == 6) }
  }

  /// /proc/PID/status.
  private func status(_ process: pid_t) -> [String: String] {
    let text = FileManager.default.contents(atPath: "/proc/\(process)/status") ?? Data()
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
    }
    return Dictionary(lines.filter { $0.count == 2 }.map { ($0[0], $0[1]) }) { first, _ in first }
  }

  @Test func replaceMovesToAnotherIngressAndProtocol() async throws {
    let object = try await TestExtension.build(
      "count", "payload[call->payload_length - 1] = ++state[0]; return SR_VERDICT_FORWARD;")
    let engine = try engine([object])
    let (sender, sink) = (try TestSocket(address), try TestSocket(address, port: 6000))
    let former = relay(extensions: [use("count")], to: [sink])
    try await engine.add(former)
    for _ in 0..<100 { sender.send(rtpPacket(1, payload: [0]), to: ingress) }
    let elsewhere = Endpoint(address: address, port: 5024)
    let new = relay("cam", .rtp, extensions: [use("count")], ingress: elsewhere, to: [sink])
    try await engine.replace(former, with: new)
    for number in 0..<50 { sender.send(rtpPacket(UInt16(number), payload: [0]), to: elsewhere) }
    #expect(sink.receive(150).map(\.bytes.last) == (1...150).map { UInt8($0) })
    var snapshot = try await engine.snapshot(until: { $0.counters["packets_out"] == 150 })
    #expect(snapshot.counters["packets_in"] == 150)
    #expect(snapshot.counters["rtp_packets"] == 50)
    #expect(snapshot.ingress == elsewhere)
    // The former address is free, and the account goes on without extensions too.
    _ = try await TestSocket.whenFree(address, port: ingress.port)
    let plain = relay("cam", .rtp, extensions: [], ingress: elsewhere, to: [sink], dscp: 46)
    try await engine.replace(new, with: plain)
    sink.reportsDSCP(isV4: true)
    sender.send(rtpPacket(50, payload: [0]), to: elsewhere)
    #expect(sink.receive(1).map(\.dscp) == [46])
    snapshot = try await engine.snapshot(until: { $0.counters["packets_out"] == 151 })
    #expect(snapshot.counters["rtp_missing"] == nil || snapshot.counters["rtp_missing"] == 0)
    #expect(snapshot.dropped == 0)
    #expect(snapshot.worker == nil)
  }

  @Test func aSwiftExtension() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sr-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let source = folder.appendingPathComponent("DropByte.swift")
    try Data(
      """
      import RelayExtension

      /// Drops every RTP packet whose payload starts with a given byte.
      @main struct DropByte: RelayExtension {
        var byte: UInt8 = 0x47
        enum Counter: UInt32, RelayCounter { case dropped }

        func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
          guard let rtp = packet.rtp, let media = packet.payloadOffset(of: rtp), packet[media] == byte else {
            return .forward
          }
          context.count(.dropped)
          return .drop
        }
      }
      """.utf8
    ).write(to: source)
    let object = try await ExtensionBuilder().build(
      source: FilePath(source.path), into: FilePath(folder.path)
    ).object
    let engine = try engine([object])
    let (sender, sink) = (try TestSocket(address), try TestSocket(address, port: 6000))
    let relay = relay(
      "cam", .rtp, extensions: [RelayExtensionUse(name: "drop-byte", settings: ["byte": .unsigned(3)])],
      to: [sink])
    try await engine.add(relay)
    for number in 0..<100 {
      sender.send(rtpPacket(UInt16(number), payload: [UInt8(number % 5), 1]), to: ingress)
    }
    #expect(sink.receive(80).count == 80)
    let snapshot = try await engine.snapshot(until: { $0.counters["packets_out"] == 80 })
    #expect(snapshot.counters["drop_extension"] == 20)
    #expect(await engine.extensionAccounts(of: "cam").first?.counters.0 == 20)
  }
}

extension ProcessEngine {
  fileprivate func snapshot(of stream: String) throws -> RelaySnapshot {
    guard let snapshot = try snapshots().first(where: { $0.stream == stream }) else {
      throw TestFailure("stream \(stream) does not run")
    }
    return snapshot
  }
}
