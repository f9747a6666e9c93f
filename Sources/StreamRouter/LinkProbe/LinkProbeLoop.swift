import CStreamRouter
import Foundation
import Logging
import SystemPackage
import Topology

/// The thread of a ``LinkProber``: its sockets, when the next test packet is due, and what comes in.
struct LinkProbeLoop {
  private let prober: LinkProber
  private let log: Logger
  private let receiver: OpaquePointer
  private let received: UnsafeMutablePointer<sr_received>
  private let ready: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private var watch = sr_watch()
  private var changes = 0
  private var probes: NodeProbes?
  private var reflectors: [IPAddress: ProbeSocket] = [:]
  private var senders: [Sender] = []
  private var quality = ClockQuality(isSynchronised: false, errorNs: 0)
  private var qualityAgeNs: UInt64 = 0
  /// When sockets that could not be opened are tried again.
  private var retryNs: UInt64 = .max

  /// One link, at the same place as its session.
  private struct Sender {
    var probe: LinkProbe
    var socket: ProbeSocket?
    var dueNs: UInt64
  }

  private static let batch = Int(SR_RECEIVE_BATCH.rawValue)
  private static let retryEveryNs: UInt64 = 5_000_000_000

  init(prober: LinkProber, log: Logger) {
    self.prober = prober
    self.log = log
    guard let receiver = sr_receiver_make() else {
      fatalError("Out of memory for the receive buffers of probes.")
    }
    self.receiver = receiver
    received = .allocate(capacity: Self.batch)
    received.initialize(repeating: sr_received(), count: Self.batch)
    ready = .allocate(capacity: Self.batch)
    ready.initialize(repeating: nil, count: Self.batch)
  }

  /// Until the prober ends.
  mutating func run() {
    while true {
      let (wanted, changes, isEnding, watch) = prober.withState {
        ($0.wanted, $0.changes, $0.isEnding, $0.watch)
      }
      if isEnding { break }
      if changes != self.changes {
        if let watch { self.watch = watch }
        self.changes = changes
        follow(wanted)
      }
      wait()
      sendDue()
    }
    end()
  }

  private mutating func end() {
    reflectors = [:]
    senders = []
    prober.withState { state in
      (state.watch, state.sessions, state.reflectors, state.problems) = (nil, [], [:], [:])
    }
    sr_watch_close(&watch)
    sr_receiver_free(receiver)
    received.deallocate()
    ready.deallocate()
  }

  // MARK: What is probed

  private mutating func follow(_ wanted: NodeProbes?) {
    let isSamePort = wanted?.port == probes?.port
    probes = wanted
    let links = wanted?.links ?? []
    let now = monotonicNs()
    // Sockets that go are closed before others take their ports.
    if !isSamePort { reflectors = [:] }
    let locals = Set(links.map(\.local))
    reflectors = reflectors.filter { locals.contains($0.key) }
    let former = isSamePort ? senders : []
    senders = links.map { probe in
      former.first { $0.probe == probe }
        // Not all at once: the first ones spread over the interval.
        ?? Sender(
          probe: probe, socket: nil,
          dueNs: now + UInt64.random(in: 0..<UInt64(max(1, probe.intervalMs)) * 1_000_000))
    }
    prober.withState { state in
      let sessions = isSamePort ? state.sessions : []
      state.sessions = links.map { probe in
        sessions.first { $0.probe == probe } ?? LinkProbeSession(probe, port: wanted?.port ?? 0)
      }
      state.reflectors = Dictionary(
        uniqueKeysWithValues: locals.map { local in
          let peers = links.filter { $0.local == local }.map(\.remote)
          var reflector = state.reflectors[local] ?? LinkReflector(peers: peers)
          reflector.follow(peers: peers)
          return (local, reflector)
        })
      state.problems = state.problems.filter { locals.contains($0.key) }
    }
    open(now)
  }

  /// Opens what is wanted and not open.
  private mutating func open(_ now: UInt64) {
    guard let probes else { return retryNs = .max }
    var isComplete = true
    for local in Set(probes.links.map(\.local)) where reflectors[local] == nil {
      do throws(ProbeSocket.Failure) {
        reflectors[local] = try opened(.reflector(local), probes.port)
        prober.withState { $0.problems[local] = nil }
      } catch {
        isComplete = false
        let isNew = prober.withState { state in
          defer { state.problems[local] = error.description }
          return state.problems[local] != error.description
        }
        if isNew { log.warning("\(error)") }
      }
    }
    for place in senders.indices where senders[place].socket == nil {
      do throws(ProbeSocket.Failure) {
        senders[place].socket = try opened(.sender(senders[place].probe), probes.port)
      } catch {
        isComplete = false
        report(error.description, at: place)
      }
    }
    retryNs = isComplete ? .max : now + Self.retryEveryNs
  }

  private func opened(_ role: ProbeSocket.Role, _ port: UInt16) throws(ProbeSocket.Failure) -> ProbeSocket {
    let socket = try ProbeSocket(role, port: port)
    let context = Unmanaged.passUnretained(socket).toOpaque()
    let result = withUnsafePointer(to: watch) { sr_watch_add($0, socket.descriptor, context) }
    guard result == 0 else {
      throw ProbeSocket.Failure(
        description: "waiting for test packets: \(Errno(rawValue: -result))", errno: -result)
    }
    return socket
  }

