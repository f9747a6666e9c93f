import CStreamRouter
import SystemPackage
import Topology

#if canImport(Glibc)
  import Glibc
#endif

/// The kernel module's device, /dev/streamrouter, after a handshake that went well. Owns the descriptor, which holds
/// the module while it is open.
final class ModuleDevice {
  /// The parts that are on: bits of `sr_module_part`.
  let parts: UInt32
  private let descriptor: Int32
  /// Who asks, for messages.
  private let engine: EngineChoice

  /// Opens the device and compares versions and sizes of structures.
  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)``.
  init(for engine: EngineChoice = .upcall) throws(EngineError) {
    self.engine = engine
    descriptor = sr_module_open()
    guard descriptor >= 0 else { throw Self.closed(errno: -descriptor, engine) }
    var own = sr_module_hello()
    sr_module_hello_fill(&own)
    var hello = own
    let result = sr_module_call(descriptor, SR_MODULE_HELLO.rawValue, &hello)
    parts = hello.parts
    guard result == 0, hello.version == own.version else {
      close(descriptor)
      throw Self.strange(own: own, module: hello, errno: -result, engine)
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` where the module was loaded without it.
  func demandUpcall() throws(EngineError) {
    guard parts & SR_PART_UPCALL.rawValue == 0 else { return }
    throw .unsupported(
      engine: .upcall, reason: "kernel module streamrouter was loaded without its part upcall",
      remedy: "have root run 'rmmod streamrouter; modprobe streamrouter upcall=1'; "
        + "where the part cannot run, the kernel's log says why")
  }

  /// - Throws: ``EngineError/unsupported(engine:reason:remedy:)`` where the module was loaded without its functions.
  func demandFunctions() throws(EngineError) {
    guard parts & SR_PART_KFUNCS.rawValue == 0 else { return }
    throw .unsupported(
      engine: engine, reason: "kernel module streamrouter was loaded without its part kfuncs",
      remedy: "have root run 'rmmod streamrouter; modprobe streamrouter'")
  }

  /// An ioctl: 0 or an errno. The argument goes in and comes out.
  func call<Argument>(_ command: sr_module_command, _ argument: inout Argument) -> Int32 {
    withUnsafeMutablePointer(to: &argument) { -sr_module_call(descriptor, command.rawValue, $0) }
  }

  /// All that there is of a list, asked again where it grew meanwhile.
  func list<Entry>(_ command: sr_module_command, of empty: Entry) throws(EngineError) -> [Entry] {
    var capacity = 64
    for _ in 0..<8 {
      var entries = [Entry](repeating: empty, count: capacity)
      var list = sr_module_list()
      let result = entries.withUnsafeMutableBytes { bytes in
        list.entries = UInt64(UInt(bitPattern: bytes.baseAddress))
        list.capacity = UInt32(capacity)
        return call(command, &list)
      }
      if result == 0 { return Array(entries.prefix(Int(list.count))) }
      guard result == ENOSPC else {
        throw .failed(
          engine: .upcall, operation: "listing", subject: "what the kernel module runs", errno: result,
          detail: "")
      }
      capacity = Int(list.count) + 64
    }
    throw .failed(
      engine: .upcall, operation: "listing", subject: "what the kernel module runs", errno: ENOSPC,
      detail: "the list grows faster than it is read")
  }

  // MARK: What is wrong

  static func closed(errno: Int32, _ engine: EngineChoice = .upcall) -> EngineError {
    switch errno {
    case ENOENT, ENXIO, ENODEV:
      return .unsupported(
        engine: engine, reason: "kernel module streamrouter is not loaded: there is no \(SR_MODULE_DEVICE)",
        remedy:
          "have root run 'modprobe streamrouter\(engine == .upcall ? " upcall=1" : "")', after kmodule/ was built and installed"
      )
    case EPERM, EACCES:
      return .unsupported(
        engine: engine, reason: "this process may not use \(SR_MODULE_DEVICE)",
        remedy: "run as root, or with CAP_SYS_ADMIN, outside of a container")
    default:
      return .failed(
        engine: engine, operation: "opening", subject: SR_MODULE_DEVICE, errno: errno, detail: "")
    }
  }

  /// The two were built from different copies of streamrouter_module.h.
  static func strange(
    own: sr_module_hello, module: sr_module_hello, errno: Int32, _ engine: EngineChoice = .upcall
  ) -> EngineError {
    let remedy = "build and load the module of this version of streamrouter"
    if own.version != module.version {
      return .unsupported(
        engine: engine,
        reason:
          "kernel module streamrouter has version \(module.version) of the interface; this streamrouter has \(own.version)",
        remedy: remedy)
    }
    let sizes = zip(own.allSizes, module.allSizes).enumerated().filter { $0.element.0 != $0.element.1 }
    guard !sizes.isEmpty else {
      return .failed(
        engine: engine, operation: "the handshake with", subject: SR_MODULE_DEVICE, errno: errno, detail: "")
    }
    let differ = sizes.map { "structure \($0.offset): \($0.element.1) bytes there, \($0.element.0) here" }
    return .unsupported(
      engine: engine,
      reason: "kernel module streamrouter lays structures out differently (\(differ.joined(separator: "; ")))",
      remedy: remedy)
  }
}

extension sr_module_hello {
  /// By `sr_module_structure`.
  var allSizes: [UInt32] {
    withUnsafeBytes(of: sizes) { Array($0.bindMemory(to: UInt32.self)) }
  }
}
