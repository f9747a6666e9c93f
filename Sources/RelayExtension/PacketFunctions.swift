/// What an extension can ask for beyond its packet's bytes. In engine `sandbox` all are there where the kernel module is
/// loaded, in `upcall` all but ``hold``, in `process` ``parity`` and ``hash``.
///
/// An extension names what it cannot do without in ``RelayExtension/needs``: a node that lacks it refuses the stream and
/// says why. What it merely ``RelayExtension/likes`` is used where it is there; elsewhere each call answers that nothing
/// happened.
public enum PacketFunction: UInt32, CaseIterable, Sendable {
  /// ``Packet/hold(untilNs:)``: a packet leaves at a time.
  case hold = 1
  /// ``Packet/emit(_:length:)``: one more datagram to all sinks.
  case emit = 2
  /// ``Packet/add(from:length:to:at:)``: XOR over packets.
  case parity = 4
  /// ``Packet/hash(from:length:key:)``: a keyed hash.
  case hash = 8
}

/// Room for the XOR of datagrams, 1,536 bytes, kept in an extension's state. Starts as zeros.
@safe public struct ParityRow: RelayState {
  @usableFromInline var words: InlineArray<192, UInt64> = .init(repeating: 0)

  public init() {}

  /// Bytes that a row has.
  @inline(__always)
  public static var capacity: Int { 1536 }

  /// One byte; 0 and no effect where the row has none.
  @inline(__always)
  public subscript(offset: Int) -> UInt8 {
    // Mutating, though it changes nothing: otherwise the compiler would copy the whole row, for which a kernel's stack
    // has no room.
    mutating get {
      guard offset >= 0, offset < Self.capacity else { return 0 }
      return UInt8(truncatingIfNeeded: words[offset >> 3] >> UInt64((offset & 7) << 3))
    }
    set {
      guard offset >= 0, offset < Self.capacity else { return }
      let shift = UInt64((offset & 7) << 3)
      words[offset >> 3] = words[offset >> 3] & ~(0xff << shift) | UInt64(newValue) << shift
    }
  }

  /// Writes two bytes in network order.
  @inline(__always)
  public mutating func store(_ value: UInt16, at offset: Int) {
    self[offset] = UInt8(truncatingIfNeeded: value >> 8)
    self[offset &+ 1] = UInt8(truncatingIfNeeded: value)
  }

  /// Writes four bytes in network order.
  @inline(__always)
  public mutating func store(_ value: UInt32, at offset: Int) {
    store(UInt16(truncatingIfNeeded: value >> 16), at: offset)
    store(UInt16(truncatingIfNeeded: value), at: offset &+ 2)
  }

  /// Makes all bytes 0.
  @inline(__always)
  public mutating func clear() {
    unsafe withUnsafeMutablePointer(to: &words) { unsafe viewClear(UnsafeMutableRawPointer($0)) }
  }
}

/// A secret of 128 bits for SipHash-2-4, as the two words that its 16 bytes are in little-endian order.
public struct HashKey: BitwiseCopyable, Sendable {
  public var first: UInt64
  public var second: UInt64

  @inline(__always)
  public init(_ first: UInt64, _ second: UInt64) {
    self.first = first
    self.second = second
  }
}

extension Packet {
  /// Whether a function is there, on this node and in this engine.
  @inline(__always)
  public func has(_ function: PacketFunction) -> Bool {
    unsafe viewFunctions(view) & function.rawValue != 0
  }

  /// Has all copies of the packet leave at a time, in the order of their times, at most 10 s from now; what is past
  /// leaves at once, behind what was due before it. The last call counts. What finds no room is lost and counted
  /// (`drop_hold`).
  ///
  /// - Parameter ns: Nanoseconds since 1970, as ``Context/arrivalNs``.
  /// - Returns: False where there is no ``PacketFunction/hold``: the packet leaves at once.
  @inline(__always) @discardableResult
  public mutating func hold(untilNs ns: UInt64) -> Bool { unsafe viewHold(view, ns) == 0 }

  /// Adds (XOR) bytes of the payload to a row. A shorter packet counts as if zeros followed, as RFC 5109 and RFC 8627
  /// have it.
  ///
  /// - Parameters:
  ///   - offset: The first byte of the payload.
  ///   - length: How many, 1 to 1,472.
  ///   - place: Where they are added in the row, 0 to 63: what is before it may be headers.
  /// - Returns: False where the packet has them not, they are too many, or there is no ``PacketFunction/parity``: nothing
  ///   happened.
  @inline(__always) @discardableResult
  public func add(from offset: Int, length: Int, to row: inout ParityRow, at place: Int = 0) -> Bool {
    unsafe withUnsafeMutablePointer(to: &row.words) {
      unsafe viewParity(
        view, UInt64(bitPattern: Int64(offset)), UInt64(bitPattern: Int64(length)),
        UnsafeMutableRawPointer($0), UInt64(bitPattern: Int64(place))) == 0
    }
  }

  /// SipHash-2-4 of bytes of the payload, at most 9,216 and at least one.
  ///
  /// - Returns: nil where the packet has them not, or there is no ``PacketFunction/hash``.
  @inline(__always)
  public func hash(from offset: Int, length: Int, key: HashKey) -> UInt64? {
    var failed: UInt32 = 0
    let hash = unsafe withUnsafePointer(to: key) {
      unsafe viewHash(
        view, UInt64(bitPattern: Int64(offset)), UInt64(bitPattern: Int64(length)), UnsafeRawPointer($0),
        &failed)
    }
    return failed == 0 ? hash : nil
  }

  /// Sends one more datagram after this packet: the first bytes of a row, with this packet's headers, to all of the
  /// relay's sinks. The relay's extensions do not see it; the account counts it as `packets_made`. One for each packet.
  /// In engine `upcall` it is taken when the run has ended: what finds no room then is lost and counted (`drop_send`).
  ///
  /// - Returns: False where it is the second one, has no bytes or more than the row, there is no room for it, or there is
  ///   no ``PacketFunction/emit``.
  @inline(__always) @discardableResult
  public mutating func emit(_ row: inout ParityRow, length: Int) -> Bool {
    unsafe withUnsafeMutablePointer(to: &row.words) {
      unsafe viewEmit(view, UnsafeMutableRawPointer($0), UInt64(bitPattern: Int64(length))) == 0
    }
  }
}
