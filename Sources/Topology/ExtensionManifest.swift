/// What a built extension says of itself: the meaning of its parameters and counters, and what it needs.
///
/// Whoever reads one from an object refuses it while ``flaws`` has any.
public struct ExtensionManifest: Hashable, Sendable, Codable {
  /// 1 to 32 of a-z, 0-9 and -.
  public var name: String
  /// The author's own, such as `1.2.0`.
  public var version: String
  /// The version of the interface between extension and relay that it was built for.
  public var abi: Int
  /// One sentence.
  public var summary: String
  /// In the order of the author's struct.
  public var parameters: [Parameter]
  /// Names of the counters, in the order of their numbers.
  public var counters: [String]
  /// The name of the histogram, where there is one.
  public var histogram: String?
  /// Bytes of the state that the extension keeps between packets.
  public var stateBytes: Int
  /// Bytes of the parameter record.
  public var parameterBytes: Int
  /// What a node must offer to run it.
  public var needs: [Function]
  /// What it uses where a node offers it.
  public var likes: [Function]

  public init(
    name: String, version: String, abi: Int, summary: String, parameters: [Parameter] = [],
    counters: [String] = [], histogram: String? = nil, stateBytes: Int = 0, parameterBytes: Int = 0,
    needs: [Function] = [], likes: [Function] = []
  ) {
    self.name = name
    self.version = version
    self.abi = abi
    self.summary = summary
    self.parameters = parameters
    self.counters = counters
    self.histogram = histogram
    self.stateBytes = stateBytes
    self.parameterBytes = parameterBytes
    self.needs = needs
    self.likes = likes
  }

  /// What was built before extensions could ask for anything asks for nothing.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      name: try fields.decode(String.self, forKey: .name),
      version: try fields.decode(String.self, forKey: .version),
      abi: try fields.decode(Int.self, forKey: .abi),
      summary: try fields.decode(String.self, forKey: .summary),
      parameters: try fields.decode([Parameter].self, forKey: .parameters),
      counters: try fields.decode([String].self, forKey: .counters),
      histogram: try fields.decodeIfPresent(String.self, forKey: .histogram),
      stateBytes: try fields.decode(Int.self, forKey: .stateBytes),
      parameterBytes: try fields.decode(Int.self, forKey: .parameterBytes),
      needs: try fields.decodeIfPresent([Function].self, forKey: .needs) ?? [],
      likes: try fields.decodeIfPresent([Function].self, forKey: .likes) ?? [])
  }

  /// What an extension can ask for beyond its packet's bytes (`PacketFunction` of the SDK).
  public enum Function: String, Hashable, Sendable, Codable, CaseIterable {
    case hold, emit, parity, hash
  }

  public func parameter(_ name: String) -> Parameter? { parameters.first { $0.name == name } }

  /// One field of the parameter record.
  public struct Parameter: Hashable, Sendable, Codable {
    /// A letter, then letters, digits and _.
    public var name: String
    public var type: ParameterType
    /// Bytes from the start of the record.
    public var offset: Int
    public var `default`: ParameterValue
    /// Narrower bounds than those of the type.
    public var minimum: ParameterValue?
    public var maximum: ParameterValue?
    /// One sentence.
    public var summary: String

    public init(
      name: String, type: ParameterType, offset: Int, default: ParameterValue, minimum: ParameterValue? = nil,
      maximum: ParameterValue? = nil, summary: String = ""
    ) {
      self.name = name
      self.type = type
      self.offset = offset
      self.default = `default`
      self.minimum = minimum
      self.maximum = maximum
      self.summary = summary
    }

    /// The integers that the parameter takes; nil for a boolean.
    public var range: ClosedRange<Int128>? {
      type.range.map { range in
        let low = max(range.lowerBound, minimum?.integer ?? range.lowerBound)
        let high = min(range.upperBound, maximum?.integer ?? range.upperBound)
        // Bounds that leave nothing are a flaw of the manifest.
        return low <= high ? low...high : range
      }
    }

    /// Whether the value is of the parameter's type and within its bounds.
    public func accepts(_ value: ParameterValue) -> Bool {
      switch (range, value.integer) {
      case (nil, nil): true
      case (let range?, let integer?): range.contains(integer)
      default: false
      }
    }

    /// What to write as the value.
    var remedy: String {
      range.map { "write a number from \($0.lowerBound) to \($0.upperBound)" } ?? "write true or false"
    }
  }

  /// How a parameter stands in the record: a byte of 0 or 1, or an integer.
  public enum ParameterType: String, Hashable, Sendable, Codable, CaseIterable {
    case bool, uint8, uint16, uint32, uint64, int8, int16, int32, int64

    public var bytes: Int {
      switch self {
      case .bool, .uint8, .int8: 1
      case .uint16, .int16: 2
      case .uint32, .int32: 4
      case .uint64, .int64: 8
      }
    }

    /// nil for a boolean.
    public var range: ClosedRange<Int128>? {
      let half = Int128(1) << Int128(bytes * 8 - 1)
      return switch self {
      case .bool: nil
      case .uint8, .uint16, .uint32, .uint64: 0...(half * 2 - 1)
      case .int8, .int16, .int32, .int64: -half...(half - 1)
      }
    }
  }
}

