import CStreamRouter
import Foundation
import Topology

/// The native code of a relay's extensions, loaded into this process and run by the very function that the workers
/// of engine `process` run (`sr_chain_run`): for tests, which trust what they run. The engines of user level run it
/// in a process of its own.
final class NativeChain {
  private var libraries: [UnsafeMutableRawPointer] = []
  /// Open as long as their libraries: the loader takes two files of one name for the same one.
  private var descriptors: [Int32] = []
  private var records: [UnsafeMutableRawBufferPointer] = []
  private let shared: UnsafeMutablePointer<sr_worker_shared>
  private let chain: UnsafeMutablePointer<sr_chain>

  /// - Parameters:
  ///   - extensions: In their order, at most `SR_MAX_EXTENSIONS`, each with the record of its parameters.
  ///   - relay: Whose packets they see.
  ///   - functions: Bits of `sr_packet_function`: what they find beside what is there in every engine.
  /// - Throws: ``ExtensionError/unreadable(file:reason:remedy:)`` where one was built for another machine.
  init(_ extensions: [(object: ExtensionObject, parameters: [UInt8])], relay: Relay, functions: UInt32 = 0)
    throws(ExtensionError)
  {
    precondition(extensions.count <= Int(SR_MAX_EXTENSIONS.rawValue), "a relay has room for four extensions")
    shared = .allocate(capacity: 1)
    shared.initialize(to: sr_worker_shared())
    chain = .allocate(capacity: 1)
    chain.initialize(to: sr_chain(relay))
    chain.pointee.shared = shared
    chain.pointee.functions = functions
    for (object, parameters) in extensions {
      var link = sr_link()
      link.run = try load(object)
      link.parameters = UnsafeRawPointer(record(parameters, object.manifest.parameterBytes))
      link.state = record(object.initialState, object.manifest.stateBytes)
      withUnsafeMutableBytes(of: &chain.pointee.link) {
        $0.bindMemory(to: sr_link.self)[Int(chain.pointee.count)] = link
      }
      chain.pointee.count += 1
    }
  }

  deinit {
    for library in libraries { dlclose(library) }
    for descriptor in descriptors { close(descriptor) }
    for record in records { record.deallocate() }
    chain.deallocate()
    shared.deallocate()
  }

  /// What the extension at a place of the chain has accounted for.
  func account(_ place: Int) -> sr_extension_account {
    withUnsafeBytes(of: shared.pointee.extension) { $0.bindMemory(to: sr_extension_account.self)[place] }
  }

  /// Runs all on one datagram and changes it.
  /// - Parameter message: Where it came from, and when.
  func run(_ datagram: inout [UInt8], _ message: sr_received, companion: Bool) -> sr_chain_outcome {
    let length = UInt32(datagram.count)
    // An empty array may have no address.
    datagram.append(0)
    defer { datagram.removeLast() }
    var message = message
    return datagram.withUnsafeMutableBufferPointer {
      sr_chain_run(chain, $0.baseAddress, length, &message, message.arrival_ns, companion ? 1 : 0)
    }
  }

  private func load(_ object: ExtensionObject) throws(ExtensionError) -> sr_extension_function {
    guard object.nativeMachine == ExtensionObject.machine else {
      throw .unreadable(
        file: object.manifest.name,
        reason: "has native code for \(object.nativeMachine), this is \(ExtensionObject.machine)",
        remedy: "build it anew on this machine")
    }
    // The loader knows files only.
    let descriptor = sr_memory_make(object.manifest.name, object.native, object.native.count)
    guard descriptor >= 0 else {
      throw .internalFailure(
        step: "unpacking the native code of \(object.manifest.name)", detail: "errno \(-descriptor)")
    }
    descriptors.append(descriptor)
    guard let library = dlopen("/proc/self/fd/\(descriptor)", RTLD_NOW | RTLD_LOCAL) else {
      throw .unreadable(
        file: object.manifest.name, reason: "has native code that does not load: \(String(cString: dlerror()))",
        remedy: "build it anew")
    }
    libraries.append(library)
    guard let symbol = dlsym(library, "sr_extension") else {
      throw .unreadable(
        file: object.manifest.name, reason: "has native code that lacks sr_extension", remedy: "build it anew")
    }
    return unsafeBitCast(symbol, to: sr_extension_function.self)
  }

  private func record(_ bytes: [UInt8], _ count: Int) -> UnsafeMutableRawPointer? {
    let record = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(8, (max(count, bytes.count) + 7) / 8 * 8), alignment: 64)
    record.initializeMemory(as: UInt8.self, repeating: 0)
    record.copyBytes(from: bytes)
    records.append(record)
    return record.baseAddress
  }
}

extension sr_chain {
  /// No extension yet; what all of them are told of their relay.
  init(_ relay: Relay) {
    self.init()
    ingress = relay.ingress.address.words
    hop = UInt16(truncatingIfNeeded: relay.hop)
    is_rtp = relay.transport == .rtp ? 1 : 0
    is_ipv6 = relay.ingress.address.family == .ipv4 ? 0 : 1
    sink_count = UInt8(relay.sinks.count)
    dscp = relay.dscp ?? UInt8(SR_DSCP_KEEP)
  }
}