  private func report(_ problem: String, at place: Int) {
    let isNew = prober.withState { state in
      defer { state.sessions[place].report(problem: problem) }
      return state.sessions[place].account.problem != problem
    }
    if isNew { log.warning("link to \(senders[place].probe.peer): \(problem)") }
  }

  /// The machine is there, and its kernel says that nothing listens.
  private func reportNobody(at place: Int) {
    let remote = Endpoint(address: senders[place].probe.remote, port: probes?.port ?? 0)
    report("nobody answers test packets at \(remote)", at: place)
  }

  // MARK: Sending

  private mutating func sendDue() {
    let now = monotonicNs()
    if now >= retryNs { open(now) }
    for place in senders.indices where senders[place].dueNs <= now {
      let interval = UInt64(max(1, senders[place].probe.intervalMs)) * 1_000_000
      // What was missed, as while the machine slept, is not made up for.
      senders[place].dueNs = max(senders[place].dueNs + interval, now + interval / 2)
      guard let socket = senders[place].socket else { continue }
      refreshQuality(now)
      let failed = send(place, socket)
      if failed != 0 {
        report("sending a test packet: \(Errno(rawValue: failed))", at: place)
      }
    }
  }

  private func send(_ place: Int, _ socket: ProbeSocket) -> Int32 {
    let quality = self.quality.field
    let packet = prober.withState { state in
      state.sessions[place].send(
        at: .init(realtimeNs: realtimeNs(), monotonicNs: monotonicNs()), quality: quality)
    }
    let bytes = packet.encoded
    let failed = socket.send(bytes)
    // That is what became of an earlier one.
    if failed == ECONNREFUSED {
      reportNobody(at: place)
      return socket.send(bytes)
    }
    return failed
  }

  private mutating func refreshQuality(_ now: UInt64) {
    guard qualityAgeNs == 0 || now - qualityAgeNs > 10_000_000_000 else { return }
    qualityAgeNs = now
    var errorNs: UInt64 = 0
    let isSynchronised = sr_clock_is_synchronised(&errorNs) == 1
    quality = ClockQuality(isSynchronised: isSynchronised, errorNs: errorNs)
  }

  // MARK: Receiving

  /// Until something came, something is due, or somebody woke the thread; serves what came.
  private mutating func wait() {
    let now = monotonicNs()
    let due = senders.reduce(retryNs) { min($0, $1.dueNs) }
    let milliseconds = due == .max ? -1 : due > now ? Int32(clamping: (due - now) / 1_000_000 + 1) : 0
    var waiting = pollfd(fd: watch.epoll, events: Int16(POLLIN), revents: 0)
    guard poll(&waiting, 1, milliseconds) > 0 else { return }
    let count = Int(withUnsafePointer(to: watch) { sr_watch_wait($0, ready, Int32(Self.batch)) })
    for place in 0..<max(0, count) {
      guard let context = ready[place] else { continue }
      serve(Unmanaged<ProbeSocket>.fromOpaque(context).takeUnretainedValue())
    }
  }

  private func serve(_ socket: ProbeSocket) {
    let count = Int(sr_receive(receiver, socket.descriptor, received))
    guard count > 0 else {
      if count == -Int(ECONNREFUSED), case .sender(let probe) = socket.role,
        let place = senders.firstIndex(where: { $0.probe == probe })
      {
        reportNobody(at: place)
      }
      return
    }
    for index in 0..<count {
      let message = received[index]
      let bytes = UnsafeRawBufferPointer(start: message.bytes, count: Int(message.length))
      // The kernel may hand over several of one size as a train.
      let segment = max(1, Int(message.segment))
      for start in stride(from: 0, to: bytes.count, by: segment) {
        let datagram = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + segment, bytes.count)])
        take(datagram, message, socket)
      }
    }
  }

  private func take(_ bytes: UnsafeRawBufferPointer, _ message: sr_received, _ socket: ProbeSocket) {
    let arrivedNs = message.arrival_ns > 0 ? message.arrival_ns : realtimeNs()
    switch socket.role {
    case .sender(let probe):
      guard let place = senders.firstIndex(where: { $0.probe == probe }) else { return }
      prober.withState {
        $0.sessions[place].take(bytes, arrivedNs: arrivedNs, monotonicNs: monotonicNs())
      }
    case .reflector(let local):
      let source = Endpoint(
        address: IPAddress(words: (message.source.0, message.source.1, message.source.2, message.source.3)),
        port: UInt16(bigEndian: message.source_port))
      let answer = prober.withState {
        $0.reflectors[local]?.answer(
          bytes, from: source, hopLimit: UInt8(truncatingIfNeeded: message.hop_limit), arrivedNs: arrivedNs,
          monotonicNs: monotonicNs())
      }
      guard var answer else { return }
      answer.quality = quality.field
      answer.time = TestTime(realtimeNs: realtimeNs())
      // An answer that cannot be sent is one that is lost.
      _ = socket.send(answer.encoded, to: source)
    }
  }
}
