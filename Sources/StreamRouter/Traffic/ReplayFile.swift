import CStreamRouter
import Foundation
import JitterStats
import Topology

/// The UDP datagrams of a capture file, read one after the other in constant memory. Owned by its thread.
final class ReplayFile {
  /// A datagram, valid until the next is read.
  struct Datagram {
    var timeNs: UInt64
    var payload: UnsafeRawBufferPointer
    var destination: Endpoint
  }

  private let path: String
  private let handle: OpaquePointer
  private let linkType: UInt16
  /// Packets that are no whole datagram: not UDP, fragments, or cut off when they were captured.
  private(set) var left: UInt64 = 0

  /// - Parameter filter: pcap-filter(7); empty: everything.
  /// - Throws: ``TrafficError/badReplay(file:reason:remedy:)``.
  init(path: String, filter: String) throws(TrafficError) {
    self.path = path
    var error = [CChar](repeating: 0, count: 512)
    guard let handle = sr_tap_open_file(path, filter, &error, Int32(error.count)) else {
      let reason = String(decoding: error.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      throw .badReplay(
        file: path, reason: reason,
        remedy: reason.hasPrefix("filter") ? "see pcap-filter(7)" : "name a capture in pcap or pcapng format")
    }
    self.handle = handle
    linkType = UInt16(clamping: sr_tap_link_type(handle))
  }

  deinit { sr_tap_close(handle) }

  /// nil at the end.
  func next() throws(TrafficError) -> Datagram? {
    var packet = sr_tapped()
    while true {
      switch sr_tap_next(handle, &packet) {
      case 1: break
      case -2: return nil
      default:
        throw .badReplay(
          file: path, reason: "it is damaged or cut off behind what could be read",
          remedy: "copy it again, or mend it with 'pcapfix' or 'editcap'")
      }
      let bytes = UnsafeRawBufferPointer(start: packet.bytes, count: Int(packet.length))
      guard let frame = Frame(bytes, linkType: linkType), frame.isWhole else {
        left += 1
        continue
      }
      return Datagram(
        timeNs: packet.time_ns, payload: UnsafeRawBufferPointer(rebasing: bytes[frame.payload]),
        destination: frame.destination)
    }
  }

  /// What must be known before the first packet is sent.
  struct Survey {
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

    mutating func take(_ datagram: Datagram) {
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
  }

  static func survey(path: String, filter: String) throws(TrafficError) -> Survey {
    let file = try ReplayFile(path: path, filter: filter)
    var survey = Survey()
    while let datagram = try file.next() { survey.take(datagram) }
    survey.left = file.left
    guard let first = survey.flows.first else {
      throw .badReplay(
        file: path,
        reason: "it holds no whole UDP datagram" + (filter.isEmpty ? "" : " that the filter matches"),
        remedy: "see 'tcpdump -nr \(path)' for what is in it")
    }
    guard survey.flows.count == 1 else {
      let list = survey.flows.prefix(8).map { "\($0.destination) (\(Figure.grouped($0.packets)))" }
      throw .badReplay(
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
