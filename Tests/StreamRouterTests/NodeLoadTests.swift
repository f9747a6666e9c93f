import Foundation
import Testing

@testable import StreamRouter

/// How the load of a machine is read.
@Suite struct NodeLoadTests {
  /// As Linux 6.18 prints them, shortened; processor 1 is offline.
  private static let stat = """
    cpu  1000 10 500 8000 20 30 400 50 5 0
    cpu0 600 5 250 4000 10 10 100 20 0 0
    cpu2 400 5 250 4000 10 20 300 30 0 0
    intr 50573890 0 0 0
    ctxt 120384044
    procs_running 7
    procs_blocked 0
    softirq 168214397 0 1457053
    """
  private static let softirqs = """
                      CPU0       CPU1       CPU2
            HI:          0          0          0
        NET_TX:       8202          0       8351
        NET_RX:   72536828          0   82045386
    """
  private static let pressure = """
    some avg10=98.60 avg60=81.30 avg300=41.43 total=6121386645
    full avg10=0.00 avg60=0.00 avg300=0.00 total=0
    """

  private func load(_ stat: String = stat, _ softirqs: String = softirqs, _ pressure: String = pressure)
    -> NodeLoad
  {
    var load = NodeLoad(runnableThreads: 0, processors: 0, softirqSeconds: 0, totalSeconds: 0)
    load.take(stat: stat, ticksPerSecond: 100)
    load.take(softirqs: softirqs)
    load.take(pressure: pressure)
    return load
  }

  @Test func everyFigureIsReadWithItsUnit() {
    var load = load()
    load.take(schedstats: ["1500000000 22 3\n", "500000000 1 1\n"])
    #expect(
      load
        == NodeLoad(
          runnableThreads: 6, processors: 2, softirqSeconds: 4, totalSeconds: 100.1, stealSeconds: 0.5,
          ksoftirqdSeconds: 2, pressure: .init(tenSecondShare: 0.986, waitingSeconds: 6121.386645),
          byProcessor: [
            .init(number: 0, netRxSoftirqs: 72_536_828, interruptSeconds: 1.1),
            .init(number: 2, netRxSoftirqs: 82_045_386, interruptSeconds: 3.2),
          ]))
  }

  @Test func whatTheKernelDoesNotSayIsNil() {
    let old = load("cpu 1 2 3 4\ncpu0 1 2 3 4\n", "", "")
    #expect(old.stealSeconds == nil && old.pressure == nil && old.byProcessor == nil)
    #expect(old.ksoftirqdSeconds == nil && old.processors == 1)
    var none = old
    none.take(schedstats: [])
    #expect(none.ksoftirqdSeconds == nil)
  }

  @Test(arguments: [
    "", "\n", "cpu", "cpu \ncpux y", "some avg10= total=", "NET_RX:", "some avg10=a total=-1", "CPU0",
  ])
  func garbageIsNoTrap(_ text: String) {
    let load = load(text, text, text)
    #expect(load.softirqSeconds == 0 && load.pressure == nil)
  }

  @Test func thisMachineSaysSomething() async {
    let reader = NodeLoadReader()
    let load = await reader.read()
    #expect(load.processors > 0 && load.totalSeconds > 0)
    #expect(load.byProcessor?.count == load.processors)
    let later = await reader.read()
    #expect(later.totalSeconds >= load.totalSeconds, "a file that stays open is read anew")
  }

  /// A daemon of the former version, which still runs, is read by the monitor of this one.
  @Test func aSnapshotOfTheFormerVersionIsRead() throws {
    let former = #"{"runnableThreads":3,"processors":2,"softirqSeconds":1.5,"totalSeconds":20}"#
    let load = try JSONDecoder().decode(NodeLoad.self, from: Data(former.utf8))
    #expect(load == NodeLoad(runnableThreads: 3, processors: 2, softirqSeconds: 1.5, totalSeconds: 20))
  }

  @Test func sharesAreThoseOfTheInterval() throws {
    var earlier = try #require(MonitorSample.node("a", seconds: 10, relays: []).snapshot)
    var later = try #require(MonitorSample.node("a", seconds: 20, relays: []).snapshot)
    func set(_ snapshot: inout NodeSnapshot, _ steal: Double, _ waiting: Double, _ counts: [UInt64]) {
      snapshot.load.stealSeconds = steal
      snapshot.load.ksoftirqdSeconds = steal / 2
      snapshot.load.pressure = .init(tenSecondShare: 0, waitingSeconds: waiting)
      snapshot.load.byProcessor = counts.enumerated().map {
        .init(number: $0.offset, netRxSoftirqs: $0.element, interruptSeconds: 0)
      }
    }
    set(&earlier, 1, 100, [1000, 1000])
    set(&later, 3, 105, [1300, 1100])
    let rates = try #require(NodeRates(from: earlier, to: later))
    #expect(rates.stealShare == 0.1)
    #expect(rates.ksoftirqdShare == 0.05)
    #expect(rates.pressureShare == 0.5)
    #expect(rates.busiestNetRxShare == 0.75)
    // A machine that began again counts from zero; pressure has no beginning then.
    let rebooted = try #require(
      NodeRates(
        from: {
          var snapshot = later; snapshot.timeNs = 0; snapshot.load.totalSeconds = 99; return snapshot
        }(), to: later))
    #expect(rebooted.pressureShare == nil && rebooted.busiestNetRxShare == 1300.0 / 2400)
  }
}
