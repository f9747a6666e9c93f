import CStreamRouter

/// Pipes in which bytes wait between two sockets. A direction has one only while bytes wait in it, so a few serve all
/// connections of sinks that keep up.
struct PipePool {
  private let idle: UnsafeMutablePointer<sr_pipe>
  private let capacity: Int
  private let bytes: Int32
  /// Those in which no byte waits.
  private(set) var count = 0
  /// All that there are, those in use included.
  private(set) var open = 0

  /// Makes them ahead, as many as can be had.
  init(capacity: Int, bytes: Int) {
    self.capacity = capacity
    self.bytes = Int32(clamping: bytes)
    idle = .allocate(capacity: capacity)
    while count < capacity, sr_pipe_open(idle + count, self.bytes) == 0 { count += 1 }
    open = count
  }

  mutating func deallocate() {
    while count > 0 {
      count -= 1
      sr_pipe_close(idle + count)
    }
    idle.deallocate()
  }

  /// The one used last, which the processor's caches still know; false: none can be had.
  mutating func take(_ pipe: inout sr_pipe) -> Bool {
    guard count > 0 else {
      guard sr_pipe_open(&pipe, bytes) == 0 else { return false }
      open += 1
      return true
    }
    count -= 1
    pipe = idle[count]
    return true
  }

  /// - Parameter isEmpty: No byte waits in it.
  mutating func give(_ pipe: inout sr_pipe, isEmpty: Bool) {
    if isEmpty, count < capacity {
      idle[count] = pipe
      count += 1
    } else {
      sr_pipe_close(&pipe)
      open -= 1
    }
    pipe = SplitEnd.noPipe
  }
}
