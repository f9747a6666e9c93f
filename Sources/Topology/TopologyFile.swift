#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The way from a YAML file to a valid ``Topology``, or to everything that is wrong with it.
extension Topology {
  /// Decodes and validates YAML text. `file` is what problems call it. Extensions are checked for being in the
  /// catalog and taking the parameters they are given, unless it is nil.
  ///
  /// - Throws: ``TopologyError/invalid(_:)`` with every problem, in the order of the file.
  public static func decode(
    yaml: String, file: String, extensions: ExtensionCatalog? = nil
  ) throws(TopologyError) -> Topology {
    var decoder = TopologyDecoder(file: file, catalog: extensions)
    guard yaml.utf8.count <= Limits.fileBytes else { throw tooLarge(file) }
    var reader = YAMLReader(yaml)
    let root = reader.read()
    for fault in reader.faults { decoder.report(fault.position, fault.message, fault.remedy) }
    if let root {
      decoder.decode(root)
      for finding in decoder.draft.findings(linksAreComplete: decoder.linksAreComplete) {
        decoder.report(decoder.position(of: finding.place), finding.message, finding.remedy)
      }
    }
    guard decoder.problems.isEmpty, root != nil else { throw .invalid(decoder.problems.inOrder()) }
    return decoder.draft
  }

  /// Reads, decodes and validates a file, as ``decode(yaml:file:extensions:)`` does text; `-` is standard input. The
  /// only I/O of this room.
  ///
  /// - Throws: ``TopologyError``.
  public static func load(
    path: String, extensions: ExtensionCatalog? = nil
  ) throws(TopologyError) -> Topology {
    try decode(yaml: text(of: path), file: path, extensions: extensions)
  }

  /// The text of a YAML file, not larger than a topology may be.
  ///
  /// - Throws: ``TopologyError``.
  static func text(of path: String) throws(TopologyError) -> String {
    let bytes = try bytes(of: path)
    // Before looking at the text: reading stopped at the limit, perhaps within a character.
    guard bytes.count <= Limits.fileBytes else { throw tooLarge(path) }
    guard let yaml = String(validating: bytes, as: UTF8.self) else {
      let (line, column) = firstInvalid(bytes)
      throw .invalid([
        Problem(
          file: path, line: line, column: column, message: "the file is not UTF-8 text",
          remedy: "save it as UTF-8")
      ])
    }
    return yaml
  }

  private static func tooLarge(_ file: String) -> TopologyError {
    .invalid([
      Problem(
        file: file, line: 1, column: 1, message: "the file is larger than \(Limits.fileBytes) bytes",
        remedy: "split the topology")
    ])
  }

  private static func bytes(of path: String) throws(TopologyError) -> [UInt8] {
    let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .unreadable(file: path, reason: String(cString: strerror(errno))) }
    defer { if descriptor != STDIN_FILENO { close(descriptor) } }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    // One byte over the limit is enough for decode to refuse the file.
    while bytes.count <= Limits.fileBytes {
      let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .unreadable(file: path, reason: String(cString: strerror(errno))) }
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    return bytes
  }

  /// Line and column of the first byte that is not UTF-8.
  private static func firstInvalid(_ bytes: [UInt8]) -> (line: Int, column: Int) {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var (line, column) = (1, 1)
    while case .scalarValue(let scalar) = decoder.decode(&iterator) {
      (line, column) = scalar == "\n" ? (line + 1, 1) : (line, column + 1)
    }
    return (line, column)
  }
}

extension TopologyDecoder {
  /// Where a part of the draft stands; where it was left out, the part that should hold it.
  func position(of place: Place) -> Position {
    if let position = positions[place] { return position }
    let outer: Place? =
      switch place {
      case .topology: nil
      case .node, .link, .stream: .topology
      case .address(let node, _): .node(node)
      case .linkAddress(let link, _), .mtu(let link): .link(link)
      case .from(let stream), .via(let stream, _), .sink(let stream, _), .sources(let stream),
        .family(let stream), .extensionUse(let stream, _):
        .stream(stream)
      case .extensionNode(let stream, let use, _): .extensionUse(stream: stream, use)
      }
    return outer.map { position(of: $0) } ?? .start
  }
}

extension [Problem] {
  /// By position; what was found first stays first at the same place, and nothing stands twice.
  func inOrder() -> [Problem] {
    var seen: Set<Problem> = []
    return enumerated()
      .sorted {
        ($0.element.line, $0.element.column, $0.offset) < ($1.element.line, $1.element.column, $1.offset)
      }
      .map(\.element)
      .filter { seen.insert($0).inserted }
  }
}
