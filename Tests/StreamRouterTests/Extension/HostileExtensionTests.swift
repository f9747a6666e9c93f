import Foundation
import Testing
import Topology

@testable import StreamRouter

/// Extensions that would do harm: each is refused with a message that its author understands, or contained.
@Suite(.enabled(if: ExtensionWorkbench.obstacle == nil, "\(ExtensionWorkbench.obstacle ?? "")"))
struct HostileExtensionTests {
  struct Hostile: Sendable, CustomTestStringConvertible {
    var name: String
    var members: String
    /// All of what the author reads.
    var message: String
    var testDescription: String { name }

    init(_ name: String, _ body: String, before: String = "", message: String) {
      self.name = name
      members =
        before
        + "\nfunc relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {\n\(body)\n}"
      self.message = message
    }
  }

  // MARK: Refused when they are built

  private static let refusedByBuilder: [Hostile] = [
    Hostile(
      "UnsafeRead", "UnsafePointer<UInt8>(bitPattern: 4096)?.pointee == 1 ? .forward : .drop",
      message: "expression uses unsafe constructs but is not marked with 'unsafe'"),
    Hostile(
      "HugeStack",
      """
      var cells: InlineArray<80, UInt64> = .init(repeating: 0)
      for i in 0..<80 { cells[i] = packet.uint64(at: i) ?? 0 }
      return cells[Int((packet[0] ?? 0) & 63)] == 7 ? .drop : .forward
      """,
      message:
        "its local variables need more than the 512 bytes of stack that a kernel gives; keep large values in State"
    ),
    Hostile(
      "Recursion", "fibonacci(packet.length) > 7 ? .drop : .forward",
      before: "func fibonacci(_ n: Int) -> Int { n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2) }",
      message:
        "Recursion.swift:4: a function that calls itself cannot run in a kernel: Recursion.fibonacci; write a loop with a fixed bound instead"
    ),
    Hostile(
      "ForbiddenHelper",
      """
      typealias Helper = @convention(c) (UInt32) -> UInt64
      let helper = unsafe unsafeBitCast(0x8, to: Helper.self)
      return unsafe helper(0) == 7 ? .drop : .forward
      """, message: "calls helper 8 of the kernel, which extensions may not"),
    Hostile(
      "KernelFunction", "Self.redirect(7) == 7 ? .drop : .forward",
      before: "@_silgen_name(\"bpf_redirect\") static func redirect(_ interface: UInt32) -> Int32",
      message:
        "KernelFunction.swift:4:16: calls what no extension can: bpf_redirect; use what module RelayExtension offers"
    ),
    Hostile(
      "OversizeState", ".forward",
      before:
        "struct State: RelayState { var cells: InlineArray<70000, UInt8> = .init(repeating: 0) }",
      message: "OversizeState.swift:4:1: error: State takes 70000 bytes; 65536 is the most"),
    Hostile(
      "TakesMemory",
      """
      var bytes: [UInt8] = []
      for i in 0..<packet.length { bytes.append(packet[i] ?? 0) }
      return bytes.count > 7 ? .forward : .drop
      """,
      message:
        "TakesMemory.swift:7:36: takes memory while it runs, which no kernel program can; arrays, strings, dictionaries and classes do: use integers, structs and InlineArray"
    ),
    Hostile(
      "GlobalVariable",
      "unsafe Self.count &+= packet.length\nreturn unsafe Self.count & 3 == 0 ? .forward : .drop",
      before: "nonisolated(unsafe) static var count = 3",
      message: "has global variables, which all relays would share: keep them in State"),
    Hostile(
      "FloatingPoint", "Double(packet.length) * 0.3 > 7 ? .forward : .drop",
      message: "floating point cannot run in a kernel; scale integers instead: thousandths, or nanoseconds"),
  ]

  /// Not hostile but mistaken: what a first extension may get wrong, told with its place.
  private static let mistaken: [Hostile] = [
    Hostile(
      "NoDefault", ".forward", before: "var first: UInt8 = 1\nvar rate: UInt32",
      message:
        "NoDefault.swift:5:5: error: property rate has no default; give it one, such as 'var rate: UInt32 = 0'"),
    Hostile(
      "StateNoDefault", ".forward", before: "struct State: RelayState { var a = false; var b: Bool }",
      message:
        "StateNoDefault.swift:4:47: error: property b has no default; give it one, such as 'var b: Bool = false'"
    ),
    Hostile(
      "WrongType", ".forward", before: "var rate: Double = 1.5",
      message:
        "WrongType.swift:4:1: error: property rate has type Double; parameters are integers of a fixed width and Bool"
    ),
  ]

