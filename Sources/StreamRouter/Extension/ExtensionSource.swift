import Topology

/// Finds the built extension that a relay uses.
public typealias ExtensionSource = @Sendable (RelayExtensionUse) throws -> ExtensionObject

/// For nodes without extensions.
public let noExtensions: ExtensionSource = { use in
  throw ExtensionError.unreadable(
    file: use.name, reason: "no extensions are installed here",
    remedy: "give the node a library of built extensions")
}
