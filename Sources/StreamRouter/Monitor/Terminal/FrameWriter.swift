/// What is on the screen, so that only lines that changed are written again.
struct FrameWriter: Sendable {
  private var shown: [String] = []
  private var columns = 0

  /// The bytes that turn what is on the screen into the frame; empty where nothing changed. One string, to be
  /// written in one piece: a terminal that draws in between would flicker. Control functions are of ECMA-48.
  mutating func update(to frame: [StyledLine], columns: Int, style: MonitorStyle) -> String {
    let lines = frame.map { $0.rendered(style) }
    // After a resize terminals differ in what they keep: begin with an empty screen.
    let startsOver = lines.count != shown.count || columns != self.columns
    var output = startsOver ? "\u{1b}[0m\u{1b}[2J" : ""
    for (index, line) in lines.enumerated() where startsOver ? !line.isEmpty : line != shown[index] {
      output += "\u{1b}[\(index + 1);1H" + line
      // Behind a full line the cursor still stands on its last cell: erasing would take that cell.
      if !startsOver, frame[index].cells < columns { output += "\u{1b}[K" }
    }
    shown = lines
    self.columns = columns
    return output
  }

  /// Forgets the screen: the next update writes all of it.
  mutating func reset() { shown = [] }
}
