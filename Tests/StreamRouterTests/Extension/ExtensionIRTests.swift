import Testing

@testable import StreamRouter

/// The rewriting of LLVM's IR on small texts, and what it is for: Swift's arithmetic in the kernel.
struct ExtensionIRTests {
  @Test func retargets() {
    let text = ExtensionIR.retarget(
      """
      target datalayout = "e-m:e"
      target triple = "riscv64-none-none-eabi"
      $weak = comdat any
      @llvm.used = appending global [1 x ptr] [ptr @f]
      define linkonce_odr hidden swiftcc signext i32 @f(i32 signext %0) #0 comdat {
        call void @llvm.trap()
        unreachable
      }
      define i32 @sr_author_relay(ptr %0) #1 {
        ret i32 1
      }
      declare void @llvm.trap() #2
      attributes #0 = { noinline cold "target-cpu"="generic-rv64" "frame-pointer"="all" nounwind }
      """, triple: "x86_64-unknown-linux-gnu")
    #expect(
      text == """
        target triple = "x86_64-unknown-linux-gnu"
        define internal swiftcc i32 @f(i32 %0) alwaysinline #0 {
          call void @sr_author_trap()
          unreachable
        }
        define i32 @sr_author_relay(ptr %0) #1 {
          ret i32 1
        }
        declare void @sr_author_trap() #2
        attributes #0 = { nounwind "no-jump-tables"="true" }
        """)
  }

  @Test func lowersForTheKernelOnly() {
    let line = "  %3 = srem i64 %1, %2, !dbg !4"
    #expect(ExtensionIR.retarget(line, triple: "x86_64-unknown-linux-gnu") == line)
    let lowered = ExtensionIR.retarget(line, triple: "bpfel")
    #expect(lowered.hasPrefix("  %3 = call i64 @sr_author_sremhidden_i64(i64 %1, i64 %2), !dbg !4\n"))
    #expect(
      lowered.contains("define internal i64 @sr_author_sremhidden_i64(i64 %a, i64 %b) alwaysinline nounwind {"))
    // A mask needs no help.
    #expect(KernelArithmetic.lower("  %1 = urem i32 %0, 16") == "  %1 = urem i32 %0, 16")
    #expect(KernelArithmetic.lower("  %1 = srem i32 %0, 16").hasPrefix("  %1 = call i32 @sr_author_srem_i32("))
  }

  @Test func lowersLargeFills() {
    let small = "  call void @llvm.memset.p0.i64(ptr align 8 %1, i8 0, i64 512, i1 false)"
    #expect(KernelArithmetic.lowerFills(small) == small)
    let large = KernelArithmetic.lowerFills(
      "  tail call void @llvm.memset.p0.i64(ptr nonnull align 4 %1, i8 255, i64 2048, i1 false), !dbg !3")
    #expect(large.hasPrefix("  call void @sr_author_fill_4(ptr %1, i64 2048, i32 4294967295), !dbg !3\n"))
    #expect(large.contains("define internal void @sr_author_fill_4(ptr %p, i64 %n, i32 %v)"))
  }

  @Test func lowersProductsAndWidening() {
    let lowered = KernelArithmetic.lower(
      """
      declare { i64, i1 } @llvm.smul.with.overflow.i64(i64, i64)
        %2 = call { i64, i1 } @llvm.smul.with.overflow.i64(i64 %0, i64 %1)
        %3 = zext i8 %4 to i64
        %5 = zext i1 %6 to i64
      """)
    #expect(
      lowered.hasPrefix(
        "  %2 = call { i64, i1 } @sr_author_smul(i64 %0, i64 %1)\n  %3 = call i64 @sr_author_zext_i8_i64(i8 %4)\n  %5 = zext i1 %6 to i64\n"
      ))
    #expect(lowered.contains("@sr_author_umul(i64 %a, i64 %b) alwaysinline"), "the signed product needs it")
    #expect(lowered.contains("declare void @llvm.assume(i1 noundef)"))
  }

  @Test func trapsBecomeVerdicts() throws {
    let text = try ExtensionIR.finish(
      """
      define i32 @sr_author_relay(ptr %0) #0 {
        tail call void @sr_author_trap() #1
        unreachable
      }
      declare void @sr_author_trap()
      declare i32 @sr_view_random()
      """.replacing("tail call", with: "call"))
    #expect(
      text == """
        define i32 @sr_author_relay(ptr %0) alwaysinline #0 {
          ret i32 3
        }
        declare i32 @sr_view_random()
        """)
  }

  @Test func refusesWhatStaysBehind() {
    let entry = "define i32 @sr_author_relay(ptr %0) {\n  ret i32 1\n}\n"
    #expect(throws: ExtensionIR.Failure.noEntry) { try ExtensionIR.finish("") }
    #expect(throws: ExtensionIR.Failure.runtime(["malloc"])) {
      try ExtensionIR.finish(entry + "declare ptr @malloc(i64)")
    }
    #expect(throws: ExtensionIR.Failure.notInlined(["$e1f"])) {
      try ExtensionIR.finish(entry + "define internal void @\"$e1f\"() {\n  ret void\n}")
    }
  }
}

