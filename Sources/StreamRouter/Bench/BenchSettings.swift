/// How much a benchmark measures, and of what.
public struct BenchSettings: Codable, Hashable, Sendable {
  public var parts: [BenchPart]
  /// Background threads on the relay's processor, one measurement each.
  public var threads: [Int] = [0, 1, 2, 4, 8, 16, 32, 64]
  /// Peers join at these thread counts only, which are those at which they are judged.
  public var peerThreads: [Int] = [0, 8, 64]
  public var ways: [BenchWay] = BenchWay.own
  /// Rounds in which the ways take turns.
  public var repetitions = 3
  /// Length of one measurement of throughput; longer where threads that take turns would be cut off.
  public var seconds = 0.3
  /// Length of a paced stream whose transfer time is measured, in each round.
  public var transferSeconds = 2.0
  /// The file that is fetched over TCP.
  public var tcpMegabytes = 1024
  /// After which time a fetch is ended, and its rate taken from what has come.
  public var tcpSecondsAtMost = 6.0
  /// Built extensions whose cost is measured, `FILE` or `FILE,parameter=value`.
  public var extensions: [String] = []
  /// An extension for the way sandbox-extension instead of the one that lets everything through.
  public var passExtension: String?
  /// Of part cost; nil is all. Results of older versions do not have it.
  public var costs: [BenchCost]?
  /// Whether costs are measured once more without the account.
  public var withoutAccount = false
  /// Where the configurations of the peers stand.
  public var peersDirectory = "Benchmarks/peers"

  /// Payload of each datagram.
  static let payloadBytes = 200
  /// Datagrams a second of the stream whose transfer time is measured.
  static let transferRate = 5000

  public init(parts: [BenchPart] = BenchPart.allCases) { self.parts = parts }

  /// For a first look: some minutes instead of forty.
  public mutating func makeQuick() {
    threads = [0, 8, 64]
    repetitions = 1
    seconds = 0.15
    transferSeconds = 1
    tcpMegabytes = 256
    tcpSecondsAtMost = 2
  }

  /// Whether a cost is among those that are measured.
  func measures(_ cost: BenchCost) -> Bool { parts.contains(.cost) && costs?.contains(cost) != false }

  /// Whether packets are sent from namespace to namespace.
  var needsNetwork: Bool { parts != [.cost] || measures(.processor) }

  /// Whether a way is measured at a thread count.
  func measures(_ way: BenchWay, at threads: Int) -> Bool { !way.isPeer || peerThreads.contains(threads) }

  /// Reads `0,1,2,4`, in rising order, without repetitions.
  ///
  /// - Throws: ``BenchError/usage(_:)``: no list of numbers from 0 to 1,024.
  public static func threads(from text: String) throws(BenchError) -> [Int] {
    var found: Set<Int> = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let count = Int(part.filter { $0 != " " }), (0...1024).contains(count) else {
        throw .usage("'\(part)' is no number of threads; write numbers from 0 to 1024, as in 0,1,2,4")
      }
      found.insert(count)
    }
    return found.sorted()
  }

  /// Reads `path,upcall`.
  ///
  /// - Throws: ``BenchError/usage(_:)``: one of the names is unknown.
  public static func costs(from text: String) throws(BenchError) -> [BenchCost] {
    var found: [BenchCost] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let word = part.filter { $0 != " " }
      guard let cost = BenchCost(rawValue: word) else {
        throw .usage(
          "'\(word)' is no cost; there are \(BenchCost.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      found.append(cost)
    }
    return BenchCost.allCases.filter(found.contains)
  }

  /// Reads `process,sandbox`, or `own`, `peers`, `all`.
  ///
  /// - Throws: ``BenchError/usage(_:)``: one of the names is unknown.
  public static func ways(from text: String) throws(BenchError) -> [BenchWay] {
    var found: [BenchWay] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let word = part.filter { $0 != " " }
      switch word {
      case "own": found += BenchWay.own
      case "peers": found += BenchWay.peers
      case "all": found += BenchWay.allCases
      default:
        guard let way = BenchWay(rawValue: word) else {
          throw .usage(
            "'\(word)' is no way; there are \(BenchWay.allCases.map(\.rawValue).joined(separator: ", ")), and own, peers, all"
          )
        }
        found.append(way)
      }
    }
    return BenchWay.allCases.filter(found.contains)
  }
}
