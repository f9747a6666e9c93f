/// An extension that would do harm, and what its author reads where it is refused.
public struct HostileExtension: Sendable, CustomStringConvertible {
  /// Of the type.
  public var name: String
  /// Of the type, `relay` among them.
  public var members: String
  /// All of what the author reads.
  public var message: String
  public var description: String { name }

  init(_ name: String, _ body: String, before: String = "", message: String) {
    self.name = name
    members =
      before
      + "\nfunc relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {\n\(body)\n}"
    self.message = message
  }

  /// Refused when they are built.
  public static let refusedByBuilder: [HostileExtension] = [
    HostileExtension(
      "UnsafeRead", "UnsafePointer<UInt8>(bitPattern: 4096)?.pointee == 1 ? .forward : .drop",
      message: "expression uses unsafe constructs but is not marked with 'unsafe'"),
    HostileExtension(
      "HugeStack",
      """
      var cells: InlineArray<80, UInt64> = .init(repeating: 0)
      for i in 0..<80 { cells[i] = packet.uint64(at: i) ?? 0 }
      return cells[Int((packet[0] ?? 0) & 63)] == 7 ? .drop : .forward
      """,
      message:
        "its local variables need more than the 512 bytes of stack that a kernel gives; keep large values in State"
    ),
    HostileExtension(
      "Recursion", "fibonacci(packet.length) > 7 ? .drop : .forward",
      before: "func fibonacci(_ n: Int) -> Int { n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2) }",
      message:
        "Recursion.swift:4: a function that calls itself cannot run in a kernel: Recursion.fibonacci; write a loop with a fixed bound instead"
    ),
    HostileExtension(
      "ForbiddenHelper",
      """
      typealias Helper = @convention(c) (UInt32) -> UInt64
      let helper = unsafe unsafeBitCast(0x8, to: Helper.self)
      return unsafe helper(0) == 7 ? .drop : .forward
      """, message: "calls helper 8 of the kernel, which extensions may not"),
    HostileExtension(
      "KernelFunction", "Self.redirect(7) == 7 ? .drop : .forward",
      before: "@_silgen_name(\"bpf_redirect\") static func redirect(_ interface: UInt32) -> Int32",
      message:
        "KernelFunction.swift:4:16: calls what no extension can: bpf_redirect; use what module RelayExtension offers"
    ),
    HostileExtension(
      "OversizeState", ".forward",
      before:
        "struct State: RelayState { var cells: InlineArray<70000, UInt8> = .init(repeating: 0) }",
      message: "OversizeState.swift:4:1: error: State takes 70000 bytes; 65536 is the most"),
    HostileExtension(
      "TakesMemory",
      """
      var bytes: [UInt8] = []
      for i in 0..<packet.length { bytes.append(packet[i] ?? 0) }
      return bytes.count > 7 ? .forward : .drop
      """,
      message:
        "TakesMemory.swift:7:36: takes memory while it runs, which no kernel program can; arrays, strings, dictionaries and classes do: use integers, structs and InlineArray"
    ),
    HostileExtension(
      "GlobalVariable",
      "unsafe Self.count &+= packet.length\nreturn unsafe Self.count & 3 == 0 ? .forward : .drop",
      before: "nonisolated(unsafe) static var count = 3",
      message: "has global variables, which all relays would share: keep them in State"),
    HostileExtension(
      "FloatingPoint", "Double(packet.length) * 0.3 > 7 ? .forward : .drop",
      message: "floating point cannot run in a kernel; scale integers instead: thousandths, or nanoseconds"),
  ]

  /// Not hostile but mistaken: what a first extension may get wrong, told with its place.
  public static let mistaken: [HostileExtension] = [
    HostileExtension(
      "NoDefault", ".forward", before: "var first: UInt8 = 1\nvar rate: UInt32",
      message:
        "NoDefault.swift:5:5: error: property rate has no default; give it one, such as 'var rate: UInt32 = 0'"),
    HostileExtension(
      "StateNoDefault", ".forward", before: "struct State: RelayState { var a = false; var b: Bool }",
      message:
        "StateNoDefault.swift:4:47: error: property b has no default; give it one, such as 'var b: Bool = false'"
    ),
    HostileExtension(
      "WrongType", ".forward", before: "var rate: Double = 1.5",
      message:
        "WrongType.swift:4:1: error: property rate has type Double; parameters are integers of a fixed width and Bool"
    ),
  ]

  /// Built, and refused by the kernel's verifier.
  public static let refusedByVerifier: [HostileExtension] = [
    HostileExtension(
      "EndlessLoop",
      """
      var sum: UInt64 = 0
      while packet.length >= 0 { sum &+= context.arrivalNs }
      return sum == 0 ? .drop : .forward
      """, message: "a loop has no bound that the kernel can see; count up to a constant"),
    HostileExtension(
      "NullPointer",
      """
      let pointer = unsafe UnsafePointer<UInt8>(bitPattern: packet.length)
      return unsafe pointer!.pointee == 1 ? .forward : .drop
      """,
      message: "it reads or writes memory that is not its own"),
    HostileExtension(
      "UncheckedIndex",
      "return unsafe context.state.cells.span[unchecked: Int(packet[12] ?? 0)] == 1 ? .forward : .drop",
      before: "struct State: RelayState { var cells: InlineArray<16, UInt8> = .init(repeating: 7) }",
      message: "it reads or writes outside its state; check the index first"),
  ]

  /// One extension that does each of them when a packet asks for it, so that it is built once.
  public static let contained = """
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
}