/// What authors may write: each of these was refused once.
@Suite(.enabled(if: ExtensionWorkbench.obstacle == nil, "\(ExtensionWorkbench.obstacle ?? "")"))
struct AuthorsSwiftTests {
  /// Two numbers of 64 bits in the packet; products, quotients and remainders come back in it.
  private static let arithmetic = """
    func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
      guard let a = packet.uint64(at: 0), let b = packet.uint64(at: 8) else { return .drop }
      let (x, y) = (Int64(bitPattern: a), Int64(bitPattern: b))
      let product = x.multipliedReportingOverflow(by: y)
      let unsigned = a.multipliedReportingOverflow(by: b)
      let quotient = x.dividedReportingOverflow(by: y)
      let rest = x.remainderReportingOverflow(dividingBy: y)
      put(UInt64(bitPattern: product.partialValue), 16, &packet)
      put(unsigned.partialValue, 24, &packet)
      put(UInt64(bitPattern: quotient.partialValue), 32, &packet)
      put(UInt64(bitPattern: rest.partialValue), 40, &packet)
      packet.store(UInt8(product.overflow ? 1 : 0), at: 48)
      packet.store(UInt8(unsigned.overflow ? 1 : 0), at: 49)
      let (m, n) = (Int32(truncatingIfNeeded: x), Int32(truncatingIfNeeded: y))
      packet.store(UInt32(bitPattern: m.dividedReportingOverflow(by: n).partialValue), at: 50)
      return .forward
    }

    func put(_ value: UInt64, _ at: Int, _ packet: inout Packet) {
      packet.store(UInt32(value >> 32), at: at)
      packet.store(UInt32(truncatingIfNeeded: value), at: at + 4)
    }
    """

  @Test func arithmeticAgrees() async throws {
    let object = try await ExtensionWorkbench.shared.build("Arithmetic", Self.arithmetic)
    let edges: [Int64] = [
      0, 1, -1, 2, 3, -7, 10, 1000, 1 << 31, -1 << 31, 1 << 32, (1 << 32) - 1, 3_037_000_499, 3_037_000_500,
      .max,
      .min, .max - 1, .min + 1, 0x1234_5678_9abc_def0,
    ]
    var packets: [String] = []
    for x in edges {
      for y in edges + (0..<4).map({ _ in Int64.random(in: .min ... .max) >> Int64.random(in: 0..<64) }) {
        let (a, b) = (UInt64(bitPattern: x), UInt64(bitPattern: y))
        let product = x.multipliedReportingOverflow(by: y)
        let unsigned = a.multipliedReportingOverflow(by: b)
        let (m, n) = (Int32(truncatingIfNeeded: x), Int32(truncatingIfNeeded: y))
        let input = UDPFrame.big(a) + UDPFrame.big(b)
        var output = input + UDPFrame.big(product.partialValue) + UDPFrame.big(unsigned.partialValue)
        output += UDPFrame.big(x.dividedReportingOverflow(by: y).partialValue)
        output += UDPFrame.big(x.remainderReportingOverflow(dividingBy: y).partialValue)
        output += [product.overflow ? 1 : 0, unsigned.overflow ? 1 : 0]
        output += UDPFrame.big(m.dividedReportingOverflow(by: n).partialValue)
        packets.append("    - {payload: \(hex(input)), filler: 38, expect: {payload: \(hex(output))}}")
      }
    }
    let test = try ExtensionTest.run(
      object, yaml: "- name: arithmetic\n  protocol: udp\n  packets:\n" + packets.joined(separator: "\n") + "\n"
    )
    #expect(test.failures.prefix(5).map(\.description) == [])
    #expect(test.packets == edges.count * (edges.count + 4))
  }

