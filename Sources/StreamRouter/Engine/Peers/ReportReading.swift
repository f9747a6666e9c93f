import CStreamRouter

#if canImport(Glibc)
  import Glibc
#endif

/// What a reader took out of a relay's `sr_reports`: the RTCP datagrams that came since the last time, as far as they
/// still stand there.
struct ReportReading: Sendable {
  /// The beginning of one datagram.
  struct Datagram: Hashable, Sendable {
    var arrivalNs: UInt64
    /// Of the whole of it.
    var length: Int
    var bytes: [UInt8]
  }

  /// Up to where a relay's reports are read.
  struct Mark: Hashable, Sendable {
    var head: UInt64 = 0
    var missed: UInt64 = 0
  }

  var datagrams: [Datagram] = []
  /// Those that came and stand there no more, or never did.
  var unread: UInt64 = 0
  /// Where the next reading goes on.
  var mark = Mark()

  static let slots = UInt64(SR_REPORT_SLOTS.rawValue)

  /// Of memory that a writer may be at: an engine's thread, or a worker, whose numbers are believed in nothing.
  /// - Parameter mark: nil where a former daemon has read: what it read is no loss.
  init(_ reports: UnsafePointer<sr_reports>, since mark: Mark?) {
    self.init(reports, since: mark, headAfter: { sr_reports_head(reports) })
  }

  /// - Parameters:
  ///   - reports: The memory, or a copy of it.
  ///   - headAfter: Its head once the copy was made.
  init(
    _ reports: UnsafePointer<sr_reports>, since mark: Mark?, headAfter: () throws -> UInt64
  ) rethrows {
    let head = sr_reports_head(reports)
    self.mark = Mark(head: head, missed: reports.pointee.missed)
    // The oldest slot is where the writer may be.
    let oldest = head >= Self.slots ? head - Self.slots + 1 : 0
    // A head that went back belongs to other memory.
    let known = mark.flatMap { $0.head <= head ? $0 : nil }
    let first = max(oldest, known?.head ?? 0)
    if let known {
      unread = (first - known.head) &+ (self.mark.missed &- known.missed)
    }
    guard first < head else { return }
    datagrams = (first..<head).map { Self.datagram(reports, $0) }
    // What was overwritten while it was copied.
    let after = max(head, try headAfter())
    let lowest = after >= Self.slots ? after - Self.slots + 1 : 0
    let gone = lowest > first ? min(lowest - first, head - first) : 0
    datagrams.removeFirst(Int(gone))
    unread &+= gone
  }

  private static func datagram(_ reports: UnsafePointer<sr_reports>, _ number: UInt64) -> Datagram {
    let start =
      UnsafeRawPointer(reports) + MemoryLayout<sr_reports>.offset(of: \.report)!
      + Int(number % slots) * MemoryLayout<sr_report>.stride
    func long(_ field: KeyPath<sr_report, UInt32>) -> Int {
      Int(start.load(fromByteOffset: MemoryLayout<sr_report>.offset(of: field)!, as: UInt32.self))
    }
    let kept = min(long(\.kept), Int(SR_REPORT_BYTES.rawValue))
    return Datagram(
      arrivalNs: start.load(as: UInt64.self), length: max(kept, long(\.length)),
      bytes: Array(
        UnsafeRawBufferPointer(start: start + MemoryLayout<sr_report>.offset(of: \.bytes)!, count: kept)))
  }
}
