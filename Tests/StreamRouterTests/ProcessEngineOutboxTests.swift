import CStreamRouter
import Glibc
import Testing
import Topology

@testable import StreamRouter

/// How datagrams are packed into trains, and what happens where the way takes none.
@Suite(.timeLimit(.minutes(2))) struct ProcessEngineOutboxTests {
  private let address = freshLoopback()

  /// An outbox with a socket and settings of its own, without the engine's thread.
  private final class Bench {
    var outbox = Outbox()
    let settings: ProcessRelaySettings
    let account = ProcessAccount()
    let descriptor: Int32
    /// Where the datagrams lie until they are sent, one behind the other.
    private let memory = UnsafeMutableRawPointer.allocate(byteCount: 4 << 20, alignment: 16)
    private var used = 0

    init(to sinks: [Endpoint], from address: IPAddress) throws {
      let ingress = Endpoint(address: address, port: 5004)
      settings = ProcessRelaySettings(testRelay(ingress: ingress, to: sinks))
      descriptor = try ProcessUDPSocket.open(ingress, dscp: nil)
    }

    deinit {
      outbox.deallocate()
      settings.deallocate()
      account.deallocate()
      memory.deallocate()
      close(descriptor)
    }

    /// - Parameter gap: Bytes between this datagram and the one before.
    func append(_ bytes: [UInt8], gap: Int = 0, arrivalNs: UInt64 = 1) {
      used += gap
      let place = memory + used
      place.copyMemory(from: bytes, byteCount: bytes.count)
      outbox.append(place, length: bytes.count, arrivalNs: arrivalNs, dscp: 0)
      used += bytes.count
    }

    func send() {
      outbox.send(from: descriptor, to: settings.sinks, companion: false, isV4: true, account: account)
      used = 0
    }

    func count(_ counter: sr_counter) -> UInt64 {
      withUnsafeBytes(of: account.copy.value) { $0.bindMemory(to: UInt64.self)[Int(counter.rawValue)] }
    }

    var residenceCount: UInt64 {
      withUnsafeBytes(of: account.copy.residence) { $0.bindMemory(to: UInt64.self).reduce(0, +) }
    }

    /// Makes the kernel refuse trains on this socket: they need checksums (SO_NO_CHECK).
    func refuseTrains() {
      var on: Int32 = 1
      let result = setsockopt(descriptor, SOL_SOCKET, SO_NO_CHECK, &on, socklen_t(MemoryLayout<Int32>.size))
      precondition(result == 0)
    }
  }

  @Test func trainsEndWhereTheyMust() throws {
    let sink = try TestSocket(address)
    let bench = try Bench(to: [sink.endpoint], from: address)
    // Two trains of 64 at most, then one that a shorter datagram ends, then a longer one alone, an empty one alone,
    // and two of at most 65,000 bytes.
    let lengths =
      Array(repeating: 10, count: 100) + [20, 20, 5, 5, 6, 0] + Array(repeating: 20_000, count: 4)
    let payloads = lengths.enumerated().map { numbered($0, length: $1) }
    for (place, payload) in payloads.enumerated() { bench.append(payload, gap: place % 3) }
    bench.send()
    #expect(sink.receive(payloads.count).map(\.bytes) == payloads)
    // 64 | 36 | 20 20 5 | 5 | 6 | 0 | 20,000 x 3 | 20,000. The first datagram of 10 bytes that follows the 64 begins anew.
    #expect(bench.outbox.coalesced == ProcessCoalescing(messages: 4, datagrams: 64 + 36 + 3 + 3))
    #expect(bench.count(SR_PACKETS_OUT) == UInt64(payloads.count))
    #expect(bench.count(SR_BYTES_OUT) == UInt64(lengths.reduce(0, +)))
    #expect(bench.settings.sinks[0].takesTrains)
  }

  @Test func aWayWithoutTrainsTakesThemOneByOne() throws {
    let sinks = [try TestSocket(address), try TestSocket(address)]
    let bench = try Bench(to: sinks.map(\.endpoint), from: address)
    bench.refuseTrains()
    let payloads = (0..<150).map { numbered($0, length: 100) }
    for round in 1...2 {
      for payload in payloads { bench.append(payload) }
      bench.send()
      for sink in sinks { #expect(sink.receive(150).map(\.bytes) == payloads) }
      #expect(bench.count(SR_PACKETS_OUT) == UInt64(300 * round))
      #expect(bench.count(SR_BYTES_OUT) == UInt64(30_000 * round))
      #expect(bench.residenceCount == UInt64(150 * round))
      #expect(!bench.settings.sinks[0].takesTrains && !bench.settings.sinks[1].takesTrains)
    }
    #expect(bench.outbox.coalesced == ProcessCoalescing())
    #expect(bench.count(SR_DROP_SEND) == 0)
  }

  @Test func datagramsLargerThanTheMTUAreDroppedAndCounted() throws {
    let sink = try TestSocket(address)
    let bench = try Bench(to: [sink.endpoint], from: address)
    bench.append([1])
    // One byte more than UDP over IPv4 carries.
    bench.append(numbered(2, length: 65_508))
    bench.append([3])
    bench.send()
    #expect(sink.receive(2).map(\.bytes) == [[1], [3]])
    #expect(bench.count(SR_DROP_MTU) == 1)
    #expect(bench.count(SR_PACKETS_OUT) == 2)
    #expect(bench.count(SR_BYTES_OUT) == 2)
    #expect(bench.residenceCount == 2)
    #expect(bench.settings.sinks[0].takesTrains)
    // The next batch begins with a clean account of failures.
    bench.append([4])
    bench.send()
    #expect(bench.residenceCount == 3)
  }

  @Test func aPacketThatReachesOneSinkCountsAsLeft() throws {
    let sink = try TestSocket(address)
    // Port 0 is no destination: EINVAL.
    let nowhere = Endpoint(address: address, port: 0)
    let bench = try Bench(to: [nowhere, sink.endpoint], from: address)
    let payloads = (0..<10).map { numbered($0, length: 50) }
    for payload in payloads { bench.append(payload) }
    bench.send()
    #expect(sink.receive(10).map(\.bytes) == payloads)
    #expect(bench.count(SR_DROP_SEND) == 10)
    #expect(bench.count(SR_PACKETS_OUT) == 10)
    #expect(bench.residenceCount == 10)
    // The refusal was not about trains.
    #expect(bench.settings.sinks[0].takesTrains)
  }

  @Test func residenceIsTheTimeSinceArrival() throws {
    let sink = try TestSocket(address)
    let bench = try Bench(to: [sink.endpoint], from: address)
    let now = realtimeNs()
    bench.append([1], arrivalNs: now - 5_000_000_000)
    // Stamped in the future, as after a clock was set back: no time at all.
    bench.append([2], arrivalNs: now + 3_600_000_000_000)
    bench.send()
    #expect(sink.receive(2).count == 2)
    let account = bench.account.copy
    #expect(account.residence_max_ns >= 5_000_000_000)
    #expect(account.residence_sum_ns == account.residence_max_ns)
    #expect(withUnsafeBytes(of: account.residence) { $0.load(as: UInt64.self) } == 1)
  }
}
