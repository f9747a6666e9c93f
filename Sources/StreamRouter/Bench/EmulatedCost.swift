import Foundation

/// What the guests of Tests/VM counted of a null upcall and of what it stands beside: instructions, for machines on
/// which the kernel module is not loaded. Read from the file that Tests/VM/cost.sh leaves.
public struct EmulatedCost: Codable, Hashable, Sendable {
  /// The fewest instructions of many times, in a guest of one kernel.
  public struct Guest: Codable, Hashable, Sendable {
    /// Its release, such as `6.12.117+deb12-amd64`.
    public var kernel: String
    /// A null upcall, both crossings included.
    public var upcallPrivate: Int
    public var upcallShared: Int
    /// To a process of this policy that is woken, and back.
    public var roundTripFIFO: Int
    public var roundTripOther: Int

    /// `6.12` of a release.
    var series: String { kernel.split(separator: ".").prefix(2).joined(separator: ".") }
    var counts: [(name: String, instructions: Int)] {
      [
        (UpcallCost.series(mode: "private"), upcallPrivate), (UpcallCost.series(mode: "shared"), upcallShared),
        ("woken process and back, SCHED_FIFO", roundTripFIFO),
        ("woken process and back, SCHED_OTHER", roundTripOther),
      ]
    }
  }

  /// Of this layout. Files of another one are refused.
  public static let format = 1
  /// Where the script leaves it, seen from the source tree.
  public static let usualFile = ".build/vm/upcall-cost.json"
  static let title = "null upcall, instructions (emulated)"
  static let remedy =
    "no guest has counted them; 'Tests/VM/cost.sh' in the source tree does, and leaves \(usualFile) for --emulated"

  public var format: Int
  /// When they were counted, ISO 8601.
  public var date: String
  /// The commit that was counted; with `+` where the tree was changed since. nil outside of a repository.
  public var revision: String?
  /// The emulator's version.
  public var qemu: String
  public var guests: [Guest]

  /// Reads and checks a file.
  ///
  /// - Throws: ``BenchError/unreadable(file:reason:)``.
  public init(path: String) throws(BenchError) {
    let read: EmulatedCost
    do {
      let data = try Data(contentsOf: URL(fileURLWithPath: path))
      read = try JSONDecoder().decode(Self.self, from: data)
    } catch is DecodingError {
      throw .unreadable(file: path, reason: "it is no file of Tests/VM/cost.sh")
    } catch {
      throw .unreadable(file: path, reason: error.localizedDescription)
    }
    if let flaw = read.flaw { throw .unreadable(file: path, reason: flaw) }
    self = read
  }

  /// What the program cannot have written.
  private var flaw: String? {
    guard format == Self.format else {
      return "it has format \(format), and this program reads format \(Self.format)"
    }
    for text in [date, revision ?? "-", qemu] + guests.map(\.kernel)
    where text.isEmpty || text.utf8.count > 64 || !text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) {
      return "its date, revision, version of QEMU or a kernel is no short word"
    }
    guard !guests.isEmpty else { return "it has no guest" }
    guard Set(guests.map(\.series)).count == guests.count else { return "it has two guests of one kernel" }
    for guest in guests {
      for count in guest.counts where !(1...1_000_000_000).contains(count.instructions) {
        return "\(count.instructions) instructions cannot be, of \(count.name) on kernel \(guest.kernel)"
      }
    }
    return nil
  }

  /// Adds the figure, every series of which says that it is emulated.
  func add(to results: inout BenchResults) {
    let figure = BenchFigure(
      key: "cost-instructions", title: "Null upcall beside a process that is woken, emulated", part: .cost,
      axis: "", unit: "instructions", better: .lower,
      note:
        "Counted by QEMU \(qemu) (icount) in guests of kernels \(guests.map(\.kernel).joined(separator: ", ")), \(date)\(revision.map { ", commit \($0)" } ?? ""): instructions, not time, and none of this machine's. The fewest of 2,000. Upcall: both crossings included. Process: a byte to it and one back through pipes, on one processor."
    )
    for guest in guests {
      for count in guest.counts {
        results.add(
          Double(count.instructions), to: figure, way: "\(count.name), kernel \(guest.series) (emulated)",
          round: 0)
      }
    }
  }
}
