import CStreamRouter
import Foundation
import SandboxChannel

/// The two processes of a measurement: this one, and one that it starts of its own program.
///
///     parent, the sender's processor  ==>  child, the relay's processor
///                                    <==
public struct PassingProcess: Sendable {
  private static let first: Int32 = 3
  private static let geometryBytes = 2_048

  /// What the child does, with descriptor 3 a socket to the parent and the way's own behind it: receives until the last
  /// one of a measurement and answers with one packet, and with one for each that comes where `echoes`.
  ///
  /// - Throws: ``BenchError/usage(_:)``: no such way.
  public static func serve(way name: String, bytes: Int, echoes: Bool, processor: Int) throws {
    guard let way = PassingWay(rawValue: name), (0...geometryBytes).contains(bytes) else {
      throw BenchError.usage("'\(name)' of \(bytes) bytes is no way to pass packets")
    }
    // It would look for packets for ever, before all other programs.
    guard sr_pass_end_with_parent() == 0 else {
      throw BenchError.failed("cannot follow the other process's end")
    }
    sr_thread_begin("sr-passing", Int32(processor))
    _ = TrafficThread.becomeFIFO(priority: 40)
    let end = try childEnd(way, bytes: bytes)
    while true {
      let (count, last) = try end.receive()
      if echoes {
        for _ in 0..<count { try end.send(1, last: false) }
      } else if last {
        try end.send(1, last: true)
      }
    }
  }

  private static func childEnd(_ way: PassingWay, bytes: Int) throws -> any PassingEnd {
    if way.isChannel {
      let half = try receive(first)
      let consumer = try ChannelConsumer(producer: half)
      try pass(first, consumer.descriptor)
      let producer = try ChannelProducer(consumer.geometry)
      try pass(first, producer.descriptor)
      try producer.attach(consumer: try receive(first))
      let doorbells = way == .channelAsleep ? (other: first + 2, own: first + 1) : nil
      return ChannelEnd(out: producer, back: consumer, way: way, bytes: bytes, doorbells: doorbells)
    }
    if way == .ring {
      guard let own = sr_pass_ring_open(4_096) else { throw BenchError.failed(Self.ringsAbsent) }
      return RingEnd(own: own, other: try exchange(own, over: first, with: getppid()))
    }
    return SocketEnd(out: first + 2, back: first + 1, way: way, bytes: bytes)
  }

  static let ringsAbsent = "io_uring is not here, or is off (sysctl kernel.io_uring_disabled)"

  /// Tells the other process of a ring, and takes its one.
  private static func exchange(_ own: OpaquePointer, over socket: Int32, with other: pid_t) throws -> Int32 {
    var (mine, theirs) = (sr_pass_ring_fd(own), Int32(-1))
    guard write(socket, &mine, 4) == 4, read(socket, &theirs, 4) == 4 else {
      throw BenchError.failed(ringsAbsent)
    }
    let taken = sr_pass_ring_take(other, theirs)
    guard taken >= 0 else {
      throw BenchError.failed("cannot take the other process's ring: \(String(cString: strerror(-taken)))")
    }
    return taken
  }

  static func pass(_ socket: Int32, _ descriptor: Int32) throws {
    let result = sr_channel_pass(socket, descriptor, 1)
    guard result == 0 else {
      throw BenchError.failed("cannot pass a descriptor: \(String(cString: strerror(-result)))")
    }
  }

  static func receive(_ socket: Int32) throws -> Int32 {
    var what: CChar = 0
    let descriptor = sr_channel_receive(socket, &what)
    guard descriptor >= 0 else {
      throw BenchError.failed("the other process gave no descriptor: \(String(cString: strerror(-descriptor)))")
    }
    return descriptor
  }

  /// Starts the child, and runs `body` with the end of this process.
  static func with<Result>(
    _ way: PassingWay, bytes: Int, echoes: Bool, _ body: (any PassingEnd) throws -> Result
  ) throws -> Result {
    var opened: [Int32] = []
    defer { for descriptor in opened { close(descriptor) } }
    func pair(_ make: (inout [Int32]) -> Int32) throws -> (Int32, Int32) {
      var ends: [Int32] = [-1, -1]
      guard make(&ends) == 0 else {
        throw BenchError.failed("no descriptors: \(String(cString: strerror(errno)))")
      }
      opened += ends
      return (ends[0], ends[1])
    }
    func sockets(_ type: __socket_type) throws -> (Int32, Int32) {
      try pair { socketpair(AF_UNIX, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &$0) }
    }
    let control = try sockets(SOCK_STREAM)
    var given = [control.1]
    var ends: (out: Int32, back: Int32) = (-1, -1)
    var bells: [Doorbell] = []
    switch way {
    case .pipe:
      let (there, back) = (try pair { pipe(&$0) }, try pair { pipe(&$0) })
      given += [there.0, back.1]
      ends = (there.1, back.0)
    case .stream, .datagram, .datagrams:
      let sockets = try sockets(way == .stream ? SOCK_STREAM : SOCK_DGRAM)
      given += [sockets.1, sockets.1]
      ends = (sockets.0, sockets.0)
    case .channelAsleep:
      bells = [try Doorbell(), try Doorbell()]
      given += bells.map(\.descriptor)
    case .channel, .channelSingly, .ring: break
    }
    let child = try start(way, bytes: bytes, echoes: echoes, given)
    defer {
      kill(child, SIGKILL)
      waitpid(child, nil, 0)
    }
    close(control.1)
    opened.removeAll { $0 == control.1 }
    if way.isChannel {
      let producer = try ChannelProducer(ChannelGeometry(slotBytes: geometryBytes, slotCount: 1_024))
      try pass(control.0, producer.descriptor)
      try producer.attach(consumer: try receive(control.0))
      let consumer = try ChannelConsumer(producer: try receive(control.0))
      try pass(control.0, consumer.descriptor)
      return try withExtendedLifetime(bells) {
        let doorbells = way == .channelAsleep ? (other: bells[0].descriptor, own: bells[1].descriptor) : nil
        return try body(ChannelEnd(out: producer, back: consumer, way: way, bytes: bytes, doorbells: doorbells))
      }
    }
    if way == .ring {
      guard let own = sr_pass_ring_open(4_096) else { throw BenchError.failed(Self.ringsAbsent) }
      defer { sr_pass_ring_close(own) }
      let other = try exchange(own, over: control.0, with: child)
      defer { close(other) }
      return try body(RingEnd(own: own, other: other))
    }
    return try body(SocketEnd(out: ends.out, back: ends.back, way: way, bytes: bytes))
  }

  private static func start(_ way: PassingWay, bytes: Int, echoes: Bool, _ descriptors: [Int32]) throws -> pid_t
  {
    let program = try LabFiles.ownProgram().string
    let arguments = [
      program, "bench", "passing-peer", way.rawValue, "\(bytes)", "\(BenchNetwork.relayProcessor)",
    ]
    var pointers = (arguments + (echoes ? ["--echo"] : [])).map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var environment: [UnsafeMutablePointer<CChar>?] = [nil]
    let child = sr_worker_spawn(program, &pointers, &environment, descriptors, Int32(descriptors.count))
    guard child > 0 else {
      throw BenchError.failed("cannot start \(program): \(String(cString: strerror(-child)))")
    }
    return child
  }
}
