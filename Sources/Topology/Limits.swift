/// Every limit of a topology file, in one place. A limit that is passed is an error that names it.
public enum Limits {
  /// Bytes of a file.
  public static let fileBytes = 1 << 20
  /// Collections inside collections.
  static let depth = 32
  /// Values of a file, those behind aliases counted each time.
  static let values = 100_000
  /// What aliases of collections may make of a file, in bytes: Yams hashes mapping keys before anyone can count
  /// them.
  static let expandedBytes = 4 << 20
  /// Keys given twice that are reported in one run; each costs another pass over the file.
  static let duplicateKeys = 32

  /// Problems of a file that are reported.
  static let problems = 1000
  /// Bytes read again, all passes together, to find keys given twice.
  static let recomposedBytes = 4 << 20

  /// Nodes of a topology.
  public static let nodes = 1024
  /// Links of a topology.
  public static let links = 8192
  /// Streams of a topology.
  public static let streams = 4096
  /// Addresses of a node.
  public static let addressesPerNode = 16
  /// SR_MAX_SINKS of Sources/CStreamRouter/include/streamrouter_abi.h, which this room must not import: a test
  /// of the room StreamRouter compares the two.
  public static let sinksPerRelay = 16
  /// SR_MAX_SOURCES of the same header.
  public static let sourcesPerRelay = 16

  /// Extensions that a relay runs on each packet.
  public static let extensionsPerRelay = 4
  /// Parameters of an extension.
  public static let parametersPerExtension = 64
  /// Bytes of an extension's parameter record: as many as that many parameters of the longest type take.
  public static let parameterBytes = parametersPerExtension * 8

  /// Characters of the name of an extension's parameter.
  public static let parameterNameLength = 64
  /// Characters of a topology's, a node's or an extension's name.
  public static let nameLength = 32
  /// Characters of a stream's name: SR_NAME_BYTES without the terminating NUL.
  public static let streamNameLength = 63
  /// Labels of a node.
  public static let labelsPerNode = 64
  /// Characters of a label's key or value.
  public static let labelLength = 256

  /// Bytes of an IP packet that every IPv4 host takes (RFC 791 section 3.1), to the largest that IPv4 can say.
  public static let mtu = 576...65_535
  /// The least that a link for IPv6 must carry, in bytes (RFC 8200 section 5).
  public static let ipv6MTU = 1280
  /// Milliseconds from one test packet of a link to the next.
  public static let probeIntervalMs = 10...60_000
  /// Where nodes answer test packets unless the file says otherwise. The port of the protocol itself, 862 (RFC 8762
  /// section 4.1), takes a privilege, which nodes of engine process alone do not need.
  public static let usualProbePort: UInt16 = 8622
  /// Priorities of SCHED_RR and SCHED_FIFO on Linux (sched(7)).
  public static let priority = 1...99
  /// The priority where the file names none.
  public static let defaultPriority = 10
  /// Hz of RTP timestamps.
  public static let clockRate = 1...1_000_000_000
}
