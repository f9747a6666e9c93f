import CStreamRouter
import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// A packet socket on a device of another network namespace. A socket stays in the namespace of the thread that made
/// it, so a thread that ends enters the namespace and makes it.
final class NamespacePacketSocket {
  private let descriptor: Int32

  init(namespace: String, device: String) throws {
    final class Box: @unchecked Sendable { var result: Int32 = -1 }  // written before the signal, read after
    let box = Box()
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      box.result = sr_namespace_enter("/run/netns/\(namespace)")
      if box.result == 0 { box.result = sr_packet_socket(device) }
      done.signal()
    }
    done.wait()
    try #require(box.result >= 0, "no packet socket on \(device) in \(namespace): errno \(-box.result)")
    descriptor = box.result
    // Far more than comes between two looks, whatever the limit for users is.
    var room: Int32 = 64 << 20
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &room, socklen_t(MemoryLayout<Int32>.size))
  }

  deinit { close(descriptor) }

  /// What the device refuses (longer than its MTU) does not go out.
  func send(_ frame: [UInt8]) {
    _ = frame.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, 0) }
  }

  /// The frames that wait, of those that a device with this link-layer address sent.
  func waiting(from hardware: [UInt8]) -> [[UInt8]] {
    var frames: [[UInt8]] = []
    var buffer = [UInt8](repeating: 0, count: 2048)
    while true {
      let length = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      guard length > 0 else { return frames }
      if length >= 14, buffer[6..<12].elementsEqual(hardware) { frames.append(Array(buffer[..<length])) }
    }
  }
}
