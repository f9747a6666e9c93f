import Foundation
import Topology

/// What a worker's keeper is told at its start, beside the descriptors: 3 and following, in the order of ``Descriptor``,
/// then the native code of each extension.
struct WorkerPlan: Codable, Sendable {
  var relay: Relay
  /// Tells the streams of this node apart.
  var stream: UInt32
  var scheduling: Scheduling
  var cpu: Int?
  var extensions: [Extension]

  struct Extension: Codable, Sendable {
    var name: String
    /// The parameter record.
    var parameters: Data
    /// What its state begins with.
    var state: Data
  }

  enum Descriptor: Int32 {
    case control = 3
    case plan, memory
    /// In the order of ``Topology/Relay/listeners``; the code of the extensions follows.
    case firstSocket
  }
}
