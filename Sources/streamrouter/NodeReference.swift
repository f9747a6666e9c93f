import ArgumentParser
import Foundation
import StreamRouter
import Topology

/// The nodes that monitor and check read: those of a file, of a topology by its name, or of the one that runs here. Where
/// some of them are on other machines, this machine's controller is asked for all.
struct NodeReference {
  let source: any SnapshotSource
  /// The topology's name.
  let name: String
  /// nil where no file was given.
  let topology: Topology?

  init(file: String?, topology name: String?) async throws {
    if let file {
      do {
        let read = try Topology.load(path: file)
        topology = read
        self.name = read.name
        source = try await Self.source(read.name, read.nodes.map(\.name))
        return
      } catch let code as ExitCode {
        throw code
      } catch {
        Report.note("\(error)")
        throw ExitCode(64)
      }
    }
    topology = nil
    if let name {
      self.name = name
      source = try await Self.source(name, nil)
      return
    }
    let running = ControlSnapshotSource.runningTopologies()
    guard running.count < 2 else {
      throw ValidationError(
        "several topologies run here (\(running.joined(separator: ", "))): give --topology NAME")
    }
    guard let only = running.first else {
      if ControllerDaemon.answersHere {
        (self.name, source) = ("", try ControllerClient().snapshots())
        return
      }
      if let only = try? Lab.onlyRunning(), Lab.isOnHosts(only) {
        (self.name, source) = (only, try await Self.source(only, nil))
        return
      }
      Report.error("no node runs here; bring a lab up with 'streamrouter lab up FILE'")
      throw ExitCode(69)
    }
    self.name = only
    source = try await Self.source(only, nil)
  }

  private static func source(_ topology: String, _ nodes: [String]?) async throws -> any SnapshotSource {
    if Lab.isOnHosts(topology) {
      do {
        return try ControllerClient(socket: try await Lab.reachableControllerSocket(topology)).snapshots()
      } catch let error as HostsError {
        throw LabExit.tell(error)
      }
    }
    let local = ControlSnapshotSource.nodes(running: topology)
    let isComplete = nodes.map { Set(local).isSuperset(of: $0) } ?? ControlSnapshotSource.isLab(topology)
    if !isComplete, ControllerDaemon.answersHere { return try ControllerClient().snapshots() }
    return nodes.map { ControlSnapshotSource(topology: topology, nodes: $0) }
      ?? ControlSnapshotSource(running: topology)
  }

  /// Says on standard error why, and what to do.
  static func noNodeAnswers(_ readings: [NodeReading], command: String, file: String?) -> ExitCode {
    var message = "streamrouter \(command): no node answers\n"
    for reading in readings { message += "  \(reading.node): \(reading.problem ?? "no answer")\n" }
    message += "bring the lab up with 'streamrouter lab up \(file ?? "FILE")', "
    message += "or start each node with 'streamrouter node'\n"
    FileHandle.standardError.write(Data(message.utf8))
    return ExitCode(69)
  }
}
