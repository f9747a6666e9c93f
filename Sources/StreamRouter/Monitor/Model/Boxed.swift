/// A large value behind one reference, copied when a copy of it changes: a board of 1,000 relays copies and sorts its
/// rows at each reading.
@propertyWrapper
struct Boxed<Value: Sendable>: Sendable {
  // Sendable: changed only while nobody else refers to it.
  private final class Storage: @unchecked Sendable {
    var value: Value

    init(_ value: Value) { self.value = value }
  }

  private var storage: Storage

  init(wrappedValue: Value) { storage = Storage(wrappedValue) }

  var wrappedValue: Value {
    _read { yield storage.value }
    _modify {
      if !isKnownUniquelyReferenced(&storage) { storage = Storage(storage.value) }
      yield &storage.value
    }
  }
}
