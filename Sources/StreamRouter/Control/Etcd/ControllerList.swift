import EtcdAPI
import Foundation
import Logging
import ServiceLifecycle
import Synchronization

/// Where the controllers of an installation can be reached, as they write it into etcd: nodes and operators hear of it, and
/// find the next one by themselves. An entry stays when its controller ends: who only knows of those that run at the moment
/// could be left with none.
final class ControllerList: Service {
  /// A controller that was added is known to the others after this time.
  private static let interval = Duration.seconds(2)
  /// More are not told.
  private static let most = 16

  /// The value of a key below `controllers/`, which ends with the address.
  private struct Entry: Codable, Sendable {
    var controller: String
  }

  private let client: EtcdClient
  private let keys: EtcdKeys
  /// This controller's node, and where others reach it; nil: it listens on all addresses, and was not told which counts.
  private let own: (controller: String, address: ControllerAddress?)
  private let log: Logger
  private let known = Mutex<[String]>([])

  init(_ client: EtcdClient, controller: String, address: ControllerAddress?, log: Logger) {
    self.client = client
    keys = EtcdKeys(installation: client.place.installation)
    own = (controller, address)
    self.log = log
  }

  /// In the order of the keys.
  var addresses: [String] { known.withLock { $0 } }

  func run() async throws {
    try? await cancelWhenGracefulShutdown {
      var isWritten = self.own.address == nil
      var told = ""
      while true {
        do {
          if let address = self.own.address, !isWritten {
            try await self.client.put(
              self.keys.controller("\(address)"), EtcdStore.encode(Entry(controller: self.own.controller)))
            isWritten = true
          }
          let folder = self.keys.controllers
          let found = try await self.client.range(folder, end: EtcdKeys.end(of: folder), keysOnly: true)
          let addresses = found.kvs.prefix(Self.most).map { String($0.name.dropFirst(folder.count)) }
          self.known.withLock { $0 = addresses }
          told = ""
        } catch let error where !(error is CancellationError) {
          if told != "\(error)" { self.log.warning("who the other controllers are: \(error)") }
          told = "\(error)"
        }
        try await Task.sleep(for: Self.interval)
      }
    }
  }
}
