import CStreamRouter
import Foundation
import Topology

/// The UDP datagrams of a capture file, read one after the other in constant memory. Owned by its thread.
final class CaptureFile {
  /// A datagram, valid until the next is read.
  struct Datagram {
    /// Since 1970.
    var timeNs: UInt64
    var payload: UnsafeRawBufferPointer
    var source: Endpoint
    var destination: Endpoint
    /// Differentiated services code point, 0 to 63.
    var dscp: UInt8
  }

  private let path: String
  private let handle: OpaquePointer
  private let linkType: UInt16
  /// Packets that are no whole datagram: not UDP, fragments, or cut off when they were captured.
  private(set) var left: UInt64 = 0

  /// - Parameters:
  ///   - path: `-`: standard input.
  ///   - filter: pcap-filter(7); empty: everything.
  /// - Throws: ``CaptureError``: unreadable, damaged, or a filter that is none.
  init(path: String, filter: String) throws(CaptureError) {
    self.path = path
    if path != "-", access(path, R_OK) != 0 {
      throw .cannotRead(file: path, reason: String(cString: strerror(errno)))
    }
    var error = [CChar](repeating: 0, count: 512)
    guard let handle = sr_tap_open_file(path, filter, &error, Int32(error.count)) else {
      let reason = String(buffer: error)
      let mark = "filter: "
      if reason.hasPrefix(mark) { throw .badFilter(filter, reason: String(reason.dropFirst(mark.count))) }
      throw .badFile(path, reason: reason, remedy: "name a capture in pcap or pcapng format")
    }
    self.handle = handle
    linkType = UInt16(clamping: sr_tap_link_type(handle))
  }

  deinit { sr_tap_close(handle) }

  /// nil at the end.
  /// - Throws: ``CaptureError/badFile(_:reason:remedy:)``; what was read before it is right.
  func next() throws(CaptureError) -> Datagram? {
    var packet = sr_tapped()
    while true {
      switch sr_tap_next(handle, &packet) {
      case 1: break
      case -2: return nil
      default:
        throw .badFile(
          path, reason: "it is damaged or cut off behind what could be read",
          remedy: "copy it again, or mend it with 'pcapfix' or 'editcap'")
      }
      let bytes = UnsafeRawBufferPointer(start: packet.bytes, count: Int(packet.length))
      guard let frame = Frame(bytes, linkType: linkType), frame.isWhole else {
        left += 1
        continue
      }
      return Datagram(
        timeNs: packet.time_ns, payload: UnsafeRawBufferPointer(rebasing: bytes[frame.payload]),
        source: frame.source, destination: frame.destination, dscp: frame.dscp)
    }
  }
}
