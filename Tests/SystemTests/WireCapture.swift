import Foundation
import SystemPackage
import Testing

@testable import StreamRouter

/// What goes over one device of a node, seen by tcpdump(8), from when it listens until a test says that it is over.
struct WireCapture {
  private let process: LabProcess
  private let file: FilePath
  private let log: FilePath

  /// Returns when everything that passes from now on is seen.
  ///
  /// - Parameter filter: As in pcap-filter(7).
  init(_ live: LiveLab, node: String, device: String, _ filter: String) async throws {
    // In the lab's own folder and marked as its own: both go with the lab, whatever becomes of the test.
    let folder = NodePaths.runtimeDirectory(topology: live.topology.name)
    file = folder.appending("\(node)-\(device).pcap")
    log = folder.appending("\(node)-\(device).tcpdump")
    let command = try await live.lab.command(
      ["tcpdump", "-i", device, "-n", "-U", "-B", "65536", "-Z", "root", "-w", file.string, filter], on: node)
    process = try LabProcess.startDetached(command, log: log, mark: Lab.mark(topology: live.topology.name))
    try await wait("listening on")
  }

  /// Ends the capture.
  ///
  /// - Returns: Each frame from its Ethernet header, in order.
  func end() async throws -> [[UInt8]] {
    // The kernel hands packets over in blocks, an unfinished one after a second.
    try await Task.sleep(for: .milliseconds(1500))
    process.signal(SIGINT)
    try await wait("dropped by kernel")
    for _ in 0..<1000 where process.isRunning { try await Task.sleep(for: .milliseconds(10)) }
    let said = LabFiles.read(log) ?? ""
    try #require(said.contains(/(?m)^0 packets dropped by kernel/), "tcpdump missed packets: \(said)")
    return try Self.frames(#require(FileManager.default.contents(atPath: file.string)))
  }

  private func wait(_ words: String) async throws {
    for _ in 0..<1000 {
      if LabFiles.read(log)?.contains(words) == true { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("tcpdump did not say '\(words)': \(LabFiles.read(log) ?? "")")
  }

  /// The packets of a capture file (pcap-savefile(5)) in this machine's byte order.
  private static func frames(_ data: Data) throws -> [[UInt8]] {
    let bytes = [UInt8](data)
    func word(_ at: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) } }
    try #require(bytes.count >= 24 && word(0) == 0xa1b2_c3d4, "no capture file of this machine")
    try #require(word(20) == 1, "no capture of Ethernet frames")
    var frames: [[UInt8]] = []
    var place = 24
    while place + 16 <= bytes.count {
      let (kept, length) = (word(place + 8), word(place + 12))
      try #require(kept == length && place + 16 + kept <= bytes.count, "a packet was cut short")
      frames.append(Array(bytes[place + 16..<place + 16 + kept]))
      place += 16 + kept
    }
    return frames
  }
}
