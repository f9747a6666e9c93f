import SystemPackage

extension EngineError {
  public var description: String {
    switch self {
    case .unsupported(let engine, let reason, let remedy):
      return "engine \(engine.rawValue) cannot run here: \(reason); \(remedy)"
    case .failed(let engine, let operation, let subject, let errno, let detail):
      let why = errno == 0 ? "" : ": \(Errno(rawValue: errno))"
      return "engine \(engine.rawValue): \(operation) \(subject) failed\(why)"
        + (detail.isEmpty ? "" : "\n\(detail)")
    case .full(let engine, let capacity):
      return
        "engine \(engine.rawValue): all \(capacity) relays are taken; start the node with a larger --relay-capacity"
    }
  }
}
