import Foundation
import Identity
import Logging

/// What a controller sees to before anyone hears of it: that it has the records of the authority, those that the others have
/// too where there are others.
struct ControllerRecords: Sendable {
  let state: StatePaths
  let audit: Audit
  let log: Logger

  private static let pause = Duration.seconds(1)

  /// The authority of the one controller.
  ///
  /// - Throws: ``ControlError/recordsElsewhere(note:store:)``: what the files say is out of date.
  func inFiles() throws -> (SharedAuthority, LiveVerifier) {
    if let note = try RecordsNote.read(state) {
      throw ControlError.recordsElsewhere(note: state.recordsNote.string, store: note.store)
    }
    let files = AuthorityStore(directory: state.authority.string, audit: audit)
    return (
      SharedAuthority(directory: state.authority.string, audit: audit),
      LiveVerifier(try .init(files), files: files, log: log)
    )
  }

  /// Sees that etcd has the records, and that they are those of the authority whose key is here; the first controller brings
  /// its own. Waits for an etcd that does not answer.
  ///
  /// - Returns: With what is known of the authority before the first peer comes.
  func share(at place: EtcdPlace) async throws -> LiveVerifier {
    try await place.withClient { client in
      let authority = SharedAuthority(
        directory: state.authority.string, records: EtcdRecords(client), audit: audit)
      let note = try RecordsNote.read(state)
      let hasBegun = try await patiently { try await authority.share(mayBegin: note == nil) }
      if hasBegun {
        log.notice(
          "tokens, certificates and revocations are in etcd from here on; the files in \(state.authority) stay as they are now, and only the keys there count"
        )
      }
      // Also where its members have other addresses now.
      if note != RecordsNote(place) { try DurableFile.write(RecordsNote(place), to: state.recordsNote) }
      let known = try await patiently { try await authority.perform { try LiveVerifier.Known($0) } }
      return LiveVerifier(known, files: nil, log: log)
    }
  }

  private func patiently<Result: Sendable>(
    _ body: @Sendable () async throws -> Result
  ) async throws -> Result {
    var told = ""
    while true {
      do { return try await body() } catch let error as ControlError {
        guard case .storeUnreachable = error else { throw error }
        if told != "\(error)" { log.error("\(error)") }
        told = "\(error)"
      }
      try await Task.sleep(for: Self.pause)
    }
  }
}
