import Foundation

/// The nodes that have a session with the controller: asks them, and knows when each was last heard of.
actor NodeRegistry {
  /// What is known of a node.
  struct Entry: Hashable, Sendable {
    var hello: Hello
    var isConnected: Bool
    var heardNs: UInt64
    var problem: String?
    /// The revision that it last said or settled.
    var revision: UInt64
    var clock = ClockOffset()
  }

  /// A session's way out, and the questions that wait for an answer.
  private struct Session {
    var number: UInt64
    var send: @Sendable (UInt64, Question) -> Void
    var end: @Sendable () -> Void
    var waiting: [UInt64: CheckedContinuation<Answer, any Error>] = [:]
  }

  private var entries: [String: Entry] = [:]
  private var sessions: [String: Session] = [:]
  private var lastNumber: UInt64 = 0
  private var lastQuestion: UInt64 = 0
  private let events: EventLog
  /// nil: there is one controller.
  private let leadership: Leadership?

  /// - Parameter leadership: No node is asked for anything while another controller is at work.
  init(events: EventLog, leadership: Leadership? = nil) {
    self.events = events
    self.leadership = leadership
  }

  /// Sees whether this is the controller that nodes come to: another one knows nothing of them.
  ///
  /// - Throws: ``ControlError/notAtWork(other:)``.
  func checkTurn() throws {
    if let leadership, !leadership.isHeld { throw leadership.refusal }
  }

  func all() -> [String: Entry] { entries }
  func isConnected(_ node: String) -> Bool { sessions[node] != nil }

  // MARK: Sessions

  /// Opens a session; a former one of the same node ends, as its connection is dead or the node was started twice.
  ///
  /// - Parameter end: Ends it from this side.
  /// - Returns: The session's number, to end it by.
  /// - Throws: ``ControlError/notAtWork(other:)``: the node has to find the controller that is.
  func open(
    _ hello: Hello, send: @escaping @Sendable (UInt64, Question) -> Void,
    end: @escaping @Sendable () -> Void = {}
  ) throws -> UInt64 {
    try checkTurn()
    drop(hello.node)
    lastNumber += 1
    sessions[hello.node] = Session(number: lastNumber, send: send, end: end)
    entries[hello.node] = Entry(
      hello: hello, isConnected: true, heardNs: realtimeNs(), problem: nil, revision: hello.revision)
    events.add(.connected, node: hello.node, "version \(hello.version), revision \(hello.revision)")
    return lastNumber
  }

  /// Nothing happens where another session took its place.
  func close(_ node: String, session number: UInt64, reason: String) {
    guard sessions[node]?.number == number else { return }
    drop(node)
    entries[node]?.isConnected = false
    events.add(.disconnected, node: node, reason)
  }

  /// Ends all sessions: the nodes look for the controller that is at work now.
  func endAll() {
    for session in sessions.values { session.end() }
  }

  private func drop(_ node: String) {
    guard let session = sessions.removeValue(forKey: node) else { return }
    for waiting in session.waiting.values { waiting.resume(throwing: ControlError.gone(node: node)) }
  }

  func heard(_ node: String, session number: UInt64, question: UInt64, _ answer: Result<Answer, any Error>) {
    guard sessions[node]?.number == number else { return }
    entries[node]?.heardNs = realtimeNs()
    sessions[node]?.waiting.removeValue(forKey: question)?.resume(with: answer)
  }

  /// A node's trouble, by its own word or by what it answered; nil: it is over.
  func noted(_ node: String, problem: String?) {
    let former = entries[node]?.problem
    entries[node]?.problem = problem
    // The same trouble again and again is one event.
    if let problem, problem != former { events.add(.problem, node: node, problem) }
  }

  // MARK: Clocks

  /// Asks every node what time it is.
  func readClocks() async {
    await withDiscardingTaskGroup { group in
      for node in sessions.keys { group.addTask { await self.readClock(node) } }
    }
  }

  func readClock(_ node: String) async {
    let sent = realtimeNs()
    guard let answer = try? await ask(node, .clock, within: .seconds(5)), answer.timeNs > 0 else { return }
    entries[node]?.clock.take(sentNs: sent, theirsNs: answer.timeNs, receivedNs: realtimeNs())
  }

  // MARK: Questions

  /// Asks a node and waits for its answer.
  ///
  /// - Throws: ``ControlError``: the node refuses, is gone, or is silent.
  func ask(_ node: String, _ question: Question, within patience: Duration = .seconds(10)) async throws
    -> Answer
  {
    try checkTurn()
    lastQuestion += 1
    let number = lastQuestion
    let timer = Task {
      try await Task.sleep(for: patience)
      self.giveUp(node, number, patience)
    }
    defer { timer.cancel() }
    let answer: Answer = try await withCheckedThrowingContinuation { continuation in
      guard sessions[node] != nil else {
        return continuation.resume(throwing: ControlError.gone(node: node))
      }
      sessions[node]?.waiting[number] = continuation
      sessions[node]?.send(number, question)
    }
    if case .settle(let revision) = question {
      entries[node]?.revision = revision
      // What kept it from following is over.
      entries[node]?.problem = nil
    }
    return answer
  }

  private func giveUp(_ node: String, _ question: UInt64, _ patience: Duration) {
    sessions[node]?.waiting.removeValue(forKey: question)?
      .resume(throwing: ControlError.silent(node: node, seconds: Int(patience.components.seconds)))
  }

  /// Asks several nodes at once.
  ///
  /// - Returns: Why each of those that did not do it did not, by name.
  func askAll(
    _ nodes: [String], within patience: Duration = .seconds(10), _ question: @Sendable (String) -> Question
  ) async -> [String: any Error] {
    await withTaskGroup(of: Failed?.self) { group in
      for node in nodes {
        let question = question(node)
        group.addTask {
          do {
            _ = try await self.ask(node, question, within: patience)
            return nil
          } catch { return Failed(node: node, error: error) }
        }
      }
      var failed: [String: any Error] = [:]
      for await failure in group { if let failure { failed[failure.node] = failure.error } }
      return failed
    }
  }

  private struct Failed: Sendable {
    var node: String
    var error: any Error
  }

  /// The snapshots of the nodes that answer.
  func snapshots(of nodes: [String], within patience: Duration = .seconds(2)) async -> [String: NodeSnapshot] {
    await withTaskGroup(of: NodeSnapshot?.self) { group in
      for node in nodes {
        group.addTask { try? await self.ask(node, .snapshot, within: patience).snapshot }
      }
      var found: [String: NodeSnapshot] = [:]
      for await snapshot in group { if let snapshot { found[snapshot.node] = snapshot } }
      return found
    }
  }

  /// Waits until all of these are connected, or for so long.
  func wait(for nodes: [String], atMost patience: Duration) async {
    let limit = ContinuousClock.now + patience
    while ContinuousClock.now < limit, !Task.isCancelled, !nodes.allSatisfy({ sessions[$0] != nil }) {
      try? await Task.sleep(for: .milliseconds(50))
    }
  }
}
