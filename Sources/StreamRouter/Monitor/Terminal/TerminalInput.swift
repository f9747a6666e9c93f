import NIOPosix
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Keys and signals, as they come: waits for both in one poll(2) on a thread of its own, because a terminal
/// cannot be read without blocking or changing it for others.
///
/// Made and stopped by the one task that runs the monitor. The decoder is touched by `next` alone, and `next` is
/// called by one task at a time.
final class TerminalInput: Sendable {
  enum Event: Hashable, Sendable {
    case key(Key)
    case signal(Int32)
    /// The terminal is closed.
    case closed
  }

  private let input: Int32
  private let pipe: (readEnd: FileDescriptor, writeEnd: FileDescriptor)
  private let pool = NIOThreadPool(numberOfThreads: 1)

  init(input: Int32) throws(TerminalError) {
    do {
      pipe = try FileDescriptor.pipe()
    } catch {
      throw .failed(operation: "making a pipe for signals", errno: (error as? Errno)?.rawValue ?? EMFILE)
    }
    for end in [pipe.readEnd.rawValue, pipe.writeEnd.rawValue] {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    self.input = input
    pool.start()
    TerminalSignals.install(pipe: pipe.writeEnd.rawValue)
  }

  /// Waits for the next events; none after `interrupt`. The decoder goes in and comes back, since it holds what
  /// is not yet a key.
  func next(_ decoder: KeyDecoder) async throws -> (events: [Event], decoder: KeyDecoder) {
    try await pool.runIfActive { [input, pipe] in
      var decoder = decoder
      return (Self.wait(input: input, pipe: pipe.readEnd.rawValue, &decoder), decoder)
    }
  }

  /// Lets a waiting `next` return at once.
  func interrupt() {
    // A full pipe wakes it just as well.
    _ = try? pipe.writeEnd.writeAll([0])
  }

  /// Former signal actions come back. No `next` may be waiting.
  func stop() async {
    TerminalSignals.remove()
    try? await pool.shutdownGracefully()
    try? pipe.readEnd.close()
    try? pipe.writeEnd.close()
  }

  private static func wait(input: Int32, pipe: Int32, _ decoder: inout KeyDecoder) -> [Event] {
    var fds = [
      pollfd(fd: input, events: Int16(POLLIN), revents: 0), pollfd(fd: pipe, events: Int16(POLLIN), revents: 0),
    ]
    let ready = poll(&fds, 2, decoder.isWaiting ? KeyDecoder.escapeDelayMs : -1)
    if ready == 0 { return decoder.timeout().map { .key($0) } }
    guard ready > 0 else { return [] }
    var events: [Event] = []
    if fds[1].revents != 0, let bytes = try? read(pipe) {
      events += bytes.filter { $0 != 0 }.map { .signal(Int32($0)) }
    }
    if fds[0].revents != 0 { events += self.events(of: input, &decoder) }
    return events
  }

  private static func events(of input: Int32, _ decoder: inout KeyDecoder) -> [Event] {
    do {
      let bytes = try read(input)
      return bytes.isEmpty ? [.closed] : decoder.feed(bytes).map { .key($0) }
    } catch Errno.resourceTemporarilyUnavailable {
      return []
    } catch {
      return [.closed]
    }
  }

  /// What there is, at most 256 bytes.
  private static func read(_ descriptor: Int32) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: 256) { buffer, count in
      count = try FileDescriptor(rawValue: descriptor).read(into: UnsafeMutableRawBufferPointer(buffer))
    }
  }
}
