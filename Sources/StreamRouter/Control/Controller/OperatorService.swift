import ControlAPI
import Foundation
import GRPCCore
import Topology

/// What operators ask of the controller.
struct OperatorService: APIOperator.SimpleServiceProtocol {
  let deployer: Deployer
  let registry: NodeRegistry
  let extensions: ControllerExtensions
  let events: EventLog
  let caller: Caller
  /// Where all controllers are, which operators are told; empty: there is one.
  var controllers: @Sendable () -> [String] = { [] }

  // MARK: Extensions

  func missingExtensions(request: APIExtensionList, context: ServerContext) async throws -> APIExtensionList {
    _ = try caller.mayOperate(context)
    var missing: [String] = []
    for content in request.content where try await extensions.object(content) == nil { missing.append(content) }
    return APIExtensionList.with { [missing] in $0.content = missing }
  }

  func putExtension(request: APIExtensionReply, context: ServerContext) async throws -> APIExtensionList {
    _ = try caller.mayOperate(context)
    do {
      let object = try await extensions.put([UInt8](request.object))
      return APIExtensionList.with { $0.content = [object.content] }
    } catch let error as ControlError { throw error } catch {
      throw RPCError(code: .invalidArgument, message: "\(error)")
    }
  }

  // MARK: Deploy

  func plan(request: APIDeployRequest, context: ServerContext) async throws -> APIPlanReply {
    let order = try DeployOrder(request, who: try caller.mayOperate(context))
    try await registry.checkTurn()
    let plan: DeployPlan
    do { plan = try await deployer.plan(order) } catch let refusal as DeployRefusal {
      throw RPCError(code: .invalidArgument, message: refusal.description)
    }
    let entries = await registry.all()
    return APIPlanReply.with { reply in
      reply.revision = plan.former?.number ?? 0
      reply.topology = plan.wanted.topology
      reply.isEmpty = plan.isEmpty
      reply.nodes = plan.nodes.map { node in
        APINodePlan.with {
          $0.node = node
          $0.reachable = entries[node]?.isConnected ?? false
          $0.note = plan.note(on: node) ?? ""
          $0.changes = plan.changes(on: node).map { APIPlannedChange($0.change, interrupts: $0.interrupts) }
        }
      }
    }
  }

  func deploy(
    request: APIDeployRequest, response: RPCWriter<APIDeployEvent>, context: ServerContext
  ) async throws {
    let order = try DeployOrder(request, who: try caller.mayOperate(context))
    let (words, queue) = AsyncStream.makeStream(of: String.self)
    // A deploy goes on where the one who asked for it is gone: he may have cut himself off.
    let work = Task { () async -> APIDeployEvent in
      defer { queue.finish() }
      do {
        let done = try await deployer.deploy(order) { queue.yield($0) }
        return APIDeployEvent(done)
      } catch let refusal as DeployRefusal { return APIDeployEvent(refusal) } catch {
        return APIDeployEvent(DeployRefusal(.failed, "\(error)"))
      }
    }
    for await text in words {
      try? await response.write(
        .with {
          $0.timeNs = realtimeNs()
          $0.text = text
        })
    }
    try await response.write(await work.value)
  }

  func confirm(request: APIConfirmRequest, context: ServerContext) async throws -> APIConfirmReply {
    let who = try caller.mayOperate(context) ?? request.who
    do {
      let revision = try await deployer.confirm(who: who)
      return APIConfirmReply.with { $0.revision = revision }
    } catch let refusal as DeployRefusal {
      throw RPCError(code: .failedPrecondition, message: refusal.description)
    }
  }

  // MARK: What is

  func status(request: APIStatusRequest, context: ServerContext) async throws -> APIStatusReply {
    _ = try caller.mayOperate(context)
    try await registry.checkTurn()
    let inForce = try await deployer.inForce()
    let deployment = try await deployer.store.deployment()
    let entries = await registry.all()
    let named = inForce.map { Set($0.parts.keys) } ?? []
    return APIStatusReply.with { reply in
      reply.controllers = controllers()
      reply.topology = inForce?.topology ?? ""
      reply.revision = inForce?.number ?? 0
      reply.confirmUntilNs = deployment?.confirmUntilNs ?? 0
      reply.lockedBy =
        deployment.map { "\($0.revision.who), revision \($0.revision.number), \($0.phase.rawValue)" } ?? ""
      reply.nodes = named.union(entries.keys).sorted().map { node in
        APINodeState.with {
          $0.node = node
          $0.connected = entries[node]?.isConnected ?? false
          $0.revision = entries[node]?.revision ?? 0
          $0.heardNs = entries[node]?.heardNs ?? 0
          $0.version = entries[node]?.hello.version ?? ""
          $0.problem = entries[node]?.problem ?? ""
          $0.isNamed = named.contains(node)
          $0.clockOffsetNs = entries[node]?.clock.offsetNs ?? 0
          $0.clockErrorNs = entries[node]?.clock.errorNs ?? 0
        }
      }
    }
  }

