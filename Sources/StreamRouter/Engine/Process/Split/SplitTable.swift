/// The places of an engine's connections, taken ahead: none moves, and memory that no connection has used yet costs
/// nothing.
struct SplitTable {
  private let connections: UnsafeMutablePointer<SplitConnection>
  /// Two for each connection: the source's, then the sink's.
  private let ends: UnsafeMutablePointer<SplitEnd>
  let capacity: Int
  /// Places that were taken at least once: those below.
  private(set) var used = 0
  private(set) var count = 0
  private var free: Int32 = -1
  private var first: Int32 = -1
  private var last: Int32 = -1

  init(capacity: Int) {
    self.capacity = capacity
    connections = .allocate(capacity: capacity)
    ends = .allocate(capacity: 2 * capacity)
  }

  func deallocate() {
    connections.deallocate()
    ends.deallocate()
  }

  subscript(place: Int) -> UnsafeMutablePointer<SplitConnection> { connections + place }

  func source(_ place: Int) -> UnsafeMutablePointer<SplitEnd> { ends + 2 * place }

  func sink(_ place: Int) -> UnsafeMutablePointer<SplitEnd> { ends + 2 * place + 1 }

  func end(_ place: Int) -> UnsafeMutablePointer<SplitEnd> { ends + place }

  /// A place with two fresh ends; nil: all are taken.
  mutating func take() -> Int? {
    var place = Int(free)
    var generation: UInt32 = 0
    if place >= 0 {
      free = connections[place].next
      generation = (connections[place].generation &+ 1) & SplitContext.generationMask
    } else {
      guard used < capacity else { return nil }
      place = used
      used += 1
    }
    (connections + place).initialize(to: SplitConnection())
    connections[place].generation = generation
    (ends + 2 * place).initialize(repeating: SplitEnd(), count: 2)
    count += 1
    return place
  }

  /// Where the queue still holds it, it becomes free once that has come past it.
  mutating func give(_ place: Int) {
    connections[place].state = .over
    if connections[place].isQueued { return }
    connections[place].state = .free
    connections[place].next = free
    free = Int32(place)
    count -= 1
  }

  // MARK: Connections with more to do

  var hasQueued: Bool { first >= 0 }
  /// -1: none.
  var lastQueued: Int { Int(last) }

  mutating func enqueue(_ place: Int) {
    guard !connections[place].isQueued else { return }
    connections[place].isQueued = true
    connections[place].next = -1
    if last >= 0 { connections[Int(last)].next = Int32(place) } else { first = Int32(place) }
    last = Int32(place)
  }

  /// Takes out the one that waits longest, which may be over meanwhile; nil: none waits.
  mutating func dequeue() -> Int? {
    guard first >= 0 else { return nil }
    let place = Int(first)
    first = connections[place].next
    if first < 0 { last = -1 }
    connections[place].isQueued = false
    return place
  }
}
