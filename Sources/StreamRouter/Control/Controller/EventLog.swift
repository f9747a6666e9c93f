import Synchronization

/// What happened in an installation: the latest ``capacity`` events, and whoever listens for more.
final class EventLog: Sendable {
  enum Kind: String, Hashable, Sendable, Codable {
    case connected, disconnected, problem, deploying, deployed, refused, reverted, confirmed, converged
  }

  struct Event: Hashable, Sendable, Codable {
    var timeNs: UInt64
    var kind: Kind
    /// nil: it is about the installation.
    var node: String?
    var text: String
  }

  static let capacity = 1_000

  private struct State {
    var events: [Event] = []
    var listeners: [Int: AsyncStream<Event>.Continuation] = [:]
    var last = 0
  }

  private let state = Mutex(State())

  func add(_ kind: Kind, node: String? = nil, _ text: String) {
    let event = Event(timeNs: realtimeNs(), kind: kind, node: node, text: text)
    state.withLock { state in
      state.events.append(event)
      if state.events.count > Self.capacity { state.events.removeFirst(state.events.count - Self.capacity) }
      for listener in state.listeners.values { listener.yield(event) }
    }
  }

  /// The latest so many.
  func past(_ count: Int) -> [Event] { state.withLock { Array($0.events.suffix(count)) } }

  /// The latest so many, then those that come. Whoever reads too slowly misses the oldest.
  func events(past: Int) -> AsyncStream<Event> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: Event.self, bufferingPolicy: .bufferingNewest(4_096))
    let number = state.withLock { state in
      state.last += 1
      for event in state.events.suffix(past) { continuation.yield(event) }
      state.listeners[state.last] = continuation
      return state.last
    }
    continuation.onTermination = { [weak self] _ in
      _ = self?.state.withLock { $0.listeners.removeValue(forKey: number) }
    }
    return stream
  }
}
