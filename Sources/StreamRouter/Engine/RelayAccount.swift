import CStreamRouter
import Topology

// The shared C structures as the values of a snapshot.

extension sr_counters {
  /// Counters add up; times and maxima are the latest and largest.
  mutating func add(_ other: sr_counters) {
    withUnsafeMutableBytes(of: &value) { mine in
      withUnsafeBytes(of: other.value) { theirs in
        let (mine, theirs) = (mine.bindMemory(to: UInt64.self), theirs.bindMemory(to: UInt64.self))
        for counter in mine.indices { mine[counter] &+= theirs[counter] }
      }
    }
    withUnsafeMutableBytes(of: &residence) { mine in
      withUnsafeBytes(of: other.residence) { theirs in
        let (mine, theirs) = (mine.bindMemory(to: UInt64.self), theirs.bindMemory(to: UInt64.self))
        for bucket in mine.indices { mine[bucket] &+= theirs[bucket] }
      }
    }
    residence_sum_ns &+= other.residence_sum_ns
    residence_max_ns = max(residence_max_ns, other.residence_max_ns)
    last_seen_ns = max(last_seen_ns, other.last_seen_ns)
  }

  subscript(counter: sr_counter) -> UInt64 {
    get { withUnsafeBytes(of: value) { $0.load(fromByteOffset: 8 * Int(counter.rawValue), as: UInt64.self) } }
    set {
      withUnsafeMutableBytes(of: &value) {
        $0.storeBytes(of: newValue, toByteOffset: 8 * Int(counter.rawValue), as: UInt64.self)
      }
    }
  }

  /// By the names of ``Counter/relay``.
  var named: [String: UInt64] {
    withUnsafeBytes(of: value) { bytes in
      Dictionary(
        uniqueKeysWithValues: Counter.relay.map {
          ($0.name, bytes.load(fromByteOffset: 8 * $0.index, as: UInt64.self))
        })
    }
  }

  var histogram: ResidenceHistogram {
    withUnsafeBytes(of: residence) {
      ResidenceHistogram(
        counts: Array($0.bindMemory(to: UInt64.self)), maxNs: residence_max_ns, sumNs: residence_sum_ns)
    }
  }
}

extension sr_flow {
  /// The state of the SSRC seen last; for protocol udp the only one.
  var latest: sr_source_state {
    withUnsafeBytes(of: source) {
      $0.bindMemory(to: sr_source_state.self)[Int(newest) & (Int(SR_SSRC_SLOTS.rawValue) - 1)]
    }
  }
}

extension sr_flow {
  /// The clock rates of the SSRCs whose packets came, in Hz.
  func noteClockRates(_ rates: inout [UInt32: UInt32]) {
    withUnsafeBytes(of: source) { bytes in
      for state in bytes.bindMemory(to: sr_source_state.self) where state.packets > 0 && state.clock_rate > 0 {
        rates[UInt32(bigEndian: state.ssrc)] = state.clock_rate
      }
    }
  }
}

extension sr_variation {
  var histogram: VariationHistogram {
    withUnsafeBytes(of: bucket) {
      VariationHistogram(
        durations: ResidenceHistogram(
          counts: Array($0.bindMemory(to: UInt64.self)), maxNs: max_ns, sumNs: sum_ns), maxAtNs: max_at_ns)
    }
  }
}

extension sr_source_state {
  var jitterSeconds: Double { Double(jitter_q4_ns) / 16e9 }
  var jitterMaxSeconds: Double { Double(jitter_max_q4_ns) / 16e9 }
}

extension RelaySnapshot {
  /// The account of `relay` as an engine found it in its counters and flow state.
  init(
    relay: Relay, engine: EngineChoice, counters: sr_counters, flow: sr_flow,
    extensions: [ExtensionSnapshot] = [], open: UInt64 = 0
  ) {
    let latest = flow.latest
    // Of connections the two tell round trips.
    let isDatagrams = relay.transport.isDatagrams
    let (ipdv, pdv) = (flow.variations.ipdv.histogram, flow.variations.pdv.histogram)
    self.init(
      stream: relay.stream, hop: relay.hop, transport: relay.transport, ingress: relay.ingress,
      sinks: relay.sinks, engine: engine, engineReason: nil, counters: counters.named,
      jitterSeconds: latest.jitterSeconds, jitterMaxSeconds: latest.jitterMaxSeconds,
      ssrc: relay.transport == .rtp && latest.packets > 0 ? UInt32(bigEndian: latest.ssrc) : nil,
      residence: counters.histogram, ipdv: isDatagrams ? ipdv : VariationHistogram(),
      pdv: isDatagrams ? pdv : VariationHistogram(), lastSeenNs: counters.last_seen_ns, extensions: extensions)
    if !isDatagrams { tcp = ConnectionAccount(open: open, sinkRoundTrip: ipdv, sourceRoundTrip: pdv) }
  }
}
