import Foundation

/// What happened to who may take part, for a log that is kept. Never holds a secret.
public struct AuditLine: Hashable, Sendable, CustomStringConvertible {
  public enum Event: String, Sendable, CaseIterable {
    case authorityCreated = "authority-created"
    case certificateSigned = "certificate-signed"
    case certificateRenewed = "certificate-renewed"
    case certificateRevoked = "certificate-revoked"
    case tokenCreated = "token-created"
    case tokenRemoved = "token-removed"
    case tokenRedeemed = "token-redeemed"
    case rotationBegun = "rotation-begun"
    case rotationSwitched = "rotation-switched"
    case rotationFinished = "rotation-finished"
  }

  public enum Outcome: Hashable, Sendable {
    case done
    case refused(String)
  }

  public let time: Date
  public let event: Event
  /// Whom or what it is about. What a stranger gave as its name stands here only if it is a name.
  public let subject: String
  public let outcome: Outcome

  public var description: String {
    switch outcome {
    case .done: "\(time.inWords) \(event.rawValue) \(subject): done"
    case .refused(let reason): "\(time.inWords) \(event.rawValue) \(subject): refused: \(reason)"
    }
  }
}

/// Where audit lines go.
public struct Audit: Sendable {
  let write: @Sendable (AuditLine) -> Void

  /// - Parameter write: called for each line, by who acts, while the directory may be locked: it must not use the store.
  public init(_ write: @escaping @Sendable (AuditLine) -> Void) { self.write = write }

  func done(_ event: AuditLine.Event, _ subject: String, at now: Date) {
    write(AuditLine(time: now, event: event, subject: subject, outcome: .done))
  }

  func refused(_ event: AuditLine.Event, _ subject: String, at now: Date, _ reason: String) {
    write(AuditLine(time: now, event: event, subject: subject, outcome: .refused(reason)))
  }

  /// Runs the body and notes how it ended.
  func note<Result>(
    _ event: AuditLine.Event, _ subject: String, at now: Date, _ body: () throws -> Result
  ) throws -> Result {
    do {
      let result = try body()
      done(event, subject, at: now)
      return result
    } catch {
      refused(event, subject, at: now, "\(error)")
      throw error
    }
  }
}
