import Foundation
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import StreamRouter

/// How a node comes to a controller where it knows of several.
@Suite(.serialized)
struct ControllerPlacesTests {
  private static let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  private static func address(_ port: Int) throws -> ControllerAddress {
    try #require(ControllerAddress("127.0.0.1:\(port)"))
  }

  @Test(
    "one that is dead and one that takes connections and is silent are passed by, and the one that answers is kept"
  )
  func silentController() async throws {
    let here = try ControllerFixture()
    defer { here.remove() }
    let paths = try here.paths("edge")
    try here.issue(.node("edge"), to: paths)
    let silent = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup).bind(
      host: "127.0.0.1", port: 0
    ).get()
    let port = try #require(silent.localAddress?.port)
    // Nobody has port 1.
    let note = ControllerNote(
      addresses: [try Self.address(1), try Self.address(port), here.listen], node: "control")
    let places = ControllerPlaces(note, path: paths.controllerNote, log: Self.log)
    try await here.run {
      try await here.member("edge", paths: paths, places: places) { _ in
        #expect(places.addresses.first == here.listen)
        let kept = try DurableFile.read(paths.controllerNote, as: ControllerNote.self)
        #expect(kept?.addresses == [here.listen] + note.addresses.dropLast())
      }
    }
    try await silent.close().get()
  }

  @Test("what a controller says of the others is taken, but the address that works stays")
  func learning() throws {
    let (a, b, c) = (try Self.address(1), try Self.address(2), try Self.address(3))
    let places = ControllerPlaces(ControllerNote(addresses: [a, b], node: "control"), path: nil, log: Self.log)
    places.learn([], from: a)
    #expect(places.addresses == [a, b])
    // It does not know under which address it is reached from here, and b is there no more.
    places.learn(["127.0.0.1:3", "nonsense:::"], from: a)
    #expect(places.addresses == [a, c])
    places.answered(c)
    #expect(places.addresses == [c, a])
    places.learn((100..<200).map { "127.0.0.1:\($0)" }, from: c)
    #expect(places.addresses.first == c && places.addresses.count == 17)
  }

  @Test("a list of addresses is read whole or not at all")
  func lists() throws {
    #expect(ControllerAddress.list("a:1,b:2,[fd00::1]:3")?.count == 3)
    for text in ["", "a:1,", ",a:1", "a:1,a:1", "a:1,b:x"] {
      #expect(ControllerAddress.list(text) == nil, "\(text)")
    }
  }

  @Test("a note of one controller is the file that it always was")
  func oldNote() throws {
    let old = #"{"address":"10.0.0.1:7117","node":"control"}"#
    let note = try JSONDecoder().decode(ControllerNote.self, from: Data(old.utf8))
    #expect(note.addresses.map(\.description) == ["10.0.0.1:7117"])
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    #expect(String(decoding: try encoder.encode(note), as: UTF8.self) == old)
  }
}
