import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// A process known by its id and its start time, so that another one which got the same id is never taken for it.
public struct LabProcess: Hashable, Sendable, Codable {
  public let pid: Int32
  /// Clock ticks since boot at its start: field 22 of /proc/PID/stat (proc(5)).
  public let startTicks: UInt64

  init(pid: Int32, startTicks: UInt64) {
    self.pid = pid
    self.startTicks = startTicks
  }

  /// The process that has this id now; nil where there is none or it is a zombie.
  init?(running pid: Int32) {
    guard let stat = Self.stat(pid) else { return nil }
    self.init(pid: pid, startTicks: stat.startTicks)
  }

  /// Whether it still runs.
  public var isRunning: Bool { Self.stat(pid)?.startTicks == startTicks }

  /// Sends a signal, unless the process has ended.
  func signal(_ number: Int32) {
    if isRunning { kill(pid, number) }
  }

  private static func stat(_ pid: Int32) -> (state: Character, startTicks: UInt64)? {
    guard let text = LabFiles.read(FilePath("/proc/\(pid)/stat")),
      let close = text.lastIndex(of: ")")
    else { return nil }
    // The name in parentheses may hold anything, so fields are counted from the last parenthesis: field 3 on.
    let fields = text[text.index(after: close)...].split(separator: " ")
    guard fields.count > 19, let state = fields[0].first, let ticks = UInt64(fields[19]) else { return nil }
    if state == "Z" || state == "X" {
      // Ended. Where it is our own child it waits to be collected.
      waitpid(pid, nil, WNOHANG)
      return nil
    }
    return (state, ticks)
  }

  // MARK: Many

  /// Ends processes: SIGTERM, and SIGKILL for those that are still there after `patience`.
  static func end(_ processes: [LabProcess], patience: Duration) async {
    for process in processes { process.signal(SIGTERM) }
    if await gone(processes, within: patience) { return }
    for process in processes { process.signal(SIGKILL) }
    _ = await gone(processes, within: .seconds(2))
  }

  private static func gone(_ processes: [LabProcess], within patience: Duration) async -> Bool {
    let end = ContinuousClock.now + patience
    while processes.contains(where: \.isRunning) {
      if ContinuousClock.now >= end { return false }
      try? await Task.sleep(for: .milliseconds(10))
    }
    return true
  }

  /// All running processes whose environment holds `NAME=VALUE`, this one excepted. Those of other users are
  /// not seen without privileges.
  static func all(marked mark: String) -> [LabProcess] {
    LabFiles.list("/proc").compactMap { Int32($0) }.filter { $0 != getpid() }.compactMap { pid in
      guard let environment = LabFiles.read(FilePath("/proc/\(pid)/environ")),
        environment.split(separator: "\0").contains(Substring(mark))
      else { return nil }
      return LabProcess(running: pid)
    }
  }

  // MARK: Starting

  /// POSIX_SPAWN_SETSID of spawn.h, which glibc declares for _GNU_SOURCE alone and Swift therefore does not see.
  private static let spawnNewSession: Int16 = 0x80

  /// Starts a process that outlives this one: a session of its own, nothing on standard input, both outputs
  /// appended to `log`, no other file kept open, all signals at their default.
  ///
  /// - Parameters:
  ///   - mark: `NAME=VALUE`, added to the environment.
  ///   - inherited: A descriptor that it gets as ``LabMetrics/descriptor``, the only one besides the standard ones.
  static func startDetached(
    _ arguments: [String], log: FilePath, mark: String, inherited: Int32? = nil
  ) throws -> LabProcess {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, log.string, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // Whoever waits for the end of a pipe that came with us must not wait for the daemon too.
    for descriptor in LabFiles.list("/proc/self/fd").compactMap({ Int32($0) })
    where descriptor > 2 && descriptor != inherited {
      posix_spawn_file_actions_addclose(&actions, descriptor)
    }
    if let inherited {
      // To its own number too: that is what keeps it open beyond exec.
      posix_spawn_file_actions_adddup2(&actions, inherited, LabMetrics.descriptor)
      if inherited != LabMetrics.descriptor { posix_spawn_file_actions_addclose(&actions, inherited) }
    }

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) | spawnNewSession)

    var pid: pid_t = 0
    let path = "PATH=" + LabShell.searchPath
    let environment = LabFiles.environment().filter { !$0.hasPrefix("PATH=") } + [path, mark]
    let status = LabFiles.withCStrings(arguments) { argv in
      LabFiles.withCStrings(environment) { envp in
        posix_spawnp(&pid, arguments[0], &actions, &attributes, argv, envp)
      }
    }
    guard status == 0 else {
      throw LabError.failed(
        operation: "starting", subject: arguments.joined(separator: " "),
        reason: "\(Errno(rawValue: status))")
    }
    // A process that has ended already has no start time left to read; the caller sees that it does not run.
    return LabProcess(running: pid) ?? LabProcess(pid: pid, startTicks: 0)
  }
}