  @Test(arguments: refusedByBuilder + mistaken) func builderRefuses(_ hostile: Hostile) async throws {
    let error = await #expect(throws: ExtensionError.self) {
      _ = try await ExtensionWorkbench.shared.build(hostile.name, hostile.members)
    }
    #expect("\(String(describing: error))".contains(hostile.message))
  }

  // MARK: Refused by the verifier

  private static let refusedByVerifier: [Hostile] = [
    Hostile(
      "EndlessLoop",
      """
      var sum: UInt64 = 0
      while packet.length >= 0 { sum &+= context.arrivalNs }
      return sum == 0 ? .drop : .forward
      """, message: "a loop has no bound that the kernel can see; count up to a constant"),
    Hostile(
      "NullPointer",
      """
      let pointer = unsafe UnsafePointer<UInt8>(bitPattern: packet.length)
      return unsafe pointer!.pointee == 1 ? .forward : .drop
      """,
      message: "it reads or writes memory that is not its own (near NullPointer.swift:7)"),
    Hostile(
      "UncheckedIndex",
      "return unsafe context.state.cells.span[unchecked: Int(packet[12] ?? 0)] == 1 ? .forward : .drop",
      before: "struct State: RelayState { var cells: InlineArray<16, UInt8> = .init(repeating: 7) }",
      message: "it reads or writes outside its state; check the index first"),
  ]

  @Test(
    .enabled(if: ExtensionWorkbench.kernelObstacle == nil, "\(ExtensionWorkbench.kernelObstacle ?? "")"),
    arguments: refusedByVerifier)
  func verifierRefuses(_ hostile: Hostile) async throws {
    let object = try await ExtensionWorkbench.shared.build(hostile.name, hostile.members)
    let error = #expect(throws: ExtensionError.self) { _ = try ExtensionCheck.run(object) }
    let message = error.map { "\($0)" } ?? ""
    #expect(
      message.contains("the kernel's verifier refuses extension \(object.manifest.name): \(hostile.message)"))
  }

  // MARK: Contained

  /// One extension that does each of them when a packet asks for it, so that it is built once.
  private static let contained = """
    struct State: RelayState { var cells: InlineArray<16, UInt32> = .init(repeating: 7) }
    var divisor: UInt32 = 0
    enum Counter: UInt32, RelayCounter { case survived }

    func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
      guard let what = packet[0], let index = packet[1] else { return .drop }
      switch what {
      case 1: guard context.state.cells[Int(index)] == 7 else { return .drop }
      case 2: context.state.cells[Int(index)] = 7
      case 3: guard UInt32(index) / divisor < 7 else { return .drop }
      case 4: guard index + 200 > 7 else { return .drop }
      case 5: guard Int(index) - 200 > Int.min, UInt8(Int(index) - 1) < 255 else { return .drop }
      case 6:
        let length = packet.length
        if packet.store(UInt32(7), at: length - 3 + Int(index)) { return .drop }
        if packet.store(UInt8(7), at: length + Int(index)) { return .drop }
        if packet.store(UInt16(7), at: -1 - Int(index)) { return .drop }
        if packet.store(UInt16(7), at: Int.max - Int(index)) { return .drop }
        if packet[length + Int(index)] != nil || packet.uint64(at: length - 7) != nil { return .drop }
      case 7: preconditionFailure("never meant to be")
      default: break
      }
      context.count(.survived)
      return .forward
    }
    """

  private static let vectors = """
    - name: reads and writes within the state, then beyond it
      protocol: udp
      packets:
        - {payload: 01 0f}
        - {payload: 01 10, expect: trap}
        - {payload: 01 ff, expect: trap}
        - {payload: 02 00}
        - {payload: 02 10, expect: trap}
        - {payload: 00 00}
      counters: {survived: 3}
    - name: divides by a parameter that is 0
      protocol: udp
      packets: [{payload: 03 01, expect: trap}, {payload: 00 00}]
      counters: {survived: 1}
    - name: divides by a parameter that is not
      with: {divisor: 1}
      protocol: udp
      packets: [{payload: 03 01}]
    - name: overflows, up, down and in a conversion
      protocol: udp
      packets: [{payload: 04 38, expect: trap}, {payload: 04 37}, {payload: 05 00, expect: trap}, {payload: 05 01}]
    - name: writes and reads past the packet
      protocol: udp
      packets: [{payload: 06 00 aa bb cc dd ee ff 11 22}, {payload: 06 01}]
      counters: {survived: 2}
    - name: traps
      protocol: udp
      packets: [{payload: 07 00, expect: trap}, {payload: 00 00}]
      counters: {survived: 1}

    """

  /// What traps costs the packet, in the kernel and in native code; what would lie outside the packet is not there.
  @Test func containsTraps() async throws {
    let object = try await ExtensionWorkbench.shared.build("Contained", Self.contained)
    let test = try ExtensionTest.run(object, yaml: Self.vectors)
    #expect(test.failures.map(\.description) == [])
  }
}