  func snapshots(
    request: APISnapshotsRequest, response: RPCWriter<APISnapshotsReply>, context: ServerContext
  ) async throws {
    _ = try caller.mayOperate(context)
    // A tenth of a second, whatever is asked: the nodes relay besides.
    let interval = Duration.nanoseconds(Int64(clamping: max(request.intervalNs, 100_000_000)))
    var next = ContinuousClock.now
    while true {
      try await registry.checkTurn()
      let named = try await deployer.inForce()?.parts.keys.sorted() ?? []
      let found = await registry.snapshots(of: named)
      let encoder = JSONEncoder()
      try await response.write(
        .with { reply in
          reply.nodes = named.map { node in
            .with {
              $0.node = node
              if let snapshot = found[node] {
                $0.snapshot = (try? encoder.encode(snapshot)) ?? Data()
              } else {
                $0.problem = "did not answer the controller"
              }
            }
          }
        })
      guard request.intervalNs > 0 else { return }
      next += interval
      try await Task.sleep(until: max(next, .now))
    }
  }

  func history(request: APIHistoryRequest, context: ServerContext) async throws -> APIHistoryReply {
    _ = try caller.mayOperate(context)
    let current = try await deployer.store.current()
    let revisions = try await deployer.store.revisions()
    return APIHistoryReply.with {
      $0.revisions = revisions.map { recorded in
        .with {
          $0.number = recorded.revision.number
          $0.timeNs = recorded.revision.timeNs
          $0.who = recorded.revision.who
          $0.file = recorded.revision.file
          $0.topologyName = recorded.revision.isEmpty ? "" : recorded.revision.topology
          $0.changes = UInt32(clamping: recorded.revision.changes)
          $0.outcome =
            recorded.revision.number == current
            ? "in force"
            : recorded.revision.isEmpty && recorded.outcome == .kept
              ? "destroyed" : recorded.outcome.rawValue
        }
      }
    }
  }

  func events(request: APIEventsRequest, response: RPCWriter<APIEvent>, context: ServerContext) async throws {
    _ = try caller.mayOperate(context)
    let past = Int(clamping: request.past)
    if request.pastOnly {
      for event in events.past(past) { try await response.write(APIEvent(event)) }
    } else {
      for await event in events.events(past: past) { try await response.write(APIEvent(event)) }
    }
  }
}

extension DeployOrder {
  init(_ request: APIDeployRequest, who: String?) throws {
    let wanted: Wanted =
      request.destroy
      ? .nothing
      : request.revision != 0
        ? .revision(request.revision) : .topology(yaml: request.topology, extensions: request.extensions)
    self.init(
      wanted: wanted, file: request.file, who: who ?? request.who, partial: request.partial,
      confirmSeconds: request.confirmSeconds)
  }
}

extension APIEvent {
  init(_ event: EventLog.Event) {
    self.init()
    timeNs = event.timeNs
    kind = event.kind.rawValue
    node = event.node ?? ""
    text = event.text
  }
}

extension APIPlannedChange {
  init(_ change: Change, interrupts: String?) {
    self.init()
    switch change {
    case .add: kind = .add
    case .replace: kind = .replace
    case .remove: kind = .remove
    }
    stream = change.relay.stream
    text = "\(change)"
    self.interrupts = interrupts ?? ""
  }
}

extension APIDeployEvent {
  init(_ done: Deployer.Done) {
    self.init()
    timeNs = realtimeNs()
    self.done = .with {
      $0.revision = done.revision
      $0.nodes = UInt32(clamping: done.nodes)
      $0.changes = UInt32(clamping: done.changes)
      $0.absent = done.absent
      $0.confirmUntilNs = done.confirmUntilNs ?? 0
      $0.topology = done.topology
      $0.verified = done.verified
      $0.idle = done.idle
    }
  }

  init(_ refusal: DeployRefusal) {
    self.init()
    timeNs = realtimeNs()
    refused = .with {
      $0.text = refusal.description
      $0.unclear = refusal.unclear
      $0.reason =
        switch refusal.reason {
        case .invalid: .invalid
        case .busy: .busy
        case .unreachable: .unreachable
        case .nodeRefused: .nodeRefused
        case .failed: .failed
        }
    }
  }
}
