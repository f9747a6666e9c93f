/// A relay extension: code that runs on every packet of a relay, at interrupt time in the kernel (engine `sandbox`) or
/// in a locked-down process (engine `process`), from the same source.
///
/// Its stored properties are its parameters: integers and booleans, each with a default, set by the topology. Packets
/// of one relay come one after the other, so ``State`` needs no locks.
///
/// ```swift
/// import RelayExtension
///
/// /// Drops every RTP packet whose payload starts with a given byte.
/// @main struct DropByte: RelayExtension {
///   var byte: UInt8 = 0x47
///   enum Counter: UInt32, RelayCounter { case dropped }
///
///   func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
///     guard let rtp = packet.rtp, let media = packet.payloadOffset(of: rtp), packet[media] == byte
///     else { return .forward }
///     context.count(.dropped)
///     return .drop
///   }
/// }
/// ```
///
/// Code that would trap in Swift — arithmetic overflow, division by zero, an index out of bounds — costs the packet
/// and is counted (`drop_fault`), in every engine; the relay goes on.
public protocol RelayExtension: BitwiseCopyable {
  /// What the extension remembers from packet to packet, one record for each relay that uses it. Starts as its
  /// properties' defaults say. At most 64 KiB.
  associatedtype State: RelayState = NoState
  /// The extension's own counters; their names show up in the account.
  associatedtype Counter: RelayCounter = NoCounter

  /// Raised with every change that users should know of.
  static var version: StaticString { get }
  /// One line that says what the extension does.
  static var summary: StaticString { get }
  /// What the histogram that ``Context/record(_:)`` fills counts, with its unit, such as `lateness_ns`; empty: it has
  /// none.
  static var histogram: StaticString { get }
  /// Bounds and explanations of parameters; a property without one takes every value of its type.
  static var parameters: [Parameter] { get }

  /// What a node must offer, or it refuses the stream.
  static var needs: [PacketFunction] { get }
  /// What is used where a node offers it.
  static var likes: [PacketFunction] { get }

  /// All parameters at their defaults.
  init()

  /// Decides about one datagram. Must end after a bounded number of steps, or the kernel refuses the extension.
  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict
}

extension RelayExtension {
  public static var version: StaticString { "1.0.0" }
  public static var summary: StaticString { "" }
  public static var histogram: StaticString { "" }
  public static var parameters: [Parameter] { [] }
  public static var needs: [PacketFunction] { [] }
  public static var likes: [PacketFunction] { [] }
}

/// A record that an extension keeps for each relay. Every property has a default; no references.
public protocol RelayState: BitwiseCopyable {
  init()
}

/// Names of an extension's counters, at most 16: `enum Counter: UInt32, RelayCounter { case late, early }`.
public protocol RelayCounter: RawRepresentable<UInt32>, CaseIterable {}

/// For extensions that remember nothing.
public struct NoState: RelayState {
  public init() {}
}

/// For extensions that count nothing of their own.
public enum NoCounter: UInt32, RelayCounter {
  case none
}

/// Bounds and explanation of one parameter.
public struct Parameter {
  public let name: StaticString
  /// nil: the least of its type.
  public let minimum: Int64?
  /// nil: the largest of its type.
  public let maximum: UInt64?
  public let summary: StaticString

  /// - Parameters:
  ///   - name: The property's name.
  ///   - bounds: The values that the topology may give it.
  ///   - summary: What it means, in a few words with its unit.
  public init(_ name: StaticString, _ bounds: ClosedRange<Int>, _ summary: StaticString = "") {
    self.name = name
    minimum = Int64(bounds.lowerBound)
    maximum = bounds.upperBound < 0 ? 0 : UInt64(bounds.upperBound)
    self.summary = summary
  }

  /// A parameter that takes every value of its type, such as a Bool.
  public init(_ name: StaticString, _ summary: StaticString) {
    self.name = name
    minimum = nil
    maximum = nil
    self.summary = summary
  }
}
