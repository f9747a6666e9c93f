/// The packets of the last seconds, in memory that is taken once: what a trigger brings onto the disk.
///
/// Owned by the thread that captures.
struct PacketRing: ~Copyable {
  /// Stands before each packet; where `length` is `wrap`, the next one is at the beginning of the memory.
  private struct Header {
    var timeNs: UInt64
    var originalBytes: UInt32
    var length: UInt32
    var interface: UInt32
    var reserved: UInt32 = 0
  }

  private static let wrap = UInt32.max
  private static let headerBytes = MemoryLayout<Header>.stride
  private let memory: UnsafeMutableRawPointer
  private let capacity: Int
  /// Of the oldest packet, and where the next one goes.
  private var head = 0
  private var tail = 0
  private(set) var count = 0
  /// Packets that had to leave before their time, for want of memory.
  private(set) var evicted: UInt64 = 0

  init(bytes: Int) {
    capacity = max(1 << 20, bytes & ~7)
    memory = .allocate(byteCount: capacity, alignment: 8)
  }

  deinit { memory.deallocate() }

  private static func room(_ length: Int) -> Int { headerBytes + (length + 7) & ~7 }

  /// Takes a packet in; the oldest make room. One that is larger than all the memory is left out.
  mutating func push(_ packet: UnsafeRawBufferPointer, originalBytes: UInt32, timeNs: UInt64, interface: UInt32)
  {
    let room = Self.room(packet.count)
    guard room + Self.headerBytes <= capacity else {
      evicted += 1
      return
    }
    if count == 0 { (head, tail) = (0, 0) }
    if tail + room > capacity {
      // What lies between here and the end is the oldest: it goes, and the next packet begins at 0.
      while count > 0, head >= tail { evict() }
      if tail + Self.headerBytes <= capacity { header(tail).pointee.length = Self.wrap }
      tail = 0
      if count == 0 { head = 0 }
    }
    while count > 0, head >= tail, head < tail + room { evict() }
    if count == 0 { (head, tail) = (0, 0) }
    header(tail).initialize(
      to: Header(
        timeNs: timeNs, originalBytes: originalBytes, length: UInt32(packet.count), interface: interface))
    if let base = packet.baseAddress {
      (memory + tail + Self.headerBytes).copyMemory(from: base, byteCount: packet.count)
    }
    tail += room
    count += 1
  }

  /// Lets go of packets from before a time.
  mutating func drop(before timeNs: UInt64) {
    while count > 0, header(head).pointee.timeNs < timeNs { remove() }
  }

  /// Hands out every packet, the oldest first, and is empty then.
  mutating func drain(
    _ body: (
      _ packet: UnsafeRawBufferPointer, _ originalBytes: UInt32, _ timeNs: UInt64, _ interface: UInt32
    ) throws(CaptureError) -> Void
  ) throws(CaptureError) {
    while count > 0 {
      let header = header(head).pointee
      let bytes = UnsafeRawBufferPointer(start: memory + head + Self.headerBytes, count: Int(header.length))
      try body(bytes, header.originalBytes, header.timeNs, header.interface)
      remove()
    }
  }

  private func header(_ place: Int) -> UnsafeMutablePointer<Header> {
    (memory + place).assumingMemoryBound(to: Header.self)
  }

  private mutating func evict() {
    evicted += 1
    remove()
  }

  private mutating func remove() {
    head += Self.room(Int(header(head).pointee.length))
    count -= 1
    // `head` stands at an end that was left over, or at the wrap mark in it.
    if count > 0, head + Self.headerBytes > capacity || header(head).pointee.length == Self.wrap { head = 0 }
  }
}
