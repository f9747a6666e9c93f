import EtcdAPI
import Foundation

extension EtcdStore {
  /// A value in etcd: the same JSON as a file would hold, with the text of the topology apart.
  struct Written<Body: Codable & Sendable>: Codable, Sendable {
    var body: Body
    /// The content hash of the text that the body lacks.
    var topology: String?
    /// The transaction that wrote it: whoever lost its answer knows by this that it was carried out.
    var write: String

    private init(body: Body, topology: String?, write: String) {
      self.body = body
      self.topology = topology
      self.write = write
    }
  }

  static func encode(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(value)
  }

  static func encode(_ number: UInt64) -> Data { Data("\(number)".utf8) }

  static func number(_ value: EtcdKeyValue) throws -> UInt64 {
    guard let number = UInt64(String(decoding: value.value, as: UTF8.self)) else {
      throw ControlError.damaged(key: value.name, reason: "it is no number")
    }
    return number
  }

  static func decode<Body>(_ value: EtcdKeyValue) throws -> Written<Body> {
    do { return try JSONDecoder().decode(Written<Body>.self, from: value.value) } catch {
      throw ControlError.damaged(key: value.name, reason: "it is no value of this version")
    }
  }

  static func recorded(_ value: EtcdKeyValue) throws -> Written<Recorded> { try decode(value) }
}

extension EtcdStore.Written<Deployment> {
  init(_ body: Deployment, _ topology: String?, _ write: String) {
    var body = body
    body.revision.yaml = ""
    self.init(body: body, topology: topology, write: write)
  }
}

extension EtcdStore.Written<Recorded> {
  init(_ body: Recorded, _ topology: String?, _ write: String) {
    var body = body
    body.revision.yaml = ""
    self.init(body: body, topology: topology, write: write)
  }
}
