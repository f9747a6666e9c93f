import TestSupport
import Testing

@testable import StreamRouter

/// What native code of extensions is refused for before it reaches the loader.
@Suite struct NativeCodeTests {
  @Test(
    arguments: [
      ("", [], nil),
      (
        "__attribute__((constructor)) static void early(void) { ran = 1; }", [],
        "has code that would run by being loaded"
      ),
      (
        "__attribute__((destructor)) static void late(void) { ran = 1; }", [],
        "has code that would run by being loaded"
      ),
      (
        """
        static int chosen(void) { return 1; }
        static int other(void) { return 2; }
        static void *choose(void) { return ran ? chosen : other; }
        __attribute__((ifunc("choose"))) int indirect(void);
        """, [], "has code that would run by being loaded"
      ),
      (
        """
        static int chosen(void) { return 1; }
        static int other(void) { return 2; }
        static void *choose(void) { return ran ? chosen : other; }
        __attribute__((ifunc("choose"), visibility("hidden"))) int indirect(void);
        int caller(void) { return indirect(); }
        """, [], "has code that would run by being loaded"
      ),
      ("", ["-Wl,--no-as-needed", "-lc"], "needs another library"),
      ("", ["-Wl,-z,execstack"], "wants a stack that it can execute"),
      ("", ["-Wl,--omagic"], "wants memory that it can both write and execute"),
    ] as [(String, [String], String?)]) func flaws(_ more: String, _ flags: [String], _ flaw: String?)
    async throws
  {
    let object = try await TestExtension.build(
      "some", "return SR_VERDICT_FORWARD;", more: "static volatile int ran;\n" + more + "\n", flags: flags)
    #expect(NativeCode.flaw(object.native) == flaw)
  }

  /// Neither reads outside the file nor goes on without end.
  @Test func damagedFiles() async throws {
    let native = try await TestExtension.build("some", "return SR_VERDICT_FORWARD;").native
    var random = SeededRandom()
    for length in stride(from: 0, to: native.count, by: 7) { _ = NativeCode.flaw(Array(native[..<length])) }
    for _ in 0..<5_000 {
      var damaged = native
      // Where the tables stand: at the beginning, and in the dynamic section.
      for _ in 0...Int.random(in: 0..<4, using: &random) {
        let place = Int.random(in: 0..<min(native.count, 4_096), using: &random)
        damaged[place] = random.once(in: 2) ? .random(in: 0 ... .max, using: &random) : 0xff
      }
      _ = NativeCode.flaw(damaged)
    }
    #expect(NativeCode.flaw([]) == "is damaged", "seed \(random.seed)")
  }
}
