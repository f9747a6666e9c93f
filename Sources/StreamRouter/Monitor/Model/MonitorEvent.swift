/// Something that happened between two readings and is worth a line: for the event log of the live view, and for
/// `monitor --events`.
struct MonitorEvent: Hashable, Sendable {
  enum Kind: String, Sendable {
    case nodeSilent = "node-silent"
    case nodeAnswers = "node-answers"
    case nodeRestarted = "node-restarted"
    case linkSilent = "link-silent"
    case linkAnswers = "link-answers"
    case clockSet = "clock-set"
    case relayAppeared = "relay-appeared"
    case relayRemoved = "relay-removed"
    case streamStarted = "stream-started"
    case streamStopped = "stream-stopped"
    case sourceRestarted = "source-restarted"
    case lossBegan = "loss-began"
    case lossEnded = "loss-ended"
    case lateBegan = "late-began"
    case lateEnded = "late-ended"
    case dropsBegan = "drops-began"
    case dropsEnded = "drops-ended"
    case limitBroken = "limit-broken"
    case limitKept = "limit-kept"
    case engineChanged = "engine-changed"
    case extensionsChanged = "extensions-changed"
    case workerRestarted = "worker-restarted"

    /// How it is coloured.
    var part: StyledLine.Part {
      switch self {
      case .nodeSilent, .linkSilent, .dropsBegan, .workerRestarted: .bad
      case .clockSet, .lossBegan, .lateBegan, .limitBroken, .streamStopped, .sourceRestarted, .relayRemoved:
        .warning
      case .nodeAnswers, .linkAnswers, .streamStarted, .lossEnded, .lateEnded, .dropsEnded, .limitKept: .good
      case .nodeRestarted, .relayAppeared, .engineChanged, .extensionsChanged: .plain
      }
    }
  }

  /// When it was seen, nanoseconds since 1970: at most one interval after it happened.
  var timeNs: UInt64
  var kind: Kind
  var node: String
  /// nil where the node as a whole is meant.
  var stream: String?
  var hop: Int?
  /// What happened, in words.
  var text: String

  /// What two boards that follow each other tell.
  static func between(_ before: MonitorBoard, _ after: MonitorBoard) -> [MonitorEvent] {
    // What stands there when the monitor starts is no event.
    guard !before.nodes.isEmpty else { return [] }
    return nodes(before, after) + links(before, after) + relays(before, after)
  }

