import CStreamRouter
import Glibc

/// One half of a channel's memory, mapped: to write where this process made it, to read where a peer did.
final class ChannelHalf: @unchecked Sendable {
  // Sendable: nothing here changes once it is made; who may write which word is sr_channel.h's business.
  let geometry: ChannelGeometry
  let incarnation: UInt64
  let memory: UnsafeMutableRawPointer
  /// The memory's descriptor, for a peer.
  let descriptor: Int32
  private let bytes: Int

  /// Makes a half of this process's own, and seals it so that no other mapping ever writes it.
  init(_ geometry: ChannelGeometry, _ side: sr_channel_side, incarnation: UInt64) throws(ChannelError) {
    let name = side == SR_SIDE_PRODUCER ? "streamrouter-producer" : "streamrouter-consumer"
    let (bytes, guardPage) = Self.size(geometry, side)
    let descriptor = try ChannelError.check(sr_channel_make(name, bytes), "make memory for a channel")
    guard let memory = sr_channel_map(descriptor, bytes, guardPage, 1) else {
      let error = errno
      close(descriptor)
      throw .refused(step: "map memory for a channel", errno: error)
    }
    (self.geometry, self.incarnation, self.memory) = (geometry, incarnation, memory)
    (self.descriptor, self.bytes) = (descriptor, bytes)
    memory.storeBytes(
      of: geometry.value(side, incarnation: incarnation), as: sr_channel_geometry.self)
    _ = try ChannelError.check(sr_channel_seal(descriptor), "seal memory for a channel")
  }

  /// Maps a half that a peer made, to be read. Takes the descriptor over, whatever comes of it.
  init(_ descriptor: Int32, of side: sr_channel_side, expecting geometry: ChannelGeometry? = nil)
    throws(ChannelError)
  {
    do throws(ChannelError) {
      var written = sr_channel_geometry()
      let size = MemoryLayout<sr_channel_geometry>.size
      guard pread(descriptor, &written, size, 0) == size else { throw .foreign("it is too short") }
      let read = try ChannelGeometry(written, side: side)
      if let geometry, geometry != read { throw .foreign("its geometry is another") }
      let (bytes, guardPage) = Self.size(read, side)
      switch -sr_channel_check(descriptor, bytes) {
      case 0: break
      case EPERM: throw .foreign("it is not sealed")
      case EMSGSIZE: throw .foreign("its size is not what its geometry says")
      case let error: throw .refused(step: "look at a channel's memory", errno: error)
      }
      guard let memory = sr_channel_map(descriptor, bytes, guardPage, 0) else {
        throw .refused(step: "map a channel's memory", errno: errno)
      }
      (self.geometry, self.incarnation, self.memory) = (read, written.incarnation, memory)
      (self.descriptor, self.bytes) = (descriptor, bytes)
    } catch {
      close(descriptor)
      throw error
    }
  }

  deinit {
    sr_channel_unmap(memory, bytes)
    close(descriptor)
  }

  private static func size(_ geometry: ChannelGeometry, _ side: sr_channel_side) -> (bytes: Int, guardPage: Int)
  {
    if side == SR_SIDE_CONSUMER { return (Int(geometry.consumerPlaces.bytes), 0) }
    let places = geometry.producerPlaces
    return (Int(places.bytes), Int(places.guard))
  }

  func words(_ place: UInt64) -> SharedWords { SharedWords(memory + Int(place)) }
  func words<Half>(_ field: PartialKeyPath<Half>) -> SharedWords {
    guard let place = MemoryLayout<Half>.offset(of: field) else {
      preconditionFailure("a field of C has a place")
    }
    return SharedWords(memory + place)
  }
}

/// A producer's half by its parts.
struct ProducerHalf: Sendable {
  let half: ChannelHalf
  let tail, eventTails, eventOverflows, posted, allocated, ring, events: SharedWords
  let slots: Int

  init(_ half: ChannelHalf) {
    let places = half.geometry.producerPlaces
    self.half = half
    tail = half.words(\sr_producer_half.tail)
    eventTails = half.words(\sr_producer_half.event_tails)
    eventOverflows = half.words(\sr_producer_half.event_overflows)
    posted = half.words(\sr_producer_half.posted)
    allocated = half.words(places.allocated)
    ring = half.words(places.ring)
    events = half.words(places.events)
    slots = Int(places.slots)
  }

  func slot(_ number: UInt32) -> UnsafeMutableRawPointer {
    half.memory + slots + Int(number) * half.geometry.slotBytes
  }
}

/// A consumer's half by its parts.
struct ConsumerHalf: Sendable {
  let half: ChannelHalf
  let head, eventHeads, taken, freed: SharedWords
  let sleeping: Int

  init(_ half: ChannelHalf) {
    let places = half.geometry.consumerPlaces
    self.half = half
    head = half.words(\sr_consumer_half.head)
    eventHeads = half.words(\sr_consumer_half.event_heads)
    taken = half.words(places.taken)
    freed = half.words(places.freed)
    sleeping = MemoryLayout<sr_consumer_half>.offset(of: \.sleeping) ?? 0
  }
}
