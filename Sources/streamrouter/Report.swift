import Foundation

/// Messages to the user: standard error, so that standard output holds only data.
enum Report {
  static func error(_ message: String) {
    FileHandle.standardError.write(Data("streamrouter: \(message)\n".utf8))
  }

  static func note(_ message: String) {
    FileHandle.standardError.write(Data((message + "\n").utf8))
  }
}
