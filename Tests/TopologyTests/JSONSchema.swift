import Foundation

@testable import Topology

/// Checks values against the keywords of JSON Schema draft-07 that topologies/schema.json uses; any other keyword
/// is an error, so that the schema cannot say what this checker overlooks.
struct JSONSchema {
  let root: [String: Any]

  init(_ text: String) throws {
    let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
    guard let root = value as? [String: Any] else { throw Failure.notAnObject }
    self.root = root
  }

  enum Failure: Error {
    case notAnObject
  }

  func definition(_ name: String) -> [String: Any] {
    (root["definitions"] as? [String: Any])?[name] as? [String: Any] ?? [:]
  }

  /// Why the value does not fit; empty where it does.
  func errors(_ value: YAMLValue) -> [String] { errors(value, root, at: "") }

  private func errors(_ value: YAMLValue, _ schema: Any, at path: String) -> [String] {
    if let allowed = schema as? Bool { return allowed ? [] : ["\(path): not allowed"] }
    guard let schema = schema as? [String: Any] else { return ["\(path): the schema is no object"] }
    return schema.sorted { $0.key < $1.key }.flatMap { keyword, argument in
      check(value, keyword, argument, schema).map { "\(path): \($0)" }
        + children(value, keyword, argument, schema, path)
    }
  }

  /// The value itself.
  private func check(_ value: YAMLValue, _ keyword: String, _ argument: Any, _ schema: [String: Any])
    -> [String]
  {
    func fails(_ condition: Bool) -> [String] { condition ? ["fails \(keyword) \(argument)"] : [] }
    let limit = argument as? Int ?? 0
    switch keyword {
    case "$schema", "title", "description", "definitions", "properties", "items", "additionalProperties",
      "propertyNames", "$ref", "allOf":
      return []
    case "type":
      let types = argument as? [String] ?? [argument as? String ?? ""]
      return fails(!types.contains { fits(value, type: $0) })
    case "const": return fails(value.integer != limit)
    case "enum": return fails(!(argument as? [String] ?? []).contains(value.string ?? "\0"))
    case "pattern":
      guard let text = value.string, let pattern = argument as? String else { return [] }
      return fails(text.range(of: pattern, options: .regularExpression) == nil)
    case "minLength": return fails((value.string?.count).map { $0 < limit } ?? false)
    case "maxLength": return fails((value.string?.count).map { $0 > limit } ?? false)
    case "minimum": return fails(value.integer.map { $0 < limit } ?? false)
    case "maximum": return fails(value.integer.map { $0 > limit } ?? false)
    case "minItems": return fails(value.items.map { $0.count < limit } ?? false)
    case "maxItems": return fails(value.items.map { $0.count > limit } ?? false)
    case "minProperties": return fails(value.fields.map { $0.count < limit } ?? false)
    case "maxProperties": return fails(value.fields.map { $0.count > limit } ?? false)
    case "required":
      let keys = Set(value.fields?.map(\.key.text) ?? [])
      return value.fields == nil ? [] : fails(!keys.isSuperset(of: argument as? [String] ?? []))
    case "anyOf": return fails(!alternatives(argument).contains { errors(value, $0, at: "").isEmpty })
    case "oneOf": return fails(alternatives(argument).count { errors(value, $0, at: "").isEmpty } != 1)
    default: return ["the schema uses keyword \(keyword), which this checker does not know"]
    }
  }

  /// What is inside.
  private func children(
    _ value: YAMLValue, _ keyword: String, _ argument: Any, _ schema: [String: Any], _ path: String
  ) -> [String] {
    let properties = schema["properties"] as? [String: Any] ?? [:]
    switch keyword {
    case "$ref":
      let name = (argument as? String ?? "").split(separator: "/").last.map(String.init) ?? ""
      return errors(value, definition(name), at: path)
    case "allOf": return alternatives(argument).flatMap { errors(value, $0, at: path) }
    case "properties":
      return (value.fields ?? []).flatMap { field in
        properties[field.key.text].map { errors(field.value, $0, at: path + "/" + field.key.text) } ?? []
      }
    case "additionalProperties":
      return (value.fields ?? []).filter { properties[$0.key.text] == nil }.flatMap {
        errors($0.value, argument, at: path + "/" + $0.key.text)
      }
    case "propertyNames":
      return (value.fields ?? []).flatMap {
        errors(
          YAMLValue(content: .scalar($0.key.text, plain: false), position: $0.key.position), argument,
          at: path + "/" + $0.key.text)
      }
    case "items":
      return (value.items ?? []).enumerated().flatMap {
        errors($0.element, argument, at: path + "/\($0.offset)")
      }
    default: return []
    }
  }

  private func alternatives(_ argument: Any) -> [Any] { argument as? [Any] ?? [] }

  private func fits(_ value: YAMLValue, type: String) -> Bool {
    switch type {
    case "object": value.fields != nil
    case "array": value.items != nil
    case "integer", "number": value.integer != nil
    case "string": value.string != nil && value.integer == nil
    case "boolean": value.isBoolean
    default: false
    }
  }
}

extension YAMLValue {
  fileprivate var string: String? {
    if case .scalar(let text, _) = content, !isNull { text } else { nil }
  }
  fileprivate var isBoolean: Bool {
    if case .scalar(let text, plain: true) = content { ["true", "false"].contains(text) } else { false }
  }
  fileprivate var integer: Int? {
    if case .scalar(let text, plain: true) = content { Int(text) } else { nil }
  }
  fileprivate var items: [YAMLValue]? {
    if case .sequence(let items) = content { items } else { nil }
  }
  fileprivate var fields: [(key: YAMLKey, value: YAMLValue)]? {
    if case .mapping(let entries) = content { entries } else { nil }
  }
}