  private func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String(UInt16($0) | 0x100, radix: 16).dropFirst() }.joined()
  }

  /// Nested enums, generics, closures, InlineArrays of structs, tables, switches of any size, optionals in the state.
  private static let language = """
    enum Kind: UInt8 {
      case a, b, c
      init(_ byte: UInt8) { self = byte & 3 == 0 ? .a : byte & 3 == 1 ? .b : .c }
      var weight: Int { switch self { case .a: 10; case .b: 200; case .c: 3 } }
    }
    enum Wish { case none, short(UInt16), pair(UInt8, UInt32) }
    struct Ring<Value: FixedWidthInteger & BitwiseCopyable>: BitwiseCopyable {
      var cells: InlineArray<8, Value> = .init(repeating: 0)
      var next = 0
      mutating func push(_ value: Value) -> Value {
        defer { next = (next + 1) % 8 }
        let former = cells[next]
        cells[next] = value
        return former
      }
    }
    struct State: RelayState {
      var large: InlineArray<2048, UInt32> = .init(repeating: 0)
      var recent: InlineArray<10, UInt16> = .init(repeating: 0)
      var round = 0
      var ring = Ring<UInt16>()
      var last: UInt64? = nil
      var pair: (UInt32, Bool) = (0, false)
    }
    static let table: InlineArray<8, UInt32> = [8000, 90000, 48000, 44100, 1, 2, 3, 4]
    static var histogram: StaticString { "length_bytes" }

    func rate(_ type: UInt8) -> UInt32 {
      switch type {
      case 0: 8000; case 1: 90; case 2: 17; case 3: 16000; case 4: 22050; case 5: 11025; case 6: 44100; case 7: 4
      case 8: 99; default: 90000
      }
    }
    func wish(_ packet: Packet) -> Wish {
      guard let first = packet[0] else { return .none }
      if first > 5, let short = packet.uint16(at: 2) { return .short(short) }
      return packet.uint32(at: 4).map { .pair(first, $0) } ?? .none
    }
    func any(_ count: Int, _ body: (Int) -> Bool) -> Bool {
      for i in 0..<count where body(i) { return true }
      return false
    }

    func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
      context.record(UInt64(packet.length))
      context.record(UInt64(abs(-packet.length)))
      let former = context.state.ring.push(UInt16(truncatingIfNeeded: packet.length))
      context.state.pair.0 += 1
      if packet.length > 1000 { context.state = State() }
      context.state.large[Int(packet.uint16(at: 2) ?? 0) % 2048] += 1
      context.state.round += 1
      context.state.recent[context.state.round % 10] = context.state.recent[(context.state.round + 9) % 10] &+ 1
      if let last = context.state.last, context.arrivalNs > last { context.state.pair.1.toggle() }
      context.state.last = context.arrivalNs
      let view = packet
      let found = any(8) { view[$0] == 0x47 }
      guard let first = packet[0] else { return .drop }
      let weight = Kind(first).weight + Int(rate(first)) + Int(Self.table[Int(first & 7)])
      packet.store(UInt32(truncatingIfNeeded: weight), at: 8)
      packet.store(former, at: 12)
      packet.store(UInt8(found ? 1 : 0), at: 14)
      switch wish(packet) {
      case .none: return .drop
      case .short(let value): packet.store(value, at: 16)
      case .pair(let one, let other): packet.store(UInt32(one) &+ other, at: 16)
      }
      return .forward
    }
    """

  @Test func languageAgrees() async throws {
    let object = try await ExtensionWorkbench.shared.build("Language", Self.language)
    // The engines are compared with each other; the values that follow, with what Swift says.
    let test = try ExtensionTest.run(
      object,
      yaml: """
        - name: language
          protocol: udp
          packets:
            - payload: 00 01 02 03 00 00 00 05
              filler: 12
              # 10 + 8000 + 8000, no former length, nothing found, 0 + 5
              expect: {bytes: {8: 00 00 3e 8a 00 00 00 00, 16: 00 00 00 05}}
            - payload: 09 47 02 03 00 00 00 05
              filler: 12
              # 200 + 90000 + 90000, a byte 0x47, the short 0x0203
              expect: {bytes: {8: 00 02 bf e8 00 00 01 00, 16: 02 03}}
            - payload: 00 01 02 03 00 00 00 05
              filler: 1000
              # the state is cleared, and goes on from there
              expect: {bytes: {8: 00 00 3e 8a 00 00 00 00, 16: 00 00 00 05}}
          histogram: {values: 6, sum: 2096}

        """)
    #expect(test.failures.map(\.description) == [])
    if ExtensionWorkbench.kernelObstacle == nil {
      #expect(try ExtensionCheck.run(object).verified < 50_000)
    }
  }
}
