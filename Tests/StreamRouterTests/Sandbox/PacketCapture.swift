import CStreamRouter
import Foundation

/// A packet socket on one device: what really went over the wire of a test's private network.
final class PacketCapture {
  private let descriptor: Int32

  init(device: String) throws {
    descriptor = sr_packet_socket(device)
    guard descriptor >= 0 else {
      throw PrivateNetwork.Failure(text: "packet socket on \(device): errno \(-descriptor)")
    }
  }

  deinit { close(descriptor) }

  /// Waits up to two seconds for `count` frames that match.
  func frames(count: Int, matching: ([UInt8]) -> Bool) -> [[UInt8]] {
    var frames: [[UInt8]] = []
    let deadline = Date(timeIntervalSinceNow: 2)
    var buffer = [UInt8](repeating: 0, count: 65536)
    while frames.count < count && Date() < deadline {
      var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&poller, 1, 100) > 0 else { continue }
      let length = recv(descriptor, &buffer, buffer.count, 0)
      guard length > 0 else { continue }
      let frame = Array(buffer[..<length])
      if matching(frame) { frames.append(frame) }
    }
    return frames
  }
}
