import CStreamRouter
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// Extensions in the kernel module: loaded for one relay each, known there by a number.
struct ModuleExtensions {
  /// One extension of a relay's chain.
  struct Use: Hashable {
    var number: UInt32
    /// The extension's content; what a former daemon loaded tells it too.
    var content: String
    /// nil: of a former daemon.
    var parameters: [UInt8]?
  }

  private let device: ModuleDevice

  init(_ device: ModuleDevice) { self.device = device }

  /// All that are loaded, whichever node's.
  func entries() throws(EngineError) -> [sr_extension_entry] {
    try device.list(SR_MODULE_EXTENSION_LIST, of: sr_extension_entry())
  }

  func load(_ object: ExtensionObject, parameters: [UInt8]) throws(EngineError) -> Use {
    let name = object.manifest.name
    guard !object.upcallImage.isEmpty else {
      throw .unsupported(
        engine: .upcall, reason: "extension \(name) was built without an image for engine upcall",
        remedy: "build it anew with this version's 'streamrouter extension build', on an x86-64 machine")
    }
    var load = sr_extension_load()
    load.image_bytes = UInt32(object.upcallImage.count)
    load.parameter_bytes = UInt32(parameters.count)
    load.state_bytes = UInt32(object.initialState.count)
    withUnsafeMutableBytes(of: &load.name) { $0.copyBytes(from: Array(name.utf8.prefix($0.count - 1))) }
    withUnsafeMutableBytes(of: &load.build) {
      $0.copyBytes(from: Self.build(of: object.content).prefix($0.count))
    }
    let result = object.upcallImage.withUnsafeBytes { image in
      parameters.withUnsafeBytes { parameters in
        object.initialState.withUnsafeBytes { state in
          load.image = UInt64(UInt(bitPattern: image.baseAddress))
          load.parameters = UInt64(UInt(bitPattern: parameters.baseAddress))
          load.state = state.isEmpty ? 0 : UInt64(UInt(bitPattern: state.baseAddress))
          return device.call(SR_MODULE_EXTENSION_LOAD, &load)
        }
      }
    }
    guard result == 0 else { throw Self.refused(name, errno: result, flaw: load.flaw) }
    return Use(number: load.number, content: object.content, parameters: parameters)
  }

  /// Gives other parameters to one that runs; it sees them with its next packet.
  func configure(_ number: UInt32, parameters: [UInt8]) throws(EngineError) {
    guard !parameters.isEmpty else { return }
    var query = sr_extension_query()
    query.number = number
    query.length = UInt32(parameters.count)
    let result = parameters.withUnsafeBytes { bytes in
      query.bytes = UInt64(UInt(bitPattern: bytes.baseAddress))
      return device.call(SR_MODULE_EXTENSION_PARAMETERS, &query)
    }
    guard result == 0 else {
      throw .failed(
        engine: .upcall, operation: "configuring", subject: "extension \(number) of the kernel module",
        errno: result,
        detail: "")
    }
  }

  func account(of number: UInt32) -> sr_extension_account? {
    var account = sr_extension_account()
    var query = sr_extension_query()
    query.number = number
    let result = withUnsafeMutablePointer(to: &account) { account in
      query.account = UInt64(UInt(bitPattern: account))
      return device.call(SR_MODULE_EXTENSION_READ, &query)
    }
    return result == 0 ? account : nil
  }

  /// One that a relay still names stays.
  func unload(_ uses: some Sequence<Use>) {
    for use in uses {
      var number = sr_extension_number(number: use.number, reserved: 0)
      _ = device.call(SR_MODULE_EXTENSION_UNLOAD, &number)
    }
  }

  static func refused(_ name: String, errno: Int32, flaw: UInt32) -> EngineError {
    let detail =
      switch errno {
      case ENOEXEC: "its image \(String(cString: sr_image_flaw_text(flaw))); build it anew"
      case ENOSPC:
        "all \(SR_MODULE_EXTENSIONS.rawValue) places for extensions are taken, one for each relay and extension; use fewer"
      default: ""
      }
    return .failed(
      engine: .upcall, operation: "loading", subject: "extension \(name)", errno: detail.isEmpty ? errno : 0,
      detail: detail)
  }

  /// A content, 64 hexadecimal digits, as the bytes that the module keeps.
  static func build(of content: String) -> [UInt8] {
    let digits = Array(content.utf8)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
      UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16) ?? 0
    }
  }
}

extension sr_extension_entry {
  /// The content that it was loaded with.
  var content: String { withUnsafeBytes(of: build) { Array($0).hex() } }

  /// What it is called in the kernel's log.
  var text: String { withUnsafeBytes(of: name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) } }

  /// Why it runs no more, as a sentence; nil while it runs.
  var abortion: String? {
    guard status == SR_EXTENSION_ABORTED.rawValue else { return nil }
    return "extension \(text) \(String(cString: sr_abort_cause_text(cause))) at 0x\(String(address, radix: 16))"
  }
}
