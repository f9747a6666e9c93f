import CStreamRouter
import Foundation
import Testing

@testable import StreamRouter

/// Where programs stand on a device: the chain of newer kernels, the filter of older ones, and the way from one to
/// the other.
@Suite(.enabled(if: PrivateNetwork.isPossible, "\(PrivateNetwork.obstacle ?? "")"))
struct TrafficHookTests {
  private static let network = """
    link set lo up
    link add name va type veth peer name vb
    link set vb up
    link set va up

    """

  private static func hook(usesChain: Bool) -> TrafficHook {
    TrafficHook(
      interface: Int32(if_nametoindex("va")), side: .ingress, program: "sr_relay_ingres", handle: 0x5352,
      priority: 0x5352, usesChain: usesChain)
  }

  /// The ids of all programs in the chain, ours or not.
  private static func chain() -> [UInt32]? {
    var ids = [UInt32](repeating: 0, count: Int(SR_TCX_PROGRAMS))
    let count = sr_tcx_query(UInt32(if_nametoindex("va")), SR_TCX_INGRESS, &ids)
    return count < 0 ? nil : Array(ids.prefix(Int(count)))
  }

  @Test("attach, again, another, off: in the chain and as a filter", arguments: [true, false])
  func lifecycle(usesChain: Bool) throws {
    try PrivateNetwork.run(setup: Self.network) {
      guard !usesChain || Self.chain() != nil else {
        print("skipped: this kernel has no tcx (6.6)")
        return
      }
      let hook = Self.hook(usesChain: usesChain)
      let (first, second) = (
        try SandboxDatapath(pins: nil, capacity: 1), try SandboxDatapath(pins: nil, capacity: 1)
      )
      #expect(hook.programID == nil)
      try hook.detach()

      let id = try hook.attach(program: first.programDescriptor)
      #expect(hook.programID == id)
      #expect(try hook.attach(program: first.programDescriptor) == id)
      let other = try hook.attach(program: second.programDescriptor)
      #expect(other != id)
      #expect(hook.programID == other)
      if usesChain {
        #expect(Self.chain() == [other])
      } else {
        #expect(Self.chain() ?? [] == [])
      }

      try hook.detach()
      #expect(hook.programID == nil)
    }
  }

  @Test("a filter that an older version left is taken over, another program in the chain is left alone")
  func takesOver() throws {
    try PrivateNetwork.run(setup: Self.network) {
      guard Self.chain() != nil else {
        print("skipped: this kernel has no tcx (6.6)")
        return
      }
      let foreign = try SinkProgram(device: "va")
      let before = try #require(Self.chain())
      #expect(before.count == 1)
      let (old, new) = (Self.hook(usesChain: false), Self.hook(usesChain: true))
      let datapath = try SandboxDatapath(pins: nil, capacity: 1)
      let id = try old.attach(program: datapath.programDescriptor)
      #expect(new.programID == id)

      #expect(try new.attach(program: datapath.programDescriptor) == id)
      #expect(old.programID == nil)
      #expect(Self.chain() == before + [id])
      try new.detach()
      #expect(Self.chain() == before)
      #expect(foreign.datagrams == 0)
    }
  }
}
