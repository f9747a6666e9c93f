/// One key as the monitor understands it.
enum Key: Hashable, Sendable {
  case character(Character)
  /// A letter with Ctrl held.
  case control(Character)
  case up, down, left, right, pageUp, pageDown, home, end
  case enter, escape, backspace, tab, delete
}

/// Turns the bytes of a terminal into keys: a state machine without clock or terminal.
///
/// An escape byte may be the key or the beginning of a sequence, and only time can tell: while ``isWaiting``,
/// the caller waits a moment (``escapeDelayMs``) for more bytes and, if none come, calls ``timeout()``.
struct KeyDecoder: Hashable, Sendable {
  /// How long an escape byte may stand alone before it is the key. Sequences come in one piece, except over slow
  /// links.
  static let escapeDelayMs: Int32 = 50
  /// A longer sequence is none that a terminal sends; its bytes are dropped.
  private static let longestSequence = 32

  private enum State: Hashable {
    case ground
    case escape
    /// After `ESC [` or `ESC O`: the bytes so far.
    case sequence([UInt8])
    /// Within a UTF-8 character: the bytes so far, and how many it has.
    case utf8([UInt8], length: Int)
  }

  private var state = State.ground

  /// Whether bytes are held that may be a key by themselves.
  var isWaiting: Bool { state != .ground }

  mutating func feed(_ bytes: some Sequence<UInt8>) -> [Key] {
    bytes.flatMap { feed($0) }
  }

  /// No byte came for ``escapeDelayMs``: what is held is all there is.
  mutating func timeout() -> [Key] {
    defer { state = .ground }
    return state == .escape ? [.escape] : []
  }

  private mutating func feed(_ byte: UInt8) -> [Key] {
    switch state {
    case .ground:
      return start(byte)
    case .escape:
      if byte == UInt8(ascii: "[") || byte == UInt8(ascii: "O") {
        state = .sequence([byte])
        return []
      }
      // Alt and a key arrive as escape and the key; the monitor has no use for Alt but must not swallow the key.
      state = .ground
      return [.escape] + start(byte)
    case .sequence(var bytes):
      bytes.append(byte)
      if byte == 0x1b {
        state = .escape
        return []
      }
      let isFinal = (0x40...0x7e).contains(byte)
      state = isFinal || bytes.count > Self.longestSequence ? .ground : .sequence(bytes)
      return isFinal ? Self.key(sequence: bytes).map { [$0] } ?? [] : []
    case .utf8(var bytes, let length):
      guard byte & 0xc0 == 0x80 else {
        state = .ground
        return start(byte)
      }
      bytes.append(byte)
      state = bytes.count < length ? .utf8(bytes, length: length) : .ground
      guard bytes.count == length, let text = String(validating: bytes, as: UTF8.self), let first = text.first
      else { return [] }
      return [.character(first)]
    }
  }

  private mutating func start(_ byte: UInt8) -> [Key] {
    switch byte {
    case 0x1b:
      state = .escape
      return []
    case 0x0a, 0x0d: return [.enter]
    case 0x09: return [.tab]
    case 0x08, 0x7f: return [.backspace]
    case 0x01...0x1a: return [.control(Character(Unicode.Scalar(byte + 0x60)))]
    case 0x20...0x7e: return [.character(Character(Unicode.Scalar(byte)))]
    case 0xc2...0xdf: state = .utf8([byte], length: 2)
    case 0xe0...0xef: state = .utf8([byte], length: 3)
    case 0xf0...0xf4: state = .utf8([byte], length: 4)
    default: break
    }
    return []
  }

  /// The key of a CSI or SS3 sequence as xterm, the Linux console and rxvt send them; nil for all others.
  private static func key(sequence: [UInt8]) -> Key? {
    guard let final = sequence.last else { return nil }
    switch final {
    case UInt8(ascii: "A"): return .up
    case UInt8(ascii: "B"): return .down
    case UInt8(ascii: "C"): return .right
    case UInt8(ascii: "D"): return .left
    case UInt8(ascii: "H"): return .home
    case UInt8(ascii: "F"): return .end
    case UInt8(ascii: "M") where sequence.first == UInt8(ascii: "O"): return .enter
    case UInt8(ascii: "~"):
      let number = sequence.dropFirst().prefix { (0x30...0x39).contains($0) }
      switch String(decoding: number, as: UTF8.self) {
      case "1", "7": return .home
      case "3": return .delete
      case "4", "8": return .end
      case "5": return .pageUp
      case "6": return .pageDown
      default: return nil
      }
    default: return nil
    }
  }
}
