import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// How a lab makes a link worse than it is.
extension Lab {
  /// Impairs the sending ends of a link, in place of what was set on them before; an empty request clears them.
  ///
  /// Delay, jitter and rate are the kernel's netem; where it has none, rate is tbf and loss is a BPF program, and
  /// delay and jitter are refused.
  ///
  /// - Parameter enter: The command line that runs `lab impair-here` with the given arguments; by default this
  ///   very program's.
  /// - Returns: What is set on these ends now.
  @discardableResult
  public func impair(
    _ request: LabImpairmentRequest,
    enter: @Sendable ([String]) throws -> [String] = Lab.ownImpairHere
  ) async throws -> [LabImpairment] {
    try request.check()
    guard !HostsNote.exists(topology) else {
      throw LabError.unsupported(
        what: "impairing a link of lab \(topology)", reason: "its links are real, between other machines",
        remedy:
          "say 'tc qdisc' on the machine itself ('streamrouter lab exec'), or bring the lab up without --hosts")
    }
    // Without a lab there is nothing to lock, and the lock's file would be all that is left.
    _ = try noted()
    let lock = try await LabLock.take(topology: topology)
    defer { _ = lock }
    var state = try noted()
    guard state.mode == .namespaces else {
      throw LabError.unsupported(
        what: "impairing a link of lab \(topology)", reason: "its nodes share one loopback device",
        remedy: "use a topology whose nodes have other addresses than 127.0.0.0/8")
    }
    let ends = try request.ends(links: state.links, topology: topology)
    try LabPrivileges.demand(operation: "impairing a link")
    let netem = request.isEmpty ? false : try await hasNetem()
    if !netem, request.delayMs != nil {
      throw LabError.unsupported(
        what: "--delay", reason: "this kernel has no netem (CONFIG_NET_SCH_NETEM, module sch_netem)",
        remedy: "load it with 'modprobe sch_netem' or boot a kernel that has it; --loss and --rate work without"
      )
    }
    var made: [LabImpairment] = []
    for end in ends {
      guard let namespace = state.namespaces[end.from] else { continue }
      var impairment = LabImpairment(
        link: end.link, from: end.from, to: end.to, delayMs: request.delayMs, jitterMs: request.jitterMs,
        lossPercent: request.lossPercent, rateKbit: request.rateKbit)
      state.impairments.removeAll { $0.from == end.from && $0.to == end.to }
      try await clear(impairment, in: namespace, enter: enter)
      if !request.isEmpty {
        impairment.lossProgram = try await set(impairment, in: namespace, netem: netem, enter: enter)
        state.impairments.append(impairment)
        made.append(impairment)
      }
      try state.save()
    }
    return made
  }

  /// `lab impair-here` of this very program.
  public static let ownImpairHere: @Sendable ([String]) throws -> [String] = { arguments in
    [try LabFiles.ownExecutable().string, "lab", "impair-here"] + arguments
  }

  private func clear(
    _ impairment: LabImpairment, in namespace: String, enter: @Sendable ([String]) throws -> [String]
  ) async throws {
    // Fails where the root qdisc is the kernel's own, which is what is wanted.
    _ = try await LabShell.attempt("tc", ["-n", namespace, "qdisc", "del", "dev", impairment.device, "root"])
    _ = try await here(namespace, enter(["--device", impairment.device, "--clear"]))
  }

  /// - Returns: The id of the BPF program, where one makes the loss.
  private func set(
    _ impairment: LabImpairment, in namespace: String, netem: Bool,
    enter: @Sendable ([String]) throws -> [String]
  ) async throws -> UInt32? {
    let add = ["-n", namespace, "qdisc", "add", "dev", impairment.device, "root"]
    if netem {
      try await LabShell.run("tc", add + Self.netemArguments(impairment))
      return nil
    }
    if let rate = impairment.rateKbit {
      try await LabShell.run("tc", add + Self.tbfArguments(rateKbit: rate))
    }
    guard let loss = impairment.lossPercent else { return nil }
    let share = String(UInt32((loss * 10_000).rounded()))
    let said = try await here(namespace, enter(["--device", impairment.device, "--loss-ppm", share]))
    return UInt32(said.filter(\.isNumber))
  }

  private func here(_ namespace: String, _ command: [String]) async throws -> String {
    try await LabShell.run("nsenter", ["--net=\(LabPrivileges.namespaceFile(namespace))", "--"] + command)
  }

  static func netemArguments(_ impairment: LabImpairment) -> [String] {
    // netem's own queue is 1,000 packets; a delay at a high rate holds more.
    var arguments = ["netem", "limit", "100000"]
    if let delay = impairment.delayMs {
      arguments += ["delay", "\(Int(delay * 1000))us"]
      if let jitter = impairment.jitterMs { arguments.append("\(Int(jitter * 1000))us") }
    }
    if let loss = impairment.lossPercent { arguments += ["loss", "\(loss)%"] }
    if let rate = impairment.rateKbit { arguments += ["rate", "\(rate)kbit"] }
    return arguments
  }

  /// A burst of 10 ms and at least one large packet, and a queue of 100 ms.
  static func tbfArguments(rateKbit: UInt64) -> [String] {
    let burst = max(16_384, rateKbit.multipliedReportingOverflow(by: 10).partialValue / 8)
    return ["tbf", "rate", "\(rateKbit)kbit", "burst", "\(min(burst, 1 << 24))", "latency", "100ms"]
  }

  /// Asks the kernel by trying, in a namespace that is thrown away at once.
  private func hasNetem() async throws -> Bool {
    let probe = "srprobe-\(getpid())-\(topology)"
    try await LabShell.run("ip", ["netns", "add", probe])
    let tried = try await LabShell.attempt(
      "tc", ["-n", probe, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"])
    try await LabShell.run("ip", ["netns", "delete", probe])
    return tried.succeeded
  }
}
