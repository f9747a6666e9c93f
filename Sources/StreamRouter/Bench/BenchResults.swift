import Foundation

/// What a run of benchmarks found, with the machine that it ran on: one JSON document, from which everything else is made.
public struct BenchResults: Codable, Hashable, Sendable {
  /// A way that could not be measured, and why.
  public struct Skipped: Codable, Hashable, Sendable {
    public var part: BenchPart
    public var way: String
    public var reason: String
  }

  /// Of this layout. Files of another one are refused.
  public static let format = 1

  public var format = BenchResults.format
  public var program = Version.current
  /// The commit that was built, where the program stands in its source tree; with `+` where that was changed since.
  public var revision: String?
  /// When the run began, ISO 8601.
  public var date: String
  public var machine: BenchMachine
  public var settings: BenchSettings
  /// What must be known of the run itself, such as a sender that could not be SCHED_FIFO.
  public var remarks: [String] = []
  public var figures: [BenchFigure] = []
  public var skipped: [Skipped] = []

  public init(date: String, machine: BenchMachine, settings: BenchSettings) {
    self.date = date
    self.machine = machine
    self.settings = settings
  }

  public func figure(_ key: String) -> BenchFigure? { figures.first { $0.key == key } }

  /// Adds a value to a figure, which is declared by the first.
  mutating func add(_ value: Double?, to declared: BenchFigure, way: String, x: Int = 0, round: Int) {
    if let place = figures.firstIndex(where: { $0.key == declared.key }) {
      figures[place].add(value, way: way, x: x, round: round)
    } else {
      var figure = declared
      figure.add(value, way: way, x: x, round: round)
      figures.append(figure)
    }
  }

  /// Notes once why a way is not there.
  mutating func skip(_ way: String, in part: BenchPart, because reason: String) {
    let entry = Skipped(part: part, way: way, reason: reason)
    if !skipped.contains(entry) { skipped.append(entry) }
  }

  public func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(self)
  }

  /// Reads a results.json, or that of a folder.
  ///
  /// - Throws: ``BenchError/unreadable(file:reason:)``.
  public init(path: String) throws(BenchError) {
    var file = path
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
      file = path + "/results.json"
    }
    struct Format: Decodable { var format: Int }
    do {
      let data = try Data(contentsOf: URL(fileURLWithPath: file))
      let format = try JSONDecoder().decode(Format.self, from: data).format
      guard format == Self.format else {
        throw BenchError.unreadable(
          file: file, reason: "it has format \(format), and this program reads format \(Self.format)")
      }
      self = try JSONDecoder().decode(Self.self, from: data)
    } catch let error as BenchError {
      throw error
    } catch is DecodingError {
      throw .unreadable(file: file, reason: "it is no results.json of 'streamrouter bench --output'")
    } catch {
      throw .unreadable(file: file, reason: error.localizedDescription)
    }
  }
}
