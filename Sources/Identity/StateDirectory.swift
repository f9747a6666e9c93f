import Foundation

/// A directory that holds keys and what belongs to them: mode 0700, files 0600, each replaced as a whole. The one place
/// of this room that calls the system.
struct StateDirectory: Sendable {
  let path: String
  /// Called after each change that a crash would leave behind. Tests look at every state there.
  var afterChange: @Sendable () -> Void = {}
  /// Where the records of an authority are shared: takes the place of their files.
  var draft: AuthorityDraft?

  private static let lockName = "lock"

  func path(of name: String) -> String { "\(path)/\(name)" }

  /// Makes the directory, not those above it, or takes rights on it away from others.
  func make() throws(IdentityError) {
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failure("make", path) }
    guard chmod(path, 0o700) == 0 else { throw failure("set the mode of", path) }
  }

  /// The names of all files.
  func names() throws(IdentityError) -> [String] {
    if let draft { return try filesNames().filter(AuthorityDraft.isKey) + draft.files.keys }
    return try filesNames()
  }

  private func filesNames() throws(IdentityError) -> [String] {
    guard let stream = opendir(path) else { throw failure("list", path) }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) { name in
          name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names
  }

  /// The whole file; nil where there is none.
  /// - Parameter secret: whether to refuse a file that others may read.
  func read(_ name: String, secret: Bool = false) throws(IdentityError) -> [UInt8]? {
    if let draft, !AuthorityDraft.isKey(name) { return draft[name] }
    let path = path(of: name)
    // O_NONBLOCK: a pipe in place of a file must not hold us.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw failure("open", path)
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure("look at", path) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .damaged(path: path, reason: "it is no file") }
    guard status.st_size <= IdentityLimits.fileBytes else {
      throw .damaged(path: path, reason: "it is larger than \(IdentityLimits.fileBytes) bytes")
    }
    guard !secret || status.st_mode & 0o077 == 0 else {
      throw .tooOpen(path: path, mode: status.st_mode & 0o7777)
    }
    return try bytes(of: descriptor, path, count: Int(status.st_size))
  }

  private func bytes(of descriptor: Int32, _ path: String, count: Int) throws(IdentityError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let count = bytes.withUnsafeMutableBytes { buffer in
        Foundation.read(descriptor, buffer.baseAddress! + filled, buffer.count - filled)
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure("read", path) }
      guard count > 0 else { throw .damaged(path: path, reason: "it became shorter while it was read") }
      filled += count
    }
    return bytes
  }

  /// Runs the body as the only one who changes this directory, in this process or another.
  func change<Result>(_ body: (Change) throws -> Result) throws -> Result {
    let lock = path(of: Self.lockName)
    let descriptor = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw failure("open", lock) }
    // Closing lets the lock go.
    defer { close(descriptor) }
    while flock(descriptor, LOCK_EX) != 0 {
      guard errno == EINTR else { throw failure("lock", lock) }
    }
    return try body(Change(directory: self))
  }

  /// The right to change files: only who holds the lock has one, and keeps none. (That it cannot be kept would follow from
  /// a type that cannot be copied; Swift 6.3.1's optimiser aborts on generic functions that lend one to a closure.)
  struct Change {
    fileprivate let directory: StateDirectory

    /// Replaces the file: after a crash the old one is there or the new one, whole.
    func write(_ bytes: some Collection<UInt8>, to name: String) throws(IdentityError) {
      if let draft = directory.draft, !AuthorityDraft.isKey(name) {
        draft[name] = Array(bytes)
        return
      }
      let target = directory.path(of: name)
      let temporary = directory.path(of: ".\(name).new")
      // What a crash may have left.
      unlink(temporary)
      let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
      guard descriptor >= 0 else { throw directory.failure("create", temporary) }
      do {
        defer { close(descriptor) }
        try write(Array(bytes), descriptor, temporary)
      } catch {
        unlink(temporary)
        throw error
      }
      guard rename(temporary, target) == 0 else {
        let failure = directory.failure("replace", target)
        unlink(temporary)
        throw failure
      }
      try settle()
    }

    func move(_ name: String, to other: String) throws(IdentityError) {
      guard rename(directory.path(of: name), directory.path(of: other)) == 0 else {
        throw directory.failure("rename", directory.path(of: name))
      }
      try settle()
    }

    /// Removes the file, if it is there.
    func remove(_ name: String) throws(IdentityError) {
      if let draft = directory.draft {
        if AuthorityDraft.isKey(name) { draft.spend(key: name) } else { draft[name] = nil }
        return
      }
      guard unlink(directory.path(of: name)) == 0 else {
        if errno == ENOENT { return }
        throw directory.failure("remove", directory.path(of: name))
      }
      try settle()
    }

    private func write(_ bytes: [UInt8], _ descriptor: Int32, _ path: String) throws(IdentityError) {
      var written = 0
      while written < bytes.count {
        let count = bytes.withUnsafeBytes { buffer in
          Foundation.write(descriptor, buffer.baseAddress! + written, buffer.count - written)
        }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw directory.failure("write", path) }
        written += count
      }
      guard fsync(descriptor) == 0 else { throw directory.failure("flush", path) }
    }

    /// Names are on the disk once the directory is.
    private func settle() throws(IdentityError) {
      let descriptor = open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      guard descriptor >= 0 else { throw directory.failure("open", directory.path) }
      defer { close(descriptor) }
      guard fsync(descriptor) == 0 else { throw directory.failure("flush", directory.path) }
      directory.afterChange()
    }
  }

  private func failure(_ action: String, _ path: String) -> IdentityError {
    .file(path: path, action: action, errno: errno)
  }
}

extension StateDirectory {
  /// The value in a file of ours; nil where there is no file.
  func value<Value: Decodable>(_ type: Value.Type, in name: String) throws(IdentityError) -> Value? {
    guard let bytes = try read(name) else { return nil }
    do {
      return try StateCoding.decode(type, from: bytes)
    } catch {
      throw .damaged(path: path(of: name), reason: "it is not the JSON that was written")
    }
  }
}

extension StateDirectory {
  /// As ``value(_:in:)``, for a file that was made with the directory: losing it must not pass for an empty one.
  func require<Value: Decodable>(_ type: Value.Type, in name: String) throws(IdentityError) -> Value {
    guard let value = try value(type, in: name) else {
      throw .damaged(path: path(of: name), reason: "it is missing")
    }
    return value
  }
}

extension StateDirectory.Change {
  func write(value: some Encodable, to name: String) throws {
    try write(StateCoding.encode(value), to: name)
  }
}
