import Foundation

/// The exchange of an authority: the next one is made and trusted, then signs, then the former is dropped. Each step may
/// be repeated, and a crash within one leaves the state before it or after it.
extension AuthorityStore {
  /// Makes the next authority and adds it to what is trusted. Switch only after all nodes have fetched the new bundle:
  /// who lacks it will take the controller for a stranger.
  public func beginRotation(at now: Date) throws {
    try step(.rotationBegun, at: now) { state, change in
      if state.next != nil { return false }
      guard state.former == nil else { throw IdentityError.rotationUnfinished }
      let next = try CertificateAuthority(at: now)
      try keep(next, in: change)
      state.next = next.digest
      return true
    }
  }

  /// From now on the next authority signs. The controller renews its own certificate at once: tokens name the authority
  /// that signs, and who joins with one expects that.
  public func switchRotation(at now: Date) throws {
    try step(.rotationSwitched, at: now) { state, _ in
      guard let next = state.next else {
        if state.former != nil { return false }
        throw IdentityError.noRotation
      }
      // Where another machine made it, its key may not be here: then nothing could be signed any more.
      _ = try Authority.key(next, Authority.certificate(next, directory), directory)
      state.former = state.signing
      state.signing = next
      state.next = nil
      return true
    }
  }

  /// Drops the former authority from what is trusted.
  /// - Parameter force: also while certificates that it signed are in use; who holds one must join again.
  /// - Throws: ``IdentityError/notRenewed(_:)``, with the names that hold such a certificate and no newer one.
  public func finishRotation(at now: Date, force: Bool = false) throws {
    try step(.rotationFinished, at: now) { state, _ in
      guard let former = state.former else {
        if state.next != nil { throw IdentityError.rotationNotSwitched }
        return false
      }
      let behind = try rolesWithout(state.signing, butWith: former, at: now)
      guard force || behind.isEmpty else { throw IdentityError.notRenewed(behind) }
      state.former = nil
      return true
    }
  }

  /// The names that are not ready for the next step of the exchange: whose latest good certificate is from before this
  /// phase began. Who renews gets the trust bundle of the phase with it.
  public func behind(at now: Date) throws -> [Role] {
    let state = try load().state
    switch (state.next, state.former) {
    case (nil, nil): return []
    case (nil, let former?): return try rolesWithout(state.signing, butWith: former, at: now)
    case (_?, _):
      // The second in which the phase began belongs to both; a renewal too many does no harm.
      return Dictionary(grouping: try holders(at: now).filter { !$0.isRevoked }, by: \.role)
        .filter { $0.value.allSatisfy { $0.issued <= state.since } }.keys.sorted { $0.uri < $1.uri }
    }
  }

  /// The names that hold a good certificate of the one authority, and none of the other.
  private func rolesWithout(
    _ signing: CertificateDigest, butWith former: CertificateDigest, at now: Date
  ) throws -> [Role] {
    let revocations = try revocations()
    let good = try directory.require(IssuedCertificates.self, in: Self.issuedFile).valid(at: now)
      .filter { !revocations.contains($0.serial) }
    let renewed = Set(good.filter { $0.authority == signing }.map(\.role))
    return Set(good.filter { $0.authority == former }.map(\.role)).subtracting(renewed).sorted {
      $0.uri < $1.uri
    }
  }

  private func step(
    _ event: AuditLine.Event, at now: Date,
    _ body: (inout AuthorityState, StateDirectory.Change) throws -> Bool
  ) throws {
    try audit.note(event, directory.path, at: now) {
      _ = try AuthorityState.read(directory)
      try directory.change { change in
        var state = try Authority.read(directory).state
        if try body(&state, change) {
          state.since = now.wholeSeconds
          try change.write(value: state, to: AuthorityState.file)
        }
        try tidy(change)
      }
    }
  }

  func keep(_ authority: CertificateAuthority, in change: StateDirectory.Change) throws {
    try change.write(authority.key.pem.utf8, to: AuthorityState.keyFile(authority.digest))
    try change.write(PEM.text(authority.encoded).utf8, to: AuthorityState.certificateFile(authority.digest))
  }

  /// Makes the trust bundle's file follow the state, and removes keys and certificates that no state names: also those
  /// that a crash left. The former authority's key goes at the switch: it never signs again.
  func tidy(_ change: StateDirectory.Change) throws {
    let authority = try Authority.read(directory)
    let trust = Array(authority.trust.pem.utf8)
    if try directory.read(Self.trustFile) != trust { try change.write(trust, to: Self.trustFile) }
    let state = authority.state
    let wanted =
      state.trusted.map(AuthorityState.certificateFile)
      + [state.signing, state.next].compactMap { $0 }.map(AuthorityState.keyFile)
    for name in try directory.names() where name.hasPrefix("ca-") && !wanted.contains(name) {
      try change.remove(name)
    }
  }
}
