// swift-tools-version: 6.2
// The targets are the walls of the house: who may import whom stands here and nowhere else.

import PackageDescription

/// Every target of ours is built in Swift 6 mode with warnings as errors.
let ours: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]
let oursC: [CSetting] = [.treatAllWarnings(as: .error)]

let package = Package(
  name: "StreamRouter",
  products: [
    .executable(name: "streamrouter", targets: ["streamrouter"]),
    .library(name: "JitterStats", targets: ["JitterStats"]),
    .library(name: "RelayExtension", targets: ["RelayExtension"]),
    .library(name: "SandboxChannel", targets: ["SandboxChannel"]),
    .library(name: "Topology", targets: ["Topology"]),
    .library(name: "StreamRouter", targets: ["StreamRouter"]),
  ],
  dependencies: [
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
    .package(url: "https://github.com/apple/swift-atomics", from: "1.3.0"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
    .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
    .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
  ],
  targets: [
    // The only C target: the header shared with bpf/, and small prefixed shims.
    .target(
      name: "CStreamRouter",
      cSettings: oursC,
      linkerSettings: [.linkedLibrary("bpf"), .linkedLibrary("pcap"), .linkedLibrary("uring")]),
    // What the author of a relay extension imports. Compiled here to be checked and documented; `extension build`
    // compiles it anew, from the copy within the product, for the kernel and for this machine.
    .target(
      name: "RelayExtension", exclude: ["Frame"],
      swiftSettings: ours + [.enableExperimentalFeature("Extern"), .strictMemorySafety()]),
    // Arithmetic on arrival times and sequence numbers. Imports no other room.
    .target(
      name: "JitterStats",
      dependencies: [.product(name: "Histogram", package: "hdrhistogram-swift")],
      swiftSettings: ours),
    // Packets and events through shared memory, between two processes or with the kernel.
    .target(
      name: "SandboxChannel",
      dependencies: ["CStreamRouter", .product(name: "Atomics", package: "swift-atomics")], swiftSettings: ours),
    // One side of a channel as a process of its own, for tests and measurements of SandboxChannel.
    .executableTarget(
      name: "channelpeer",
      dependencies: ["CStreamRouter", "SandboxChannel", .product(name: "Atomics", package: "swift-atomics")],
      path: "Tests/ChannelPeer",
      swiftSettings: ours),
    // Values: decode, validate, graph, route, plan. No I/O but reading the file.
    .target(name: "Topology", dependencies: ["Yams"], swiftSettings: ours),
    // Who a node or an operator is: authority, join tokens, certificates, their check. No network.
    .target(
      name: "Identity",
      dependencies: [
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "SwiftASN1", package: "swift-asn1"),
        .product(name: "X509", package: "swift-certificates"),
      ],
      swiftSettings: ours),
    // The control API as control.proto says it: generated code and nothing else (scripts/generate-api.sh).
    .target(
      name: "ControlAPI",
      dependencies: [
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["control.proto"], swiftSettings: [.swiftLanguageMode(.v6)]),
    // What is asked of etcd, as etcd.proto says it: generated code and nothing else (scripts/generate-api.sh).
    .target(
      name: "EtcdAPI",
      dependencies: [
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["etcd.proto"], swiftSettings: [.swiftLanguageMode(.v6)]),
    // The node: engines, reconciler, control socket, telemetry; the control plane; the lab; the monitor.
    .target(
      name: "StreamRouter",
      dependencies: [
        "CStreamRouter", "ControlAPI", "EtcdAPI", "Identity", "JitterStats", "SandboxChannel", "Topology",
        "Yams",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "SwiftASN1", package: "swift-asn1"),
        .product(name: "X509", package: "swift-certificates"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: ours,
      plugins: ["BPFObjects"]),
    // The command: arguments -> library -> output.
    .executableTarget(
      name: "streamrouter",
      dependencies: [
        "Identity", "StreamRouter", "Topology",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: ours),

    // bpf/*.bpf.c -> object -> Swift source, with the clang that stands beside the Swift compiler.
    .executableTarget(name: "bpfembed", swiftSettings: ours),
    .plugin(name: "BPFObjects", capability: .buildTool(), dependencies: ["bpfembed"]),

    // What several test targets need.
    .target(
      name: "TestSupport",
      dependencies: [
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      path: "Tests/TestSupport", swiftSettings: ours),
    .testTarget(
      name: "JitterStatsTests", dependencies: ["JitterStats", "TestSupport"], exclude: ["Fixtures"],
      swiftSettings: ours),
    .testTarget(
      name: "SandboxChannelTests",
      dependencies: ["CStreamRouter", "SandboxChannel", "TestSupport", "channelpeer"], exclude: ["Model"],
      swiftSettings: ours),
    .testTarget(
      name: "TopologyTests", dependencies: ["Topology", "TestSupport"], exclude: ["Fixtures"],
      swiftSettings: ours),
    .testTarget(
      name: "IdentityTests",
      dependencies: [
        "Identity", "TestSupport", "Topology",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(name: "SwiftASN1", package: "swift-asn1"),
        .product(name: "X509", package: "swift-certificates"),
      ],
      swiftSettings: ours),
    .testTarget(
      name: "StreamRouterTests",
      dependencies: [
        "StreamRouter", "CStreamRouter", "ControlAPI", "Identity", "JitterStats", "TestSupport", "Topology",
        "streamrouter",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "X509", package: "swift-certificates"),
      ],
      exclude: ["Fixtures"],
      swiftSettings: ours),
    // Real connections and real members of etcd: they wait for each other, so they run one after the other.
    .testTarget(
      name: "ControlTests",
      dependencies: [
        "ControlAPI", "Identity", "StreamRouter", "TestSupport", "Topology", "streamrouter",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "X509", package: "swift-certificates"),
      ],
      swiftSettings: ours),
    .testTarget(
      name: "SystemTests",
      dependencies: [
        "StreamRouter", "CStreamRouter", "TestSupport", "Topology", "streamrouter",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: ours),
  ]
)

// SR_TESTS=ROOM,...: only these rooms' tests, for who runs no others and waits for them (Tests/VM/run.sh).
if let wanted = Context.environment["SR_TESTS"]?.split(separator: ",").map(String.init) {
  let rooms = package.targets.filter { $0.type == .test }.map(\.name)
  precondition(
    !wanted.isEmpty && Set(wanted).isSubset(of: rooms),
    "SR_TESTS names rooms that have no tests; there are \(rooms)")
  package.targets.removeAll { $0.type == .test && !wanted.contains($0.name) }
}
