// What an extension says of itself. `extension build` compiles the author's file for this machine too, runs it once,
// and reads the description from its output; nothing of this is part of the built extension.

extension RelayExtension {
  /// Where the program that describes the extension starts; the author does not call it.
  public static func main() {
    #if !hasFeature(Embedded)
      ExtensionDescription.print(of: Self.self)
    #endif
  }
}

#if !hasFeature(Embedded)
  /// Writes the description as one JSON object; what is wrong with the extension as lines that start with `error: `.
  enum ExtensionDescription {
    static func print<Extension: RelayExtension>(of type: Extension.Type) {
      var errors: [String] = []
      let parameters = fields(of: Extension(), Extension.parameters, &errors)
      let counters: [String] =
        Extension.Counter.self == NoCounter.self ? [] : Extension.Counter.allCases.map { "\($0)" }
      for (place, counter) in Extension.Counter.allCases.enumerated() where Int(counter.rawValue) != place {
        errors.append("counter \(counter) has the raw value \(counter.rawValue); leave raw values out")
      }
      if counters.count > 16 { errors.append("\(counters.count) counters; 16 is the most") }
      let stateBytes = MemoryLayout<Extension.State>.size
      if stateBytes > 65_536 { errors.append("State takes \(stateBytes) bytes; 65536 is the most") }
      guard errors.isEmpty else {
        for error in errors { Swift.print("error: \(error)") }
        return
      }
      let state = unsafe withUnsafeBytes(of: Extension.State()) { unsafe $0.prefix(stateBytes).map { $0 } }
      let members = [
        "\"type\": \(quoted("\(Extension.self)"))",
        "\"version\": \(quoted("\(Extension.version)"))",
        "\"summary\": \(quoted("\(Extension.summary)"))",
        "\"histogram\": \(quoted("\(Extension.histogram)"))",
        "\"parameterBytes\": \(MemoryLayout<Extension>.size)",
        "\"parameters\": [\(parameters.joined(separator: ", "))]",
        "\"counters\": [\(counters.map(quoted).joined(separator: ", "))]",
        "\"needs\": [\(Extension.needs.map { quoted("\($0)") }.joined(separator: ", "))]",
        "\"likes\": [\(Extension.likes.map { quoted("\($0)") }.joined(separator: ", "))]",
        "\"stateBytes\": \(stateBytes)",
        // Most states start as zeros.
        "\"state\": [\(state.allSatisfy { $0 == 0 } ? "" : state.map { "\($0)" }.joined(separator: ","))]",
      ]
      Swift.print("{\(members.joined(separator: ", "))}")
    }

    private static func fields<Extension: RelayExtension>(
      of value: Extension, _ notes: [Parameter], _ errors: inout [String]
    ) -> [String] {
      var offset = 0
      var found: [String] = []
      var names: [String] = []
      for child in Mirror(reflecting: value).children {
        let name = child.label ?? "?"
        guard let kind = kind(of: child.value) else {
          errors.append(
            "property \(name) has type \(type(of: child.value)); parameters are integers of a fixed width and Bool"
          )
          continue
        }
        names.append(name)
        // Swift lays stored properties out in their order, each at the next multiple of its alignment.
        offset = (offset + kind.bytes - 1) / kind.bytes * kind.bytes
        let note = notes.first { "\($0.name)" == name }
        var members = [
          "\"name\": \(quoted(name))", "\"type\": \(quoted(kind.name))", "\"offset\": \(offset)",
          "\"default\": \(child.value)", "\"summary\": \(quoted(note.map { "\($0.summary)" } ?? ""))",
        ]
        if let minimum = note?.minimum { members.append("\"minimum\": \(minimum)") }
        if let maximum = note?.maximum { members.append("\"maximum\": \(maximum)") }
        found.append("{\(members.joined(separator: ", "))}")
        offset += kind.bytes
      }
      for note in notes where !names.contains("\(note.name)") {
        errors.append("parameters names \(note.name), which is no stored property")
      }
      return found
    }

    private static func kind(of value: Any) -> (name: String, bytes: Int)? {
      switch value {
      case is Bool: ("bool", 1)
      case is UInt8: ("uint8", 1)
      case is UInt16: ("uint16", 2)
      case is UInt32: ("uint32", 4)
      case is UInt64: ("uint64", 8)
      case is Int8: ("int8", 1)
      case is Int16: ("int16", 2)
      case is Int32: ("int32", 4)
      case is Int64: ("int64", 8)
      default: nil
      }
    }

    private static func quoted(_ text: String) -> String {
      var result = "\""
      for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        default: result += scalar.value < 32 ? " " : String(scalar)
        }
      }
      return result + "\""
    }
  }
#endif
