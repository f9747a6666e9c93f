import JitterStats
import Topology

/// What must be known of a capture before the first packet of it is sent again.
struct ReplaySurvey {
  /// Datagrams by destination, in the order of their first.
  var flows: [(destination: Endpoint, packets: UInt64)] = []
  var largest = 0
  var firstNs: UInt64 = 0
  var lastNs: UInt64 = 0
  var packets: UInt64 = 0
  var left: UInt64 = 0
  /// By SSRC.
  var sources: [UInt32: Source] = [:]

  /// The numbers of one RTP source.
  struct Source {
    var firstSequence: UInt16
    var firstTimestamp: UInt32
    /// Further on than the first by so much.
    var sequenceSpan: UInt16 = 0
    var timestampSpan: UInt32 = 0
  }

  /// A file with more has no use for a list.
  static let flowsLimit = 64
  static let sourcesLimit = 1024

  mutating func take(_ datagram: CaptureFile.Datagram) {
    if packets == 0 { firstNs = datagram.timeNs }
    packets += 1
    lastNs = max(lastNs, datagram.timeNs)
    largest = max(largest, datagram.payload.count)
    if let place = flows.firstIndex(where: { $0.destination == datagram.destination }) {
      flows[place].packets += 1
    } else if flows.count < Self.flowsLimit {
      flows.append((datagram.destination, 1))
    }
    guard case .rtp(let header) = MediaPacket(rtpPort: datagram.payload.bytes) else { return }
    guard var source = sources[header.ssrc] else {
      guard sources.count < Self.sourcesLimit else { return }
      sources[header.ssrc] = Source(firstSequence: header.sequence, firstTimestamp: header.timestamp)
      return
    }
    let (sequence, timestamp) = (
      header.sequence &- source.firstSequence, header.timestamp &- source.firstTimestamp
    )
    // Only forwards, in the sense of serial arithmetic (RFC 1982).
    if Int16(bitPattern: sequence &- source.sequenceSpan) > 0 { source.sequenceSpan = sequence }
    if Int32(bitPattern: timestamp &- source.timestampSpan) > 0 { source.timestampSpan = timestamp }
    sources[header.ssrc] = source
  }

  /// Reads the whole file.
  /// - Throws: ``CaptureError`` where it cannot be read, ``TrafficError/badReplay(file:reason:remedy:)`` where it is
  ///   not one flow.
  static func of(path: String, filter: String) throws -> ReplaySurvey {
    let file = try CaptureFile(path: path, filter: filter)
    var survey = ReplaySurvey()
    while let datagram = try file.next() { survey.take(datagram) }
    survey.left = file.left
    guard let first = survey.flows.first else {
      throw TrafficError.badReplay(
        file: path,
        reason: "it holds no whole UDP datagram" + (filter.isEmpty ? "" : " that the filter matches"),
        remedy: "see 'tcpdump -nr \(path)' for what is in it")
    }
    guard survey.flows.count == 1 else {
      let list = survey.flows.prefix(8).map { "\($0.destination) (\(Figure.grouped($0.packets)))" }
      throw TrafficError.badReplay(
        file: path,
        reason: "it holds datagrams to several addresses: \(list.joined(separator: ", "))"
          + (survey.flows.count > 8 ? " and more" : ""),
        remedy:
          "choose one, as with --filter 'dst host \(first.destination.address) and dst port \(first.destination.port)'"
      )
    }
    return survey
  }
}
