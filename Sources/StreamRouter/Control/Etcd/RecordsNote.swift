import Foundation

/// Says that the records of this machine's authority are in etcd, and where: `records.json` beside its keys. Commands on the
/// authority follow it, so nobody has to repeat to them where etcd is.
struct RecordsNote: Hashable, Sendable, Codable {
  /// `etcd://HOST:PORT,...`.
  var store: String
  var installation: String
  /// Files for TLS.
  var authority: String?
  var certificate: String?
  var key: String?

  init(_ place: EtcdPlace) {
    store = "etcd://\(place.members.map(\.description).joined(separator: ","))"
    installation = place.installation
    // Commands are given in other folders.
    func absolute(_ path: String?) -> String? { path.map { URL(filePath: $0).path } }
    authority = absolute(place.security?.authority)
    certificate = absolute(place.security?.certificate)
    key = absolute(place.security?.key)
  }

  /// nil: the records are files.
  static func read(_ state: StatePaths) throws -> RecordsNote? {
    try DurableFile.read(state.recordsNote, as: RecordsNote.self)
  }

  func place(_ state: StatePaths) throws -> EtcdPlace {
    let isSecure = authority != nil || certificate != nil
    guard
      let place = EtcdPlace(
        store, installation: installation,
        security: isSecure ? .init(authority: authority, certificate: certificate, key: key) : nil)
    else {
      throw ControlError.unreadable(path: state.recordsNote.string, reason: "it names no members of etcd")
    }
    return place
  }
}
