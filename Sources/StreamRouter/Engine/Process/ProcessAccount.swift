import CStreamRouter

/// The counters and the residence histogram of one relay of engine process: `sr_counters`, as the kernel's datapath
/// keeps it for each processor.
///
/// Written and read by the engine's thread alone, so no access is atomic; readers get copies made on that thread.
struct ProcessAccount {
  /// `sr_counters` is made of 64-bit words only: one array of them, so that a count is one plain add.
  private let words: UnsafeMutablePointer<UInt64>
  private let residence: UnsafeMutablePointer<UInt64>
  private let residenceMaxNs: UnsafeMutablePointer<UInt64>
  private let residenceSumNs: UnsafeMutablePointer<UInt64>
  private let lastSeenNs: UnsafeMutablePointer<UInt64>

  private static let wordBytes = MemoryLayout<UInt64>.size
  private static let count = MemoryLayout<sr_counters>.size / wordBytes

  /// Zeroed memory, until ``deallocate()``.
  init() {
    let words = UnsafeMutablePointer<UInt64>.allocate(capacity: Self.count)
    words.initialize(repeating: 0, count: Self.count)
    self.init(words: words)
  }

  /// Goes on with counters that stand elsewhere.
  init(at counters: UnsafeMutablePointer<sr_counters>) {
    self.init(words: UnsafeMutableRawPointer(counters).assumingMemoryBound(to: UInt64.self))
  }

  private init(words: UnsafeMutablePointer<UInt64>) {
    let wordBytes = Self.wordBytes
    self.words = words
    residence = words + MemoryLayout<sr_counters>.offset(of: \.residence)! / wordBytes
    residenceMaxNs = words + MemoryLayout<sr_counters>.offset(of: \.residence_max_ns)! / wordBytes
    residenceSumNs = words + MemoryLayout<sr_counters>.offset(of: \.residence_sum_ns)! / wordBytes
    lastSeenNs = words + MemoryLayout<sr_counters>.offset(of: \.last_seen_ns)! / wordBytes
  }

  func deallocate() { words.deallocate() }

  func add(_ counter: sr_counter, _ count: Int = 1) {
    words[Int(counter.rawValue)] &+= UInt64(truncatingIfNeeded: count)
  }

  /// Counts datagrams that a socket took in at `arrivalNs` from an allowed source.
  func arrived(datagrams: Int, bytes: Int, arrivalNs: UInt64) {
    add(SR_PACKETS_IN, datagrams)
    add(SR_BYTES_IN, bytes)
    lastSeenNs.pointee = arrivalNs
  }

  /// Notes when something came, since 1970; never goes back.
  func seen(_ timeNs: UInt64) {
    if timeNs > lastSeenNs.pointee { lastSeenNs.pointee = timeNs }
  }

  /// Counts a packet that left `residenceNs` after it had arrived.
  func left(residenceNs: UInt64) {
    residence[Int(sr_residence_bucket(residenceNs))] &+= 1
    residenceSumNs.pointee &+= residenceNs
    if residenceNs > residenceMaxNs.pointee { residenceMaxNs.pointee = residenceNs }
  }

  /// A copy of all of it.
  var copy: sr_counters { UnsafeRawPointer(words).load(as: sr_counters.self) }

  /// Goes on from here.
  func resume(_ counters: sr_counters) {
    UnsafeMutableRawPointer(words).storeBytes(of: counters, as: sr_counters.self)
  }
}
