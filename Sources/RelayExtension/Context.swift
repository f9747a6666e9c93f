/// What an extension knows beside the packet: time, stream, hop, its own state and counters.
@safe public struct Context<Extension: RelayExtension> {
  let view: UnsafeMutableRawPointer
  let record: UnsafeMutableRawPointer

  @inline(__always)
  init(view: UnsafeMutableRawPointer, record: UnsafeMutableRawPointer) {
    unsafe self.view = unsafe view
    unsafe self.record = unsafe record
  }

  /// The extension's record for this relay.
  @inline(__always)
  public var state: Extension.State {
    unsafeAddress { unsafe UnsafePointer(record.assumingMemoryBound(to: Extension.State.self)) }
    unsafeMutableAddress { unsafe record.assumingMemoryBound(to: Extension.State.self) }
  }

  /// When the packet arrived, in nanoseconds since 1970 (CLOCK_REALTIME).
  @inline(__always)
  public var arrivalNs: UInt64 { unsafe viewArrivalNs(view) }

  /// The relay's place on the stream's way: 0 where the stream enters.
  @inline(__always)
  public var hop: Int { unsafe Int(viewHop(view)) }

  /// A number that tells this relay from the others of its node; it may change when the node restarts.
  @inline(__always)
  public var relay: UInt32 { unsafe viewStream(view) }

  /// How many sinks the relay has.
  @inline(__always)
  public var sinkCount: Int { unsafe Int(viewSinkCount(view)) }

  /// Adds to one of the extension's counters.
  @inline(__always)
  public func count(_ counter: Extension.Counter, _ amount: UInt64 = 1) {
    unsafe viewCount(view, counter.rawValue, amount)
  }

  /// Puts a value into the extension's histogram, whose buckets are powers of two.
  @inline(__always)
  public func record(_ value: UInt64) { unsafe viewRecord(view, value) }

  /// 32 random bits, not fit for cryptography.
  @inline(__always)
  public func random() -> UInt32 { viewRandom() }
}

/// What the frame calls; `extension build` writes the call for the author's type.
public enum ExtensionEntry<Extension: RelayExtension> {
  @inline(__always)
  public static func relay(
    _ view: UnsafeMutableRawPointer, _ parameters: UnsafeRawPointer, _ state: UnsafeMutableRawPointer
  ) -> Int32 {
    var packet = unsafe Packet(view: view)
    var context = unsafe Context<Extension>(view: view, record: state)
    let `extension` = unsafe parameters.assumingMemoryBound(to: Extension.self).pointee
    switch `extension`.relay(&packet, &context) {
    case .forward: return 1
    case .drop: return 2
    case .only(let sinks):
      unsafe viewKeepSinks(view, sinks.mask)
      return 1
    }
  }
}
