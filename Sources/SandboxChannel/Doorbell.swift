import CStreamRouter
import Glibc

/// What a consumer sleeps on: an eventfd(2). The descriptor is passed to the other side as the halves are.
public final class Doorbell: Sendable {
  public let descriptor: Int32

  public init() throws(ChannelError) {
    descriptor = try ChannelError.check(sr_channel_doorbell(), "make an eventfd")
  }

  deinit { close(descriptor) }
}
