import Foundation
import TestSupport
import Testing

@testable import Topology

@Suite struct ExtensionManifestTests {
  private let police = ExtensionCatalog.example["police"]!

  @Test func recordHoldsDefaultsLittleEndianAndZeroBetween() {
    #expect(police.record([:]) == [0x40, 0x42, 0x0f, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0xfe, 0xff, 0, 1])
    #expect(ExtensionCatalog.example["mark"]?.record([:]) == [])
  }

  @Test func recordHoldsSettings() {
    let settings: [String: ParameterValue] = [
      "rate": .unsigned(.max), "burst": .unsigned(0x201), "bias": .signed(-32768), "dryRun": .bool(false),
    ]
    #expect(police.flaws(in: settings) == [])
    #expect(
      police.record(settings) == Array(repeating: 0xff, count: 8) + [1, 2, 0, 0] + [0, 0x80] + [0, 0])
    #expect(police.record(["bias": .unsigned(100)])[12...13] == [100, 0])
  }

  @Test func whatDoesNotFitCountsAsNotSet() {
    let settings: [String: ParameterValue] = [
      "rate": .signed(-1), "burst": .bool(true), "bias": .unsigned(101), "dryRun": .unsigned(0),
      "more": .unsigned(1),
    ]
    #expect(police.record(settings) == police.record([:]))
    #expect(
      police.flaws(in: settings) == [
        "parameter 'bias' of extension 'police' is 101; write a number from -32768 to 100",
        "parameter 'burst' of extension 'police' is true; write a number from 1 to 1000",
        "parameter 'dryRun' of extension 'police' is 0; write true or false",
        "extension 'police' has no parameter 'more'",
        "parameter 'rate' of extension 'police' is -1; write a number from 0 to 18446744073709551615",
      ])
  }

  @Test(arguments: ExtensionManifest.ParameterType.allCases)
  func everyTypeKeepsItsBounds(_ type: ExtensionManifest.ParameterType) throws {
    let other: ParameterValue = type == .bool ? .bool(false) : .unsigned(1)
    let parameter = ExtensionManifest.Parameter(name: "p", type: type, offset: 1, default: other)
    let manifest = ExtensionManifest(
      name: "x", version: "1", abi: 1, summary: "", parameters: [parameter], parameterBytes: type.bytes + 2)
    #expect(manifest.flaws == [])
    guard let range = type.range else {
      #expect(manifest.record(["p": .bool(true)]) == [0, 1, 0])
      return
    }
    for bound in [range.lowerBound, range.upperBound] {
      let value = try #require(ParameterValue(exactly: bound))
      let field = manifest.record(["p": value]).dropFirst().dropLast()
      #expect(field.count == type.bytes)
      // Read back, sign and all.
      let bits = field.reversed().reduce(Int128(0)) { $0 << 8 | Int128($1) }
      #expect((bits > range.upperBound ? bits - Int128(1) << (8 * type.bytes) : bits) == bound)
      #expect(manifest.record(["p": value]).first == 0 && manifest.record(["p": value]).last == 0)
    }
    for past in [range.lowerBound - 1, range.upperBound + 1] {
      if let value = ParameterValue(exactly: past) { #expect(!parameter.accepts(value)) }
    }
  }

  @Test func manifestsAreReadAsTheyAreWritten() throws {
    let data = try JSONEncoder().encode(police)
    #expect(try JSONDecoder().decode(ExtensionManifest.self, from: data) == police)
    let json = """
      {"name": "thin", "version": "1.0.0", "abi": 1, "summary": "", "counters": [], "stateBytes": 0,
       "parameterBytes": 4, "parameters": [{"name": "n", "type": "int32", "offset": 0, "default": -3,
       "maximum": 7, "summary": "Every nth."}]}
      """
    let thin = try JSONDecoder().decode(ExtensionManifest.self, from: Data(json.utf8))
    #expect(
      thin.parameters == [
        .init(
          name: "n", type: .int32, offset: 0, default: .signed(-3), maximum: .unsigned(7), summary: "Every nth."
        )
      ])
    #expect(thin.histogram == nil)
  }

  @Test(arguments: ["1.5", "\"5\"", "null", "18446744073709551616", "-9223372036854775809"])
  func valuesAreBooleansOrIntegers(_ json: String) {
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([ParameterValue].self, from: Data("[\(json)]".utf8))
    }
  }

  @Test func flawsAreNamed() {
    #expect(police.flaws == [])
    func flaws(_ change: (inout ExtensionManifest) -> Void) -> [String] {
      var manifest = police
      change(&manifest)
      return manifest.flaws
    }
    #expect(flaws { $0.name = "Police" } == ["'Police' is no name"])
    #expect(flaws { $0.stateBytes = -1 } == ["the state has -1 bytes"])
    #expect(flaws { $0.parameterBytes = 15 } == ["parameter 'dryRun' lies outside the parameter record"])
    #expect(flaws { $0.parameterBytes = -1 }.count == 5)
    #expect(flaws { $0.parameterBytes = .max }.count == 1)
    #expect(flaws { $0.parameters[0].offset = .max } == ["parameter 'rate' lies outside the parameter record"])
    #expect(flaws { $0.parameters[3].offset = 13 } == ["parameter 'dryRun' overlaps another"])
    #expect(flaws { $0.parameters[3].name = "rate" } == ["parameter 'rate' stands twice"])
    #expect(
      flaws { $0.parameters[3].name = "dry run" } == ["parameter 'dry run' has no name of letters and digits"])
    #expect(
      flaws { $0.parameters[1].default = .unsigned(0) }
        == ["parameter 'burst' has a default or bounds that its type or bounds exclude"])
    #expect(
      flaws { $0.parameters[1].minimum = .unsigned(1001) }.last
        == "parameter 'burst' has bounds that leave no value")
  }

  /// Whatever a manifest says of itself, the record is made without a trap.
  @Test(arguments: 0..<50)
  func recordsOfFalseManifestsNeverTrap(seed: Int) {
    var random = SeededRandom(seed: UInt64(seed))
    func number() -> Int { [-1, 0, 3, 7, 16, .max, .min].randomElement(using: &random)! }
    let values: [ParameterValue] = [.bool(true), .signed(-1), .unsigned(.max), .unsigned(7)]
    let parameters = (0..<5).map { index in
      ExtensionManifest.Parameter(
        name: "p\(index)", type: ExtensionManifest.ParameterType.allCases.randomElement(using: &random)!,
        offset: number(), default: values.randomElement(using: &random)!,
        minimum: values.randomElement(using: &random), maximum: values.randomElement(using: &random))
    }
    let manifest = ExtensionManifest(
      name: "x", version: "", abi: 0, summary: "", parameters: parameters, stateBytes: number(),
      parameterBytes: number())
    _ = manifest.flaws
    #expect(manifest.record(["p1": values[2]]).count <= Limits.parameterBytes)
  }

  @Test func theFirstOfOneNameCounts() {
    var other = police
    other.version = "9"
    #expect(ExtensionCatalog([police, other])["police"] == police)
  }
}
