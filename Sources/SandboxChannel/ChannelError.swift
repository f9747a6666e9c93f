import CStreamRouter
import Glibc

/// Why a channel could not be made or taken over.
public enum ChannelError: Error, Equatable, CustomStringConvertible {
  /// A number of a geometry is out of its bounds.
  case geometry(String)
  /// The kernel refused a step: what, and errno.
  case refused(step: String, errno: Int32)
  /// What a peer gave is no half of a channel of this version, or not the side or the geometry that is expected.
  case foreign(String)

  public var description: String {
    switch self {
    case .geometry(let what): "no channel can be made so: \(what)"
    case .refused(let step, let errno): "cannot \(step): \(String(cString: strerror(errno)))"
    case .foreign(let what): "not the half of a channel that is expected: \(what)"
    }
  }

  /// Throws for a negative errno, and hands on what is none.
  static func check(_ result: Int32, _ step: String) throws(ChannelError) -> Int32 {
    guard result >= 0 else { throw .refused(step: step, errno: -result) }
    return result
  }
}

/// A slot was given to a channel by somebody who does not hold it.
public enum SlotMisuse: Error, Equatable, CustomStringConvertible {
  /// The slot is free, in the ring, or the other side's: it was given back already, or never received.
  case notHeld(slot: Int)
  /// The channel has no such slot, or the packet does not fit in one.
  case outside(Descriptor)

  public var description: String {
    switch self {
    case .notHeld(let slot): "slot \(slot) is not held here: it was given back before, or never received"
    case .outside(let descriptor): "\(descriptor) is outside of the channel's slots"
    }
  }
}
