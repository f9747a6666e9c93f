import JitterStats

/// What peers report in the RTCP of an engine's relays, by stream, and the time stamps that passed in any of them: those
/// of one direction of a conversation are answered in the other.
struct PeerLedger: Sendable {
  private struct Entry {
    var reports = PeerReports()
    /// nil: a former daemon may have read before.
    var mark: ReportReading.Mark?
    /// How many RTCP datagrams had come when it was read.
    var counted: UInt64?
    /// A datagram is counted before it can be read.
    var mayHaveMore = true
  }

  private var entries: [String: Entry] = [:]
  private var times = PassingTimes(capacity: 8192)

  /// The relay is new: all that comes is there to be read.
  mutating func begin(_ stream: String) { entries[stream] = Entry(mark: ReportReading.Mark()) }

  /// What it carries is another stream from here on.
  mutating func restart(_ stream: String) { entries[stream]?.reports = PeerReports() }

  mutating func forget(_ stream: String) { entries[stream] = nil }

  mutating func rename(_ stream: String, to name: String) {
    guard stream != name else { return }
    entries[name] = entries.removeValue(forKey: stream)
  }

  /// Where the next reading of a relay begins.
  func mark(of stream: String) -> ReportReading.Mark? { entries[stream]?.mark }

  /// Whether there may be something to read, by how many RTCP datagrams have come so far.
  mutating func wants(_ stream: String, counted: UInt64) -> Bool {
    var entry = entries[stream] ?? Entry()
    let isNew = entry.counted.map { $0 != counted } ?? (counted > 0)
    let wants = isNew || (entry.mayHaveMore && counted > 0)
    entry.counted = counted
    entry.mayHaveMore = isNew
    entries[stream] = entry
    return wants
  }

  /// Takes in what was read of a relay. ``resolve()`` is to follow once all relays were read.
  mutating func take(_ reading: ReportReading, of stream: String) {
    guard reading.mark != entries[stream]?.mark else { return }
    var entry = entries[stream] ?? Entry()
    entry.mark = reading.mark
    entry.reports.missed(reading.unread)
    for datagram in reading.datagrams {
      datagram.bytes.withUnsafeBytes {
        entry.reports.receive($0.bytes, length: datagram.length, timeNs: datagram.arrivalNs, times: &times)
      }
    }
    entries[stream] = entry
  }

  /// Finds the round trips of what was taken in.
  mutating func resolve() {
    for (stream, entry) in entries where entry.reports.hasAnswers { entries[stream]?.reports.resolve(times) }
  }

  /// nil: no peer has reported.
  /// - Parameter clockRate: Hz of the RTP clock of an SSRC that this engine sees.
  func account(of stream: String, clockRate: (UInt32) -> UInt32?) -> PeerAccount? {
    guard let account = entries[stream]?.reports.account(clockRate: clockRate), !account.isEmpty else {
      return nil
    }
    return account
  }
}
