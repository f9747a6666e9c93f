import ArgumentParser
import Foundation
import StreamRouter

/// What an option or, without it, a variable of the environment says.
enum EnvironmentSetting {
  /// A flag comes before the environment; what is wrong is said with the name of whichever it was.
  static func read<Value>(
    _ option: String, _ given: String?, _ variable: String, _ fallback: Value, _ read: (String) throws -> Value
  ) throws -> Value {
    let inherited = ProcessInfo.processInfo.environment[variable].flatMap { $0.isEmpty ? nil : $0 }
    guard let text = given ?? inherited else { return fallback }
    do {
      return try read(text)
    } catch {
      throw ValidationError("\(given == nil ? "\(variable)=\(text)" : "\(option) \(text)"): \(error)")
    }
  }
}

/// The option --columns, which the live view and reports share.
enum ColumnSetting {
  static func choice(_ given: String?) throws -> ColumnChoice {
    try EnvironmentSetting.read("--columns", given, "STREAMROUTER_COLUMNS", ColumnChoice()) {
      try ColumnChoice($0)
    }
  }
}