  private static func nodes(_ before: MonitorBoard, _ after: MonitorBoard) -> [MonitorEvent] {
    let known = Dictionary(before.nodes.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    return after.nodes.flatMap { node -> [MonitorEvent] in
      guard let former = known[node.name] else { return [] }
      func event(_ kind: Kind, _ text: String) -> MonitorEvent {
        MonitorEvent(timeNs: after.timeNs, kind: kind, node: node.name, text: text)
      }
      var events: [MonitorEvent] = []
      if node.condition == .up, former.condition != .up { events.append(event(.nodeAnswers, "answers")) }
      if node.condition != .up, former.condition == .up {
        events.append(
          event(.nodeSilent, "does not answer" + (node.reading.problem.map { ": \($0)" } ?? "")))
      }
      if let now = node.reading.snapshot, let then = former.reading.snapshot, now.startedNs != then.startedNs {
        events.append(event(.nodeRestarted, "has a new daemon, process \(now.pid)"))
      }
      return events
    }
  }

  private static func links(_ before: MonitorBoard, _ after: MonitorBoard) -> [MonitorEvent] {
    let known = Dictionary(before.links.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    return after.links.flatMap { link -> [MonitorEvent] in
      guard let former = known[link.id], link.staleSeconds == nil else { return [] }
      func event(_ kind: Kind, _ text: String) -> MonitorEvent {
        MonitorEvent(timeNs: after.timeNs, kind: kind, node: link.node, text: text)
      }
      let peer = link.snapshot.peer
      var events: [MonitorEvent] = []
      switch (former.isMute, link.isMute) {
      case (false, true):
        let why = link.snapshot.problem.map { ": \($0)" } ?? ""
        events.append(event(.linkSilent, "link to \(peer): no test packet is answered\(why)"))
      case (true, false): events.append(event(.linkAnswers, "link to \(peer): test packets are answered"))
      default: break
      }
      if link.snapshot.clockSteps > former.snapshot.clockSteps {
        events.append(event(.clockSet, "its clock or that of \(peer) was set"))
      }
      return events
    }
  }

  private static func relays(_ before: MonitorBoard, _ after: MonitorBoard) -> [MonitorEvent] {
    let known = Dictionary(
      before.rows.indices.map { (before.rows[$0].id, $0) }, uniquingKeysWith: { first, _ in first })
    var gone = Set(known.keys)
    func event(_ row: MonitorRow, _ kind: Kind, _ text: String) -> MonitorEvent {
      MonitorEvent(
        timeNs: after.timeNs, kind: kind, node: row.node, stream: row.relay.stream, hop: row.relay.hop,
        text: text)
    }
    var found: [MonitorEvent] = []
    for index in after.rows.indices {
      let id = after.rows[index].id
      guard let former = known[id] else {
        let row = after.rows[index]
        found.append(event(row, .relayAppeared, "is relayed by engine \(row.relay.engine.rawValue)"))
        continue
      }
      gone.remove(id)
      // A repeated answer, and one that is old, tell nothing new.
      if after.rows[index].isRepeated || after.rows[index].staleSeconds != nil { continue }
      for (kind, text) in changes(before.rows[former], after.rows[index]) {
        found.append(event(after.rows[index], kind, text))
      }
    }
    let removed = gone.isEmpty ? [] : before.rows.filter { gone.contains($0.id) }
    return removed.map { event($0, .relayRemoved, "is no longer relayed") } + found
  }

  /// From one interval of a relay to the next.
  private static func changes(_ former: MonitorRow, _ row: MonitorRow) -> [(Kind, String)] {
    var found: [(Kind, String)] = []
    let (then, now) = (former.relay, row.relay)
    if then.engine != now.engine {
      found.append((.engineChanged, "engine \(then.engine.rawValue) became \(now.engine.rawValue)"))
    }
    if then.extensions.map(\.content) != now.extensions.map(\.content) {
      let names = now.extensions.map { "\($0.name) \($0.version) [\($0.content.prefix(12))]" }
      found.append(
        (.extensionsChanged, names.isEmpty ? "no extension any more" : names.joined(separator: ", ")))
    }
    if let worker = now.worker, worker.restarts > then.worker?.restarts ?? worker.restarts {
      found.append((.workerRestarted, worker.latest ?? "the process that runs its extensions ended"))
    }
    guard let rates = row.rates, !rates.restarted else { return found }
    let packets = rates.counters["packets_in"] ?? 0
    let packetsBefore = former.rates.map { $0.counters["packets_in"] ?? 0 }
    if packets > 0, packetsBefore == 0 {
      found.append((.streamStarted, "packets arrive"))
    } else if packets == 0, packetsBefore ?? 0 > 0 {
      found.append((.streamStopped, "no packet arrives"))
    }
    if let restarts = rates.counters["rtp_restarts"], restarts > 0 {
      found.append((.sourceRestarted, "a new source, or one that began to number anew"))
    }
    // Where the hop before is silent, nothing is known of the way here.
    let lostBefore = former.linkLost ?? 0
    if let lost = row.linkLost, lost > 0, lostBefore == 0 {
      let place = now.hop == 0 ? "before the stream comes here" : "on the way here"
      found.append((.lossBegan, "\(Figure.plural(Int(clamping: lost), "packet")) lost \(place)"))
    } else if row.linkLost == 0, lostBefore > 0 {
      found.append((.lossEnded, "no packet lost on the way here"))
    }
    let late = rates.counters["rtp_late"] ?? 0
    let lateBefore = former.rates?.counters["rtp_late"] ?? 0
    if late > 0, lateBefore == 0 {
      found.append(
        (
          .lateBegan,
          "\(Figure.plural(Int(clamping: late), "packet")) arrived behind packets that were sent after"
        ))
    } else if late == 0, lateBefore > 0, packets > 0 {
      found.append((.lateEnded, "packets arrive in order"))
    }
    found += drops(former, rates)
    let (broken, brokenBefore) = (row.breaches.map(\.limit), Set(former.breaches.map(\.limit)))
    for breach in row.breaches where !brokenBefore.contains(breach.limit) {
      found.append((.limitBroken, "\(breach)"))
    }
    for limit in former.breaches.map(\.limit) where !broken.contains(limit) {
      found.append((.limitKept, "\(limit) is kept again"))
    }
    return found
  }

  private static func drops(_ former: MonitorRow, _ rates: RelayRates) -> [(Kind, String)] {
    let dropped = rates.dropped - rates.droppedByExtensions
    let before = former.rates.map { $0.dropped - $0.droppedByExtensions } ?? 0
    if dropped > 0, before == 0 {
      let causes = Counter.drops.filter { $0.name != "drop_extension" && rates.counters[$0.name] ?? 0 > 0 }
      let words = causes.map { "\(rates.counters[$0.name] ?? 0) \($0.name) (\($0.text))" }
      return [(.dropsBegan, words.joined(separator: ", "))]
    }
    return dropped == 0 && before > 0 ? [(.dropsEnded, "drops nothing any more")] : []
  }
}

extension MonitorEvent {
  /// Whom it is about.
  var place: String { stream.map { "\($0) at \(node)" } ?? "node \(node)" }

  /// One object of `monitor --events --jsonl`.
  struct Document: Encodable {
    var time: String
    var event: String
    var node: String
    @OrNull var stream: String?
    @OrNull var hop: Int?
    var text: String

    init(_ event: MonitorEvent) {
      time = MonitorDocument.text(timeNs: event.timeNs)
      self.event = event.kind.rawValue
      node = event.node
      _stream = OrNull(event.stream)
      _hop = OrNull(event.hop)
      text = event.text
    }
  }
}
