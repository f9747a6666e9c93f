/// A value of an extension's parameter: a boolean or an integer of up to 64 bits.
///
/// Each integer has one form: ``init(exactly:)``, decoding and topology files give `signed` to those below zero
/// only, and `==` counts on that. In JSON it is a bare boolean or number.
public enum ParameterValue: Hashable, Sendable {
  case bool(Bool)
  case unsigned(UInt64)
  /// Below zero.
  case signed(Int64)

  /// nil where neither UInt64 nor Int64 can hold the number.
  public init?(exactly number: Int128) {
    if let value = UInt64(exactly: number) {
      self = .unsigned(value)
    } else if let value = Int64(exactly: number) {
      self = .signed(value)
    } else {
      return nil
    }
  }

  /// Reads a value as topology files write it: `true`, `false`, `12`, `-12`, `5M` or `0x60`.
  public init?(_ text: String) {
    if let bool = Bool(text) {
      self = .bool(bool)
    } else if let number = Int128(parameter: text, plain: true) {
      self.init(exactly: number)
    } else {
      return nil
    }
  }

  /// nil for a boolean.
  public var integer: Int128? {
    switch self {
    case .bool: nil
    case .unsigned(let value): Int128(value)
    case .signed(let value): Int128(value)
    }
  }

  /// The value in two's complement; the lower bytes of it are the value in a shorter type that can hold it.
  var bits: UInt64 {
    switch self {
    case .bool(let value): value ? 1 : 0
    case .unsigned(let value): value
    case .signed(let value): UInt64(bitPattern: value)
    }
  }

  /// Every integer that a parameter of some type can hold.
  static let integers = Int128(Int64.min)...Int128(UInt64.max)
}

extension ParameterValue: CustomStringConvertible {
  /// `true`, `false` or decimal digits.
  public var description: String {
    switch self {
    case .bool(let value): "\(value)"
    case .unsigned(let value): "\(value)"
    case .signed(let value): "\(value)"
    }
  }
}

extension ParameterValue: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(UInt64.self) {
      self = .unsigned(value)
    } else if let value = try? container.decode(Int64.self) {
      self = .signed(value)
    } else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "a parameter's value is neither a boolean nor an integer of 64 bits")
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .bool(let value): try container.encode(value)
    case .unsigned(let value): try container.encode(value)
    case .signed(let value): try container.encode(value)
    }
  }
}
