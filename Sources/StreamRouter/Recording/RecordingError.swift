/// What can be wrong with a recording.
public enum RecordingError: Error, Hashable, Sendable {
  /// It cannot be opened.
  case unreadable(path: String, reason: String)
  /// It is another kind of file.
  case notARecording(path: String)
  /// A program of another version made it.
  case otherVersion(path: String, found: Int, known: Int)
  /// It is a recording, but parts of it are not what a recorder writes.
  case damaged(path: String, reason: String)
  /// No reading is in it, or none within the time that was asked for.
  case empty(path: String, reason: String)
  /// To be written to, but it holds something else.
  case isTaken(path: String)
  case otherTopology(path: String, found: String, wanted: String)
  /// Another recorder writes to it.
  case isBusy(path: String)
  case cannotWrite(path: String, reason: String, isPermission: Bool)
}

extension RecordingError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unreadable(let path, let reason): "\(path) cannot be read: \(reason)"
    case .notARecording(let path):
      "\(path) is no recording; make one with 'streamrouter monitor --record FILE'"
    case .otherVersion(let path, let found, let known):
      "\(path) is a recording of version \(found), this program knows version \(known); use the program that made it"
    case .damaged(let path, let reason):
      "\(path) is damaged: \(reason); copy it again from where it was recorded"
    case .empty(let path, let reason): "\(path): \(reason)"
    case .isTaken(let path):
      "\(path) exists and is no recording; it is left as it is. Give another name, or remove it"
    case .otherTopology(let path, let found, let wanted):
      "\(path) is a recording of topology \(found), not of \(wanted); give another name"
    case .isBusy(let path): "another monitor records to \(path); give another name"
    case .cannotWrite(let path, let reason, _): "recording to \(path) failed: \(reason)"
    }
  }
}
