#if canImport(Glibc)
  import Glibc
#endif

/// Reads how busy the machine is, from files of /proc that stay open: a reading is one pread for each.
///
/// It reads no /proc/interrupts, which has a line for each interrupt and a column for each processor: on a large
/// machine the kernel takes milliseconds to print it. /proc/softirqs says how packets spread in ten lines.
actor NodeLoadReader {
  private let stat = ProcFile("/proc/stat")
  private let softirqs = ProcFile("/proc/softirqs")
  private let pressure = ProcFile("/proc/pressure/cpu")
  /// The accounts of the ksoftirqd threads. Found once: they live as long as their processor is there.
  private let ksoftirqd: [ProcFile]
  private let ticksPerSecond = Double(sysconf(Int32(_SC_CLK_TCK)))
  private var buffer = [UInt8](repeating: 0, count: 16 << 10)

  init() {
    ksoftirqd = SoftirqThreads.all().values.sorted().map { ProcFile("/proc/\($0)/schedstat") }
  }

  /// What a file does not say is 0 or nil.
  func read() -> NodeLoad {
    var load = NodeLoad(runnableThreads: 0, processors: 0, softirqSeconds: 0, totalSeconds: 0)
    if let text = stat.read(&buffer) { load.take(stat: text, ticksPerSecond: ticksPerSecond) }
    if let text = softirqs.read(&buffer) { load.take(softirqs: text) }
    if let text = pressure.read(&buffer) { load.take(pressure: text) }
    load.take(schedstats: ksoftirqd.compactMap { $0.read(&buffer) })
    return load
  }
}

/// One file of /proc, open until it is not needed any more.
private final class ProcFile: Sendable {
  private let descriptor: Int32

  /// A file that is not there reads as nil.
  init(_ path: String) { descriptor = open(path, O_RDONLY | O_CLOEXEC) }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// The whole file as it is now. The buffer grows until it fits, so that all of it is of one moment.
  func read(_ buffer: inout [UInt8]) -> String? {
    guard descriptor >= 0 else { return nil }
    while true {
      var length = 0
      while length < buffer.count {
        let count = buffer.withUnsafeMutableBytes {
          pread(descriptor, $0.baseAddress! + length, $0.count - length, off_t(length))
        }
        if count < 0 { return nil }
        if count == 0 { return String(decoding: buffer[..<length], as: UTF8.self) }
        length += count
      }
      guard buffer.count < 4 << 20 else { return nil }
      buffer.append(contentsOf: repeatElement(0, count: buffer.count))
    }
  }
}

extension NodeLoad {
  /// Takes over what /proc/stat says (proc(5)).
  mutating func take(stat text: String, ticksPerSecond: Double) {
    var online: [Processor] = []
    for line in text.split(separator: "\n") {
      // The longest line, a number for each interrupt, says nothing here.
      if line.hasPrefix("intr") { continue }
      let fields = line.split(separator: " ")
      guard let key = fields.first else { continue }
      // user nice system idle iowait irq softirq steal; guest times are within user and nice.
      lazy var seconds = fields.dropFirst().prefix(8).map { (Double($0) ?? 0) / ticksPerSecond }
      if key == "procs_running" {
        // The reader itself runs while it reads.
        runnableThreads = max(0, (fields.dropFirst().first.flatMap { Int($0) } ?? 1) - 1)
      } else if key == "cpu" {
        totalSeconds = seconds.reduce(0, +)
        softirqSeconds = seconds.count > 6 ? seconds[6] : 0
        stealSeconds = seconds.count > 7 ? seconds[7] : nil
      } else if key.hasPrefix("cpu") {
        processors += 1
        guard let number = Int(key.dropFirst(3)), seconds.count > 6 else { continue }
        online.append(
          Processor(number: number, netRxSoftirqs: 0, interruptSeconds: seconds[5] + seconds[6]))
      }
    }
    byProcessor = online.isEmpty ? nil : online
  }

  /// Takes over the line NET_RX of /proc/softirqs, after /proc/stat. It has a column for each processor that could be
  /// there, online or not.
  mutating func take(softirqs text: String) {
    var columns: [Substring] = []
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: " ")
      if fields.first?.hasPrefix("CPU") == true { columns = fields }
      guard fields.first == "NET_RX:" else { continue }
      let counts = Dictionary(zip(columns, fields.dropFirst()), uniquingKeysWith: { first, _ in first })
      byProcessor = byProcessor?.map { processor in
        var processor = processor
        processor.netRxSoftirqs = counts["CPU\(processor.number)"].flatMap { UInt64($0) } ?? 0
        return processor
      }
    }
  }

  /// Takes over the line "some" of /proc/pressure/cpu (Documentation/accounting/psi.rst of the kernel): percent, and
  /// microseconds.
  mutating func take(pressure text: String) {
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("some ") }) else { return }
    let fields = Dictionary(
      line.split(separator: " ").dropFirst().map { $0.split(separator: "=", maxSplits: 1) }
        .filter { $0.count == 2 }.map { ($0[0], $0[1]) }, uniquingKeysWith: { first, _ in first })
    guard let percent = fields["avg10"].flatMap({ Double($0) }),
      let microseconds = fields["total"].flatMap({ UInt64($0) })
    else { return }
    pressure = Pressure(tenSecondShare: percent / 100, waitingSeconds: Double(microseconds) / 1e6)
  }

  /// Adds up the first field of each thread's /proc/PID/schedstat: nanoseconds on a processor.
  mutating func take(schedstats texts: [String]) {
    let times = texts.compactMap { $0.split(separator: " ").first.flatMap { UInt64($0) } }
    guard !times.isEmpty else { return }
    ksoftirqdSeconds = Double(times.reduce(0, &+)) / 1e9
  }
}
