import CStreamRouter
import Topology

/// Packet vectors of an extension or a chain of them: packets in, and what must come of each.
///
/// They stand beside the source, in `Police.vectors.yaml`: a list of cases. Each begins with a fresh state.
///
/// ```yaml
/// - name: the marker is counted, the sequence number moved on     # required
///   with: {offset: 5}             # parameters; what is left out has its default
///   protocol: rtp                 # rtp (default) or udp
///   sinks: 3                      # 1 by default, at most 16
///   family: ipv6                  # ipv4 by default
///   hop: 2                        # 0 by default
///   rtp: {payloadType: 96}        # RTP fields of all packets of the case, unless a packet says otherwise
///   packets:                      # in the order in which they arrive
///     - at: 20ms                  # since the case began: ns, us, ms or s; may be negative; default as the one before
///       rtp: {sequence: 1, timestamp: 900, ssrc: 0x1234, payloadType: 96, marker: true, csrc: [1, 2],
///         extension: {profile: 0xbede, data: 10 aa 00 00}, padding: 4}
///       payload: 67 42 00 1f      # hexadecimal, behind the RTP header
///       filler: 100               # so many zeros behind the payload
///       dscp: 10                  # as it arrives; 0 by default
///       expect: {rtp: {sequence: 6}, dscp: 46, only: [0, 2]}
///     - raw: 80 c8 00 06          # the whole datagram, instead of rtp and payload
///       port: rtcp                # it comes to the RTCP port
///     - rtp: {sequence: 2}
///       repeat: {count: 10, every: 5ms, sequence: 1, timestamp: 900}    # or a count alone: sequence + 1 each
///       expect: [forward, drop]   # in turn
///   counters: {marked: 1}         # at the end of the case; those that are not named must be 0
///   histogram: {values: 4, sum: 1000}      # or the number of values alone
/// ```
///
/// Where several extensions run one after the other, as on a relay, each case says which, in place of `with`,
/// `counters` and `histogram`:
///
/// ```yaml
/// - name: what thin drops is not charged to police
///   chain:
///     - {name: thin, with: {everyNth: 2}, counters: {nth: 2}}
///     - {name: police, with: {packetsPerSecond: 100}, counters: {}}
///   packets: []
/// ```
///
/// `expect` is `forward` (also where it is left out), `drop`, `trap`, or a mapping that says what has changed:
/// `verdict`, `only` (the sinks that get the packet, by place), `rtp`, `payload`, `bytes` (`{12: ff 00}`, by offset in
/// the datagram) and `dscp`. What it does not name must leave as it came.
public struct ExtensionVectors: Sendable {
  public var cases: [Case]

  /// Packets that meet one state of the extension.
  public struct Case: Sendable {
    public var name: String
    /// The extensions that the packets meet, in their order.
    var chain: [Use] = []
    var transport = StreamProtocol.rtp
    var sinks = 1
    var isIPv6 = false
    var hop = 0
    public internal(set) var packets: [Packet] = []

    /// Every sink of the case.
    var allSinks: UInt32 { (1 << UInt32(sinks)) - 1 }
  }

  /// One extension of a chain, and what its account must hold at the end of the case.
  struct Use: Sendable {
    /// Its place among the extensions that the vectors are for.
    var object: Int
    var settings: [String: ParameterValue] = [:]
    /// By the counters' names; nil: not looked at.
    var counters: [String: UInt64]?
    var histogram: Histogram?
  }

  struct Histogram: Sendable {
    var values: UInt64
    var sum: UInt64?
  }

  /// One datagram and what must come of it.
  public struct Packet: Sendable {
    /// Its place in the file and, where it is repeated, the number of the copy: `3` or `3.2`.
    var label: String
    var line: Int
    var arrivalNs: Int64 = 0
    /// What stands behind the UDP header.
    var datagram: [UInt8] = []
    var isRTP = false
    var toRTCPPort = false
    var dscp: UInt8 = 0
    var sourcePort: UInt16 = 4000
    var ttl: UInt8 = 64
    var expected = VectorOutcome(verdict: .drop)
  }
}

/// What became of one packet.
struct VectorOutcome: Hashable, Sendable {
  enum Verdict: Hashable, Sendable {
    /// The sinks, a bit each.
    case forward(UInt32)
    case drop
    case trap
    /// The relay lost it for a cause of its own; the counter's name.
    case lost(String)
  }

  var verdict: Verdict
  /// The datagram as it leaves; empty where it does not.
  var datagram: [UInt8] = []
  /// As it leaves.
  var dscp: UInt8 = 0
  /// What is wrong with how it leaves, such as a checksum.
  var flaw: String?
}

/// What became of one case in one engine.
struct VectorCaseOutcome: Hashable, Sendable {
  var packets: [VectorOutcome] = []
  /// Of each extension in the chain.
  var accounts: [VectorAccount] = []
}

/// What an extension accounted for in one case.
struct VectorAccount: Hashable, Sendable {
  /// In the order of the manifest.
  var counters: [UInt64]
  var histogram: [UInt64]
  var histogramSum: UInt64

  init(_ account: sr_extension_account, _ manifest: ExtensionManifest) {
    counters = withUnsafeBytes(of: account.counters) { Array($0.bindMemory(to: UInt64.self)) }
    counters = Array(counters.prefix(manifest.counters.count))
    histogram = withUnsafeBytes(of: account.histogram) { Array($0.bindMemory(to: UInt64.self)) }
    histogramSum = account.histogram_sum
  }
}

extension VectorOutcome.Verdict: CustomStringConvertible {
  var description: String {
    switch self {
    case .forward(let sinks):
      "forward to " + (sinks.nonzeroBitCount == 1 ? "sink " : "sinks ")
        + (0..<32).filter { sinks >> $0 & 1 == 1 }.map { "\($0)" }.joined(separator: ", ")
    case .drop: "drop"
    case .trap: "trap"
    case .lost(let cause): "lost by the relay itself (\(cause))"
    }
  }
}

extension ExtensionVectors.Packet {
  /// How messages name it: with its line, where it stands in a file of vectors and not in a capture.
  var place: String { line > 0 ? "packet \(label) (line \(line))" : "packet \(label)" }
}
