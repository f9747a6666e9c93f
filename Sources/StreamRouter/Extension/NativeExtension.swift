import CStreamRouter
import Foundation

/// The native code of an extension, loaded into this process: for tests, which trust what they run. The engines of
/// user level run it in a process of its own.
final class NativeExtension {
  private let library: UnsafeMutableRawPointer
  private let function: sr_extension_function
  private let object: ExtensionObject
  private let parameters: UnsafeMutableRawBufferPointer
  private let state: UnsafeMutableRawBufferPointer
  private(set) var account = sr_extension_account()

  /// - Throws: ``ExtensionError/unreadable(file:reason:remedy:)`` where it was built for another machine.
  init(_ object: ExtensionObject) throws(ExtensionError) {
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
    defer { close(descriptor) }
    guard let library = dlopen("/proc/self/fd/\(descriptor)", RTLD_NOW | RTLD_LOCAL),
      let symbol = dlsym(library, "sr_extension")
    else {
      throw .unreadable(
        file: object.manifest.name, reason: "has native code that does not load: \(String(cString: dlerror()))",
        remedy: "build it anew")
    }
    self.library = library
    function = unsafeBitCast(symbol, to: sr_extension_function.self)
    self.object = object
    func record(_ bytes: Int) -> UnsafeMutableRawBufferPointer {
      .allocate(byteCount: max(8, (bytes + 7) / 8 * 8), alignment: 16)
    }
    parameters = record(object.manifest.parameterBytes)
    state = record(object.manifest.stateBytes)
  }

  deinit {
    dlclose(library)
    parameters.deallocate()
    state.deallocate()
  }

  /// Parameters, a first state, an empty account.
  func begin(parameters bytes: [UInt8]) {
    for (record, bytes) in [(parameters, bytes), (state, object.initialState)] {
      record.initializeMemory(as: UInt8.self, repeating: 0)
      record.copyBytes(from: bytes)
    }
    account = sr_extension_account()
  }

  /// Runs on one datagram and changes it. The IP header is given as far as it is known.
  func run(_ datagram: inout [UInt8], ip: [UInt8], _ call: inout sr_call) -> sr_verdict {
    // An empty array may have no address.
    datagram.append(0)
    defer { datagram.removeLast() }
    return datagram.withUnsafeMutableBytes { bytes in
      var view = sr_datagram()
      view.payload = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      withUnsafeMutableBytes(of: &view.ip) { $0.copyBytes(from: ip.prefix(40)) }
      return sr_verdict(
        UInt32(bitPattern: function(&view, &call, parameters.baseAddress, state.baseAddress, &account)))
    }
  }
}
