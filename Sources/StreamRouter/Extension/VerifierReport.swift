/// What the kernel's verifier says of an extension that it refuses, in words for the author.
struct VerifierReport {
  /// The extension that the verifier was at; nil where it was at the datapath itself.
  let name: String
  /// One sentence, with the author's file and line where the log names them.
  let reason: String
  let log: String

  /// nil: the log does not end in one of these extensions.
  init?(log: String, _ placements: [ExtensionPlacement]) {
    let lines = log.split(separator: "\n").map(String.init)
    // Each global function is looked at by itself: "Validating sr_extension_03() func#12...".
    let function = lines.last { $0.contains("Validating sr_") || $0.contains("Func#") }
    let found = placements.first {
      function?.contains(ExtensionTables.mapName("sr_extension", slot: $0.slot) + "()") == true
    }
    // Of a long log only the end is kept, and that line may be lost.
    let suspects = placements.filter { !$0.isProven }
    guard let placement = found ?? (suspects.count == 1 ? suspects.first : nil) else { return nil }
    name = placement.object.manifest.name
    self.log = log
    // "; source text @ File.swift:12" stands before the instructions of a line.
    let place = lines.last { $0.hasPrefix("; ") && $0.contains(".swift:") }
      .flatMap { $0.split(separator: "@").last }.map { " (near\($0))" }
    let tail = lines.suffix(30).joined(separator: "\n")
    let words = Self.words.first { tail.contains($0.key) }?.value
    let told = lines.last { line in
      !["processed ", "libbpf:", "--", "; ", "verification time", "stack depth"].contains { line.hasPrefix($0) }
    }
    reason = (words ?? told ?? "it gives no reason") + (place ?? "")
  }

  var error: ExtensionError { .refused(name: name, reason: reason, log: log) }

  private static let words: KeyValuePairs = [
    "infinite loop detected": "a loop has no bound that the kernel can see; count up to a constant",
    "BPF program is too large": "it is too long, or a loop runs too often; shorten it",
    "is too complex": "a loop branches too often; use a smaller bound",
    "combined stack size": "it needs more stack than the kernel gives; keep less in local variables",
    "Looks like the BPF stack limit": "it needs more stack than the kernel gives; keep less in local variables",
    "invalid access to map value": "it reads or writes outside its state; check the index first",
    "outside of the allowed memory range": "it reads or writes outside its state; check the index first",
    "unbounded m": "it uses an index whose bounds the kernel cannot see; check it right before it is used",
    "invalid mem access": "it reads or writes memory that is not its own",
    "invalid access to packet": "it reads outside the packet",
    "unknown func": "it calls what the kernel does not offer to extensions",
    "back-edge": "it loops in a way that the kernel does not follow; count up to a constant",
  ]
}
