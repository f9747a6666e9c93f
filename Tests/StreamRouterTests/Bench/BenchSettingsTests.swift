import Foundation
import Testing
import Topology

@testable import StreamRouter

/// What is typed behind `streamrouter bench`.
@Suite struct BenchSettingsTests {
  @Test("thread counts stand in rising order, once each")
  func threads() throws {
    #expect(try BenchSettings.threads(from: "8,0, 64,8") == [0, 8, 64])
  }

  @Test("what is no number of threads is named", arguments: ["", "1,,2", "-1", "1025", "two", "1;2"])
  func wrongThreads(text: String) {
    #expect(throws: BenchError.self) { try BenchSettings.threads(from: text) }
  }

  @Test("ways by name and by group, in the order of charts")
  func ways() throws {
    #expect(try BenchSettings.ways(from: "sandbox,process") == [.process, .sandbox])
    #expect(try BenchSettings.ways(from: "own") == BenchWay.own)
    #expect(try BenchSettings.ways(from: "kernel,peers") == [.kernel] + BenchWay.peers)
    #expect(throws: BenchError.self) { try BenchSettings.ways(from: "sandbx") }
  }

  @Test("costs by name; without a name all, and none where the part is not measured")
  func costs() throws {
    #expect(try BenchSettings.costs(from: "processor, path") == [.path, .processor])
    #expect(throws: BenchError.usage("'upcal' is no cost; there are path, upcall, processor")) {
      try BenchSettings.costs(from: "upcal")
    }
    #expect(throws: BenchError.self) { try BenchSettings.costs(from: "") }
    var settings = BenchSettings(parts: [.cost])
    #expect(BenchCost.allCases.allSatisfy { settings.measures($0) })
    #expect(settings.needsNetwork)
    settings.costs = [.upcall]
    #expect(settings.measures(.upcall) && !settings.measures(.path) && !settings.measures(.processor))
    #expect(!settings.needsNetwork)
    settings.parts = [.udp, .cost]
    #expect(settings.needsNetwork)
    settings.parts = [.udp]
    #expect(!settings.measures(.upcall))
  }

  @Test("results of before there were costs to choose are read")
  func olderResults() throws {
    var results = BenchFixture.results()
    results.settings.costs = nil
    let text = String(decoding: try results.json(), as: UTF8.self)
    #expect(!text.contains("\"costs\""))
    #expect(try JSONDecoder().decode(BenchResults.self, from: Data(text.utf8)) == results)
  }

  @Test("peers join at their own thread counts")
  func peers() {
    let settings = BenchSettings()
    #expect(settings.measures(.sandbox, at: 2))
    #expect(!settings.measures(.nginx, at: 2))
    #expect(settings.measures(.nginx, at: 8))
  }

  @Test("the topology of a benchmark's relay is one that validates, however many streams and sinks it has")
  func topology() throws {
    for setting in [BenchRelay.Setting.process, .processRR, .sandbox] {
      var relay = BenchRelay(setting: setting, streams: 3, firstPort: 10_000)
      relay.sinks = (0..<16).map { "10.77.2.2:\(6000 + $0)" }
      let topology = try Topology.decode(yaml: relay.text(name: "bench-1", extension: nil), file: "bench.yaml")
      #expect(topology.streams.count == 3)
      #expect(topology.streams.allSatisfy { $0.to.count == 16 })
    }
  }

  @Test("rtpengine's control protocol: a dictionary in the order of its keys, and the port of an answer")
  func rtpengine() {
    #expect(
      RTPEngineControl.bencode(["sdp": "v=0", "command": "offer"])
        == "d7:command5:offer3:sdp3:v=05:flagsl13:trust-addresse3:ICE6:removee")
    #expect(RTPEngineControl.mediaPort(in: "d3:sdp40:v=0\r\nm=audio 30012 RTP/AVP 0\r\n6:result2:oke") == 30012)
    #expect(RTPEngineControl.mediaPort(in: "d6:result5:errore") == nil)
  }
}
