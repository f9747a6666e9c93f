import CStreamRouter
import Foundation
import Topology

/// What extensions can ask for beyond their packet's bytes, and which engine has it here: in `sandbox` the kernel
/// module, in `process` and `upcall` the code around the extension: as far as it needs nothing but the packet, and in
/// `upcall` the ring by which extensions have datagrams leave.
enum PacketFunctions {
  /// Bits of `sr_packet_function`: what the module has.
  static let all = ExtensionManifest.Function.allCases.reduce(UInt32(0)) { $0 | $1.bit }

  private static let module = SandboxDatapath.decoded(functionsObjectBase64)

  /// The object to link into the datapath of engine `sandbox`.
  ///
  /// - Parameter demands: false where no packets are relayed: nothing is refused then.
  /// - Returns: nil where none of these extensions asks for a function, or all that do merely like them and there are
  ///   none: `missing` then says why.
  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` where one needs a function that is not here.
  static func link(for manifests: [ExtensionManifest], demands: Bool) throws -> (
    functions: Data?, missing: EngineError?
  ) {
    guard manifests.contains(where: { !($0.needs + $0.likes).isEmpty }) else { return (nil, nil) }
    do {
      try ModuleDevice(for: .sandbox).demandFunctions()
      return (module, nil)
    } catch {
      if demands, let manifest = manifests.first(where: { !$0.needs.isEmpty }) {
        throw Self.refusal(of: manifest, manifest.needs, engine: .sandbox, because: error)
      }
      return (nil, error)
    }
  }

  /// Why these extensions would not find in engine `sandbox` here all that they need or like; nil where they would.
  static func obstacle(to manifests: [ExtensionManifest]) -> String? {
    do {
      return try link(for: manifests, demands: true).missing.map { "\($0)" }
    } catch {
      return "\(error)"
    }
  }

  /// For engine `sandbox`.
  ///
  /// - Parameter orNatively: Whether engine `process` may run it instead.
  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` where the extension needs a function that is not here.
  static func demand(_ manifest: ExtensionManifest, orNatively: Bool) throws {
    do { _ = try link(for: [manifest], demands: true) } catch {
      guard orNatively, (try? demandNative(manifest, engine: .process)) != nil else { throw error }
    }
  }

  /// For the engines of user level.
  ///
  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` where the extension needs a function that they lack.
  static func demandNative(_ manifest: ExtensionManifest, engine: EngineChoice) throws(EngineError) {
    let offered = engine == .upcall ? SR_FUNCTIONS_UPCALL : SR_FUNCTIONS_NATIVE
    let missing = manifest.needs.filter { offered.rawValue & $0.bit == 0 }
    guard missing.isEmpty else { throw refusal(of: manifest, missing, engine: engine, because: nil) }
  }

  private static func refusal(
    of manifest: ExtensionManifest, _ missing: [ExtensionManifest.Function], engine: EngineChoice,
    because error: EngineError?
  ) -> EngineError {
    let what = missing.map(\.rawValue).joined(separator: ", ")
    let reason = "extension \(manifest.name) needs what this node does not offer (\(what))"
    if case .unsupported(_, let why, let remedy) = error {
      return .unsupported(engine: engine, reason: "\(reason): \(why)", remedy: remedy)
    }
    return .unsupported(
      engine: engine, reason: reason + (error.map { ": \($0)" } ?? ""),
      remedy: "run it in engine sandbox, on a node with the kernel module")
  }
}

extension ExtensionManifest.Function {
  /// Of `sr_packet_function`.
  var bit: UInt32 {
    switch self {
    case .hold: SR_FUNCTION_HOLD.rawValue
    case .emit: SR_FUNCTION_EMIT.rawValue
    case .parity: SR_FUNCTION_PARITY.rawValue
    case .hash: SR_FUNCTION_HASH.rawValue
    }
  }
}
