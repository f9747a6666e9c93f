import Foundation
import Testing
import Topology

@testable import StreamRouter

/// A sender and a receiver that report to each other, over two streams that lead there and back. Each hop knows what
/// both say, apart from what it counts itself.
///
///     gst-launch-1.0 --> camera ---- edge ---- studio --> gst-launch-1.0     RTP, sender reports; 5 % lost to the edge
///                    <--        <----     <----       <--                    receiver reports
@Suite(.serialized, .enabled(if: LabFixture.obstacle == nil, "\(LabFixture.obstacle ?? "")"))
struct ConversationTests {
  private static let streams = """
      there: {protocol: rtp, from: "camera:5004", to: "studio:5004"}
      back: {protocol: rtp, from: "studio:5014", to: "camera:5014"}
    """
  private static let obstacle: String? = {
    let found = LabShell.searchPath.split(separator: ":").contains {
      FileManager.default.isExecutableFile(atPath: "\($0)/gst-launch-1.0")
    }
    return found ? nil : "needs gst-launch-1.0: run scripts/setup.sh test"
  }()

  @Test(
    "each hop reads the reports of both ends", .enabled(if: obstacle == nil, "\(obstacle ?? "")"),
    .timeLimit(.minutes(3)), arguments: [EngineChoice.sandbox, .process])
  func reportsOfBothEnds(engine: EngineChoice) async throws {
    let live = try LiveLab("talk", engine: engine, streams: Self.streams)
    try await live.use {
      let program = try LabFiles.ownExecutable().removingLastComponent().appending(LiveLab.program).string
      let request = LabImpairmentRequest(link: "camera--edge", direction: .aToB, lossPercent: 5)
      _ = try await live.lab.impair(request, enter: { [program, "lab", "impair-here"] + $0 })
      async let receiver = live.run("studio", Self.receiver)
      let sender = try await live.run("camera", Self.sender)
      #expect(sender.succeeded || sender.status == Self.ended, "\(sender.status): \(sender.errors)")
      _ = try await receiver
      let (there, back) = (try await live.account("there"), try await live.account("back"))
      // What the sender says passes first, and where it is not lost on the way, is the same everywhere.
      let senders = there.compactMap { $0.peers?.senders.first }
      #expect(senders.count == 3 && Set(senders.map(\.ssrc)) == [there[0].ssrc])
      #expect(senders[0].sentPackets == 600 && senders[0].hasLeft)
      #expect(there[0].counters["rtp_packets"] == 600 && there[0].rtpLost == 0)
      // The receiver's reports come into the other stream at the studio, and pass the edge and the camera.
      let reports = back.compactMap { $0.peers?.reports.first }
      #expect(back.map(\.hop) == [0, 1, 2] && reports.count == 3)
      #expect(back.allSatisfy { $0.peers?.unreadable == 0 && $0.peers?.reports.count == 1 })
      #expect(Set(reports.map(\.reception)).count == 1 && Set(reports.map(\.reporter)).count == 1)
      #expect(reports.allSatisfy { $0.subject == there[0].ssrc })
      let reception = try #require(reports[0].reception)
      // PCMA, 8 kHz.
      #expect(reception.jitterSeconds == Double(reception.jitterUnits) / 8_000)
      #expect(
        reception.lostPackets > 0 && reception.lostPackets <= there[2].rtpLost, "\(there[2].rtpLost) lost")
      // The same time stamp and the same answer pass each hop: the further it is from the receiver, the longer.
      let trips = reports.compactMap(\.roundTripFromHereSeconds)
      #expect(trips.count == 3 && trips[0] <= trips[1] && trips[1] <= trips[2], "\(trips)")
      #expect(trips.allSatisfy { $0 < 10 }, "\(trips)")
    }
  }

  /// GStreamer's rtpbin says goodbye (BYE) at its end, but now and then goes on as a receiver then, for ever: it is
  /// ended, and what the hops have read is asked all the same.
  private static let ended = "exited(124)"
  private static let sender =
    "timeout -s INT 20 gst-launch-1.0 -q rtpbin name=r audiotestsrc is-live=true num-buffers=600 samplesperbuffer=160 ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay min-ptime=20000000 max-ptime=20000000 ! r.send_rtp_sink_0 r.send_rtp_src_0 ! udpsink host=10.78.0.1 port=5004 r.send_rtcp_src_0 ! udpsink host=10.78.0.1 port=5005 sync=false async=false udpsrc address=10.78.0.1 port=5015 ! r.recv_rtcp_sink_0"
    .split(separator: " ").map(String.init)

  private static let receiver =
    "timeout -s INT 15 gst-launch-1.0 -q rtpbin name=r udpsrc address=10.78.0.3 port=5004 caps=application/x-rtp,media=audio,clock-rate=8000,encoding-name=PCMA,payload=8 ! r.recv_rtp_sink_0 udpsrc address=10.78.0.3 port=5005 ! r.recv_rtcp_sink_0 r.send_rtcp_src_0 ! udpsink host=10.78.0.3 port=5015 sync=false async=false r. ! rtppcmadepay ! fakesink"
    .split(separator: " ").map(String.init)
}
