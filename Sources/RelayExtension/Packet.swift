/// One datagram of a relay. Offsets count from the first byte behind the UDP header; what is not there is nil, never a
/// fault.
@safe public struct Packet {
  let view: UnsafeMutableRawPointer

  @inline(__always)
  init(view: UnsafeMutableRawPointer) { unsafe self.view = unsafe view }

  /// Bytes behind the UDP header.
  @inline(__always)
  public var length: Int { unsafe Int(viewLength(view)) }

  // MARK: Payload

  @inline(__always)
  public subscript(offset: Int) -> UInt8? {
    var failed: UInt32 = 0
    let value = unsafe viewLoad8(view, UInt64(bitPattern: Int64(offset)), &failed)
    return failed == 0 ? value : nil
  }

  /// Two bytes in network order.
  @inline(__always)
  public func uint16(at offset: Int) -> UInt16? {
    var failed: UInt32 = 0
    let value = unsafe viewLoad16(view, UInt64(bitPattern: Int64(offset)), &failed)
    return failed == 0 ? value : nil
  }

  /// Four bytes in network order.
  @inline(__always)
  public func uint32(at offset: Int) -> UInt32? {
    var failed: UInt32 = 0
    let value = unsafe viewLoad32(view, UInt64(bitPattern: Int64(offset)), &failed)
    return failed == 0 ? value : nil
  }

  /// Eight bytes in network order.
  @inline(__always)
  public func uint64(at offset: Int) -> UInt64? {
    var failed: UInt32 = 0
    let value = unsafe viewLoad64(view, UInt64(bitPattern: Int64(offset)), &failed)
    return failed == 0 ? value : nil
  }

  /// Writes a byte and keeps the UDP checksum right. False: it is not in the packet.
  @inline(__always) @discardableResult
  public mutating func store(_ value: UInt8, at offset: Int) -> Bool {
    unsafe viewStore8(view, UInt64(bitPattern: Int64(offset)), UInt32(value)) == 0
  }

  /// Writes two bytes in network order and keeps the UDP checksum right. False: they are not all in the packet, which
  /// stays as it was.
  @inline(__always) @discardableResult
  public mutating func store(_ value: UInt16, at offset: Int) -> Bool {
    unsafe viewStore16(view, UInt64(bitPattern: Int64(offset)), UInt32(value)) == 0
  }

  /// Writes four bytes in network order and keeps the UDP checksum right. False: they are not all in the packet, which
  /// stays as it was.
  @inline(__always) @discardableResult
  public mutating func store(_ value: UInt32, at offset: Int) -> Bool {
    unsafe viewStore32(view, UInt64(bitPattern: Int64(offset)), value) == 0
  }

  // MARK: Headers

  /// Whether the datagram came over IPv6.
  @inline(__always)
  public var isIPv6: Bool { unsafe viewIsIPv6(view) != 0 }

  /// The sender's UDP port.
  @inline(__always)
  public var sourcePort: UInt16 { unsafe UInt16(truncatingIfNeeded: viewSourcePort(view)) }

  /// TTL (IPv4) or hop limit (IPv6), as it arrived.
  @inline(__always)
  public var timeToLive: UInt8? { ipByte(isIPv6 ? 7 : 8) }

  /// Type of service (IPv4) or traffic class (IPv6), as it arrived: DSCP in the upper six bits, ECN in the lower two
  /// (RFC 2474, RFC 3168).
  @inline(__always)
  public var trafficClass: UInt8? {
    guard isIPv6 else { return ipByte(1) }
    guard let first = ipByte(0), let second = ipByte(1) else { return nil }
    return first << 4 | second >> 4
  }

  /// The code point that every copy leaves with (RFC 2474), 0 to 63; nil: as it arrived. Higher bits are cut off, and
  /// what was set cannot be taken back to nil.
  @inline(__always)
  public var dscp: UInt8? {
    get {
      let value = unsafe viewDSCP(view)
      return value <= 63 ? UInt8(truncatingIfNeeded: value) : nil
    }
    set { if let newValue { unsafe viewSetDSCP(view, UInt32(newValue)) } }
  }

  /// A byte of the fixed IP header, in which IPv4 has 20 and IPv6 40.
  @inline(__always)
  public func ipByte(_ offset: Int) -> UInt8? {
    var failed: UInt32 = 0
    let value = unsafe viewIPByte(view, UInt64(bitPattern: Int64(offset)), &failed)
    return failed == 0 ? UInt8(truncatingIfNeeded: value) : nil
  }
}
