/// The columns of the page of links. Figures are over ``MonitorLink/windowNs`` unless they say otherwise.
enum LinkColumn {
  /// In the order in which they stand.
  static let all: [PageColumn<MonitorLink>] = [
    PageColumn(
      title: "FROM", text: "the node that probes", importance: 1, width: 8...32, alignsRight: false,
      value: { link in link.node }),
    PageColumn(
      title: "TO", text: "the node that answers", importance: 1, width: 8...32, alignsRight: false,
      value: { link in link.snapshot.peer }),
    PageColumn(
      title: "STATE", text: "ok, loss, silent (no answer), failed, new, stale (the node does not answer)",
      importance: 2, width: 6...6, alignsRight: false, value: { link in link.condition.rawValue }),
    PageColumn(
      title: "RTT", text: "median time there and back, less what the other node took", importance: 3,
      width: 6...6,
      value: { link in duration(link.rates?.roundTrip?.p50Seconds) }),
    PageColumn(
      title: "RTT99", text: "99 of 100 took no longer", importance: 6, width: 6...6,
      value: { link in duration(link.rates?.roundTrip?.p99Seconds) }),
    PageColumn(
      title: "LOST>", text: "test packets that were lost on the way there, so far", importance: 4, width: 5...5,
      value: { link in Figure.scaled(Double(link.snapshot.lostForward)) }),
    PageColumn(
      title: "<LOST", text: "answers that were lost on the way back, so far", importance: 4, width: 5...5,
      value: { link in Figure.scaled(Double(link.snapshot.lostBackward)) }),
    PageColumn(
      title: "LOSS%", text: "of all test packets of the window, lost either way", importance: 5, width: 5...5,
      value: { link in link.rates?.lossRatio.map(Figure.percent) }),
    PageColumn(
      title: "IPDV>", text: "delay variation from packet to packet there (p99)", importance: 7, width: 6...6,
      value: { link in duration(link.rates?.ipdvForward?.p99Seconds) }),
    PageColumn(
      title: "<IPDV", text: "and on the way back", importance: 7, width: 6...6,
      value: { link in duration(link.rates?.ipdvBackward?.p99Seconds) }),
    PageColumn(
      title: "CLOCK", text: "how far the other node's clock is ahead, and how far that can be wrong",
      importance: 8,
      width: 14...20,
      value: { link in
        guard let offset = link.snapshot.clockOffsetNs, let error = link.snapshot.clockErrorNs else {
          return nil
        }
        return NodeClock(offsetNs: offset, errorNs: error).text
      }),
    PageColumn(
      title: "SENT", text: "test packets so far", importance: 9, width: 6...6,
      value: { link in Figure.scaled(Double(link.snapshot.sent)) }),
  ]

  private static func duration(_ seconds: Double?) -> String? { seconds.map { Figure.duration(seconds: $0) } }
}