// MARK: - The parameter record

extension ExtensionManifest {
  /// The parameter record that the extension reads: ``parameterBytes`` long, integers little endian, zero between
  /// the fields.
  ///
  /// A parameter that is not set, or not as ``flaws(in:)`` wants it, has its default. Nothing is written outside
  /// the record, whatever a manifest with ``flaws`` says.
  public func record(_ settings: [String: ParameterValue]) -> [UInt8] {
    var record = [UInt8](repeating: 0, count: min(max(0, parameterBytes), Limits.parameterBytes))
    for parameter in parameters where record.indices.contains(parameter.offset) {
      let value = settings[parameter.name].flatMap { parameter.accepts($0) ? $0 : nil } ?? parameter.default
      var bits = value.bits
      for at in parameter.offset..<min(parameter.offset + parameter.type.bytes, record.count) {
        record[at] = UInt8(truncatingIfNeeded: bits)
        bits >>= 8
      }
    }
    return record
  }

  /// What is wrong with settings that were decoded without this manifest at hand, a sentence each.
  public func flaws(in settings: [String: ParameterValue]) -> [String] {
    settings.sorted { $0.key < $1.key }.compactMap { name, value in
      guard let parameter = parameter(name) else {
        return "extension \(Words.quote(self.name)) has no parameter \(Words.quote(name))"
      }
      return parameter.accepts(value)
        ? nil
        : "parameter \(Words.quote(name)) of extension \(Words.quote(self.name)) is \(value); \(parameter.remedy)"
    }
  }

  /// Why the manifest cannot be true, a sentence each; empty where it can.
  public var flaws: [String] {
    var flaws: [String] = []
    if !Grammar.isName(name, limit: Limits.nameLength) { flaws.append("\(Words.quote(name)) is no name") }
    if stateBytes < 0 { flaws.append("the state has \(stateBytes) bytes") }
    if !(0...Limits.parameterBytes).contains(parameterBytes) {
      flaws.append("the parameter record has \(parameterBytes) bytes; \(Limits.parameterBytes) are the limit")
    }
    if parameters.count > Limits.parametersPerExtension {
      flaws.append("\(parameters.count) parameters; \(Limits.parametersPerExtension) are the limit")
    }
    var names: Set<String> = []
    var taken: Set<Int> = []
    for parameter in parameters.prefix(Limits.parametersPerExtension) {
      let what = "parameter \(Words.quote(parameter.name))"
      if !Grammar.isParameterName(parameter.name) { flaws.append("\(what) has no name of letters and digits") }
      if !names.insert(parameter.name).inserted { flaws.append("\(what) stands twice") }
      if parameter.offset >= 0, parameter.offset <= parameterBytes,
        parameter.type.bytes <= parameterBytes - parameter.offset
      {
        let place = Set(parameter.offset..<parameter.offset + parameter.type.bytes)
        if !taken.isDisjoint(with: place) { flaws.append("\(what) overlaps another") }
        taken.formUnion(place)
      } else {
        flaws.append("\(what) lies outside the parameter record")
      }
      let values = [parameter.default] + [parameter.minimum, parameter.maximum].compactMap(\.self)
      if !values.allSatisfy(parameter.accepts) {
        flaws.append("\(what) has a default or bounds that its type or bounds exclude")
      }
      if let low = parameter.minimum?.integer, let high = parameter.maximum?.integer, low > high {
        flaws.append("\(what) has bounds that leave no value")
      }
    }
    return flaws
  }
}
