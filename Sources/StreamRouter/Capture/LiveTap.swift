import CStreamRouter

/// One device that is captured on. Owned by the thread that captures.
final class LiveTap {
  let tap: CapturePoint.Tap
  private let node: String
  private let handle: OpaquePointer
  private static let bufferBytes: Int32 = 16 << 20

  init(_ tap: CapturePoint.Tap, node: String) throws(CaptureError) {
    self.tap = tap
    self.node = node
    var error = [CChar](repeating: 0, count: 512)
    var permission: Int32 = 0
    guard
      let handle = sr_tap_open(
        tap.device, tap.filter, tap.isOutbound ? SR_TAP_OUT : SR_TAP_IN, Self.bufferBytes, &error,
        Int32(error.count), &permission)
    else {
      throw .cannotOpen(
        device: tap.device, node: node,
        reason: String(buffer: error),
        isPermission: permission != 0)
    }
    self.handle = handle
  }

  deinit { sr_tap_close(handle) }

  var descriptor: Int32 { sr_tap_descriptor(handle) }
  var linkType: UInt16 { UInt16(clamping: sr_tap_link_type(handle)) }

  /// nil where none waits.
  func next() throws(CaptureError) -> sr_tapped? {
    var packet = sr_tapped()
    switch sr_tap_next(handle, &packet) {
    case 1: return packet
    case 0: return nil
    default: throw .deviceGone(device: tap.device, node: node)
    }
  }

  var counts: (received: UInt64, dropped: UInt64) {
    var (received, dropped): (UInt64, UInt64) = (0, 0)
    sr_tap_counts(handle, &received, &dropped)
    return (received, dropped)
  }
}
