import CStreamRouter
import Foundation
import Testing
import Topology

@testable import StreamRouter

/// What engine upcall says where it cannot run, and what it asks of the kernel module.
@Suite struct ModuleDeviceTests {
  @Test(arguments: [
    (ENOENT, "kernel module streamrouter is not loaded", "modprobe streamrouter upcall=1"),
    (EPERM, "may not use /dev/streamrouter", "run as root"),
    (EACCES, "may not use /dev/streamrouter", "CAP_SYS_ADMIN"),
  ])
  func noDevice(errno: Int32, reason: String, remedy: String) throws {
    guard case .unsupported(.upcall, let why, let what) = ModuleDevice.closed(errno: errno) else {
      Issue.record("errno \(errno) is no reason to retry")
      return
    }
    #expect(why.contains(reason))
    #expect(what.contains(remedy))
  }

  @Test func otherVersion() {
    var own = sr_module_hello()
    sr_module_hello_fill(&own)
    var module = own
    module.version += 1
    let text = ModuleDevice.strange(own: own, module: module, errno: EPROTO).description
    #expect(
      text.contains("has version \(own.version + 1) of the interface; this streamrouter has \(own.version)"))
  }

  @Test func otherSizes() {
    var own = sr_module_hello()
    sr_module_hello_fill(&own)
    #expect(own.allSizes.prefix(Int(SR_STRUCTURE_COUNT.rawValue)).allSatisfy { $0 > 0 })
    var module = own
    withUnsafeMutableBytes(of: &module.sizes) { $0.bindMemory(to: UInt32.self)[3] += 8 }
    let text = ModuleDevice.strange(own: own, module: module, errno: EPROTO).description
    #expect(text.contains("structure 3: \(own.allSizes[3] + 8) bytes there, \(own.allSizes[3]) here"))
  }

  @Test func textsOfTheContract() {
    #expect(
      String(cString: sr_image_flaw_text(SR_IMAGE_FLAW_WRITABLE_CODE.rawValue))
        == "has code that can be written")
    #expect(String(cString: sr_abort_cause_text(SR_ABORT_TIME.rawValue)) == "did not come to an end")
    #expect(String(cString: sr_image_flaw_text(0)).isEmpty)
    #expect(String(cString: sr_abort_cause_text(SR_ABORT_CAUSE_COUNT.rawValue)).isEmpty)
  }

  /// An index leaves room for all relays below the owner's mark.
  @Test func owners() {
    let (one, other) = (UpcallEngine.mark(of: "/pins/a/edge"), UpcallEngine.mark(of: "/pins/a/camera"))
    #expect(one != other)
    #expect(one & 0xffff == 0)
    #expect(one == UpcallEngine.mark(of: "/pins/a/edge"))
  }

  @Test func contentAsBytes() {
    let content = String(repeating: "0f", count: 31) + "a5"
    #expect(ModuleExtensions.build(of: content) == [UInt8](repeating: 15, count: 31) + [0xa5])
    var entry = sr_extension_entry()
    withUnsafeMutableBytes(of: &entry.build) { $0.copyBytes(from: ModuleExtensions.build(of: content)) }
    #expect(entry.content == content)
  }

  @Test func abortedByItsOwnName() {
    var entry = sr_extension_entry()
    withUnsafeMutableBytes(of: &entry.name) { $0.copyBytes(from: Array("police".utf8)) }
    entry.status = SR_EXTENSION_RUNNING.rawValue
    #expect(entry.abortion == nil)
    entry.status = SR_EXTENSION_ABORTED.rawValue
    entry.cause = SR_ABORT_DIVISION.rawValue
    entry.address = 0x1a
    #expect(entry.abortion == "extension police divided by zero at 0x1a")
  }
}
