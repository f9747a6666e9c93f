/// Everything that an MPEG transport stream in datagrams tells by itself: sync bytes and continuity counters
/// (ISO/IEC 13818-1, counted as ETSI TR 101 290 has it), program clocks, and the Media Delivery Index (RFC 4445).
///
/// Packets of 188 bytes stand one behind the other in the payload of UDP or of RTP (RFC 2250); those of 204 bytes, with
/// a Reed-Solomon code, too. Streaming and of bounded memory: some 20 kB for each PID with a clock, at most
/// ``clocksLimit`` of them, and 200 bytes for each PID, at most ``pidsLimit``.
public struct TransportStreamAccount: Sendable {
  /// PIDs that are accounted for; packets of others are counted in ``unlistedPackets``.
  public static let pidsLimit = 64
  /// PIDs whose program clocks are accounted for; references of others are counted in ``unlistedClocks``.
  public static let clocksLimit = 16
  /// Corrupt sync bytes in a row after which sync is lost, and good ones after which it is back (TR 101 290 1.1).
  private static let (syncLost, syncBack) = (2, 5)

  /// Datagrams, and whole packets in them: null packets and corrupt ones included.
  public private(set) var datagrams: UInt64 = 0
  public private(set) var packets: UInt64 = 0
  public private(set) var nullPackets: UInt64 = 0
  /// Packets that do not begin with the sync byte (TR 101 290 1.2), and how often two in a row did not (1.1).
  public private(set) var syncByteErrors: UInt64 = 0
  public private(set) var syncLosses: UInt64 = 0
  /// Packets with transport_error_indicator (TR 101 290 2.1), of which nothing else is believed.
  public private(set) var transportErrors: UInt64 = 0
  /// Packets whose adaptation_field_control or adaptation field length no packet can have.
  public private(set) var malformedPackets: UInt64 = 0
  /// Datagrams that end within a packet.
  public private(set) var cutDatagrams: UInt64 = 0
  public private(set) var unlistedPackets: UInt64 = 0
  public private(set) var unlistedClocks: UInt64 = 0
  /// In the order of their first packets.
  public private(set) var pids: [ContinuityAccount] = []
  public private(set) var clocks: [ProgramClockAccount] = []
  public private(set) var deliveryIndex = MediaDeliveryIndex()
  /// Arrival of the first and the latest datagram, nanoseconds; nil before the first.
  public private(set) var firstArrivalNs: UInt64?
  public private(set) var lastArrivalNs: UInt64 = 0

  private var corruptInRow = 0
  private var goodInRow = 0
  private var isInSync = true
  private var place = 0
  /// Bytes from one packet to the next.
  private var step = TransportStreamPacket.bytes

  public init() {}

  /// Packets that the counters of all PIDs leave out.
  public var lost: UInt64 { pids.reduce(0) { $0 + $1.lost } }
  /// Media bytes so far.
  public var bytes: UInt64 { packets * UInt64(TransportStreamPacket.bytes) }

  /// Whether the payload is made of whole packets at this distance, each with its sync byte.
  private static func isMade(_ payload: RawSpan, of step: Int) -> Bool {
    guard payload.byteCount > 0, payload.byteCount % step == 0 else { return false }
    for offset in stride(from: 0, to: payload.byteCount, by: step)
    where payload.unsafeLoad(fromByteOffset: offset, as: UInt8.self) != TransportStreamPacket.syncByte {
      return false
    }
    return true
  }

  /// Whole packets in the payload of a datagram that is a transport stream by its length and its sync bytes; 0: it
  /// does not look like one.
  public static func packets(in payload: RawSpan) -> Int {
    for step in [TransportStreamPacket.bytes, TransportStreamPacket.codedBytes] where isMade(payload, of: step)
    {
      return payload.byteCount / step
    }
    return 0
  }

  /// Accounts for the payload of one datagram, behind the RTP header where there is one.
  /// - Parameter arrivalNs: nanoseconds of any clock that does not change between calls.
  public mutating func receive(_ payload: RawSpan, arrivalNs: UInt64) {
    let isFirst = firstArrivalNs == nil
    if isFirst { firstArrivalNs = arrivalNs }
    lastArrivalNs = arrivalNs
    datagrams += 1
    deliveryIndex.begin(arrivalNs: arrivalNs)
    // A damaged datagram has the layout of those before it.
    if !Self.isMade(payload, of: step) {
      let other = TransportStreamPacket.bytes + TransportStreamPacket.codedBytes - step
      if Self.isMade(payload, of: other) { step = other }
    }
    if payload.byteCount % step != 0 { cutDatagrams += 1 }
    let before = bytes
    var missing: UInt64 = 0
    for offset in stride(from: 0, through: payload.byteCount - step, by: step) {
      let packet = TransportStreamPacket(payload, at: offset)
      noteSync(packet != nil)
      if let packet { missing += receive(packet, arrivalNs: arrivalNs) }
      packets += 1
    }
    deliveryIndex.receive(bytes: bytes - before, lost: missing, isFirst: isFirst)
  }

  private mutating func noteSync(_ isGood: Bool) {
    guard isGood else {
      syncByteErrors += 1
      corruptInRow += 1
      goodInRow = 0
      if isInSync, corruptInRow == Self.syncLost {
        syncLosses += 1
        isInSync = false
      }
      return
    }
    corruptInRow = 0
    guard !isInSync else { return }
    goodInRow += 1
    isInSync = goodInRow >= Self.syncBack
  }

  /// - Returns: packets that are missing before it.
  private mutating func receive(_ packet: TransportStreamPacket, arrivalNs: UInt64) -> UInt64 {
    guard !packet.isErrored else {
      transportErrors += 1
      return 0
    }
    guard packet.pid != TransportStreamPacket.nullPID else {
      nullPackets += 1
      return 0
    }
    if !packet.isWellFormed {
      malformedPackets += 1
      // Without adaptation field and payload, a decoder discards it (ISO/IEC 13818-1 section 2.4.3.3).
      if !packet.hasPayload { return 0 }
    }
    if let ticks = packet.clockTicks {
      clock(pid: packet.pid, ticks: ticks, arrivalNs: arrivalNs, isDiscontinuous: packet.isDiscontinuous)
    }
    // Most packets belong to the PID of the packet before.
    if !pids.indices.contains(place) || pids[place].pid != packet.pid {
      guard let found = pids.firstIndex(where: { $0.pid == packet.pid }) else {
        guard pids.count < Self.pidsLimit else {
          unlistedPackets += 1
          return 0
        }
        place = pids.count
        pids.append(ContinuityAccount(packet))
        return 0
      }
      place = found
    }
    return pids[place].receive(packet)
  }

  private mutating func clock(pid: UInt16, ticks: UInt64, arrivalNs: UInt64, isDiscontinuous: Bool) {
    let step: ProgramClockAccount.Step
    if let place = clocks.firstIndex(where: { $0.pid == pid }) {
      step = clocks[place].receive(ticks: ticks, arrivalNs: arrivalNs, isDiscontinuous: isDiscontinuous)
    } else {
      guard clocks.count < Self.clocksLimit else {
        unlistedClocks += 1
        return
      }
      clocks.append(
        ProgramClockAccount(pid: pid, ticks: ticks, arrivalNs: arrivalNs, isDiscontinuous: isDiscontinuous))
      step = .restart
    }
    deliveryIndex.clock(pid: pid, step: step, position: bytes)
  }

  /// Takes in what another account of the same stream saw later. The interval of the Media Delivery Index that is
  /// open here ends with this part.
  public mutating func merge(_ later: TransportStreamAccount) {
    guard later.firstArrivalNs != nil else { return }
    var missing: UInt64 = 0
    for pid in later.pids {
      if let place = pids.firstIndex(where: { $0.pid == pid.pid }) {
        missing += pids[place].merge(pid)
      } else if pids.count < Self.pidsLimit {
        pids.append(pid)
      } else {
        unlistedPackets += pid.packets
      }
    }
    for clock in later.clocks {
      if let place = clocks.firstIndex(where: { $0.pid == clock.pid }) {
        clocks[place].merge(clock)
      } else if clocks.count < Self.clocksLimit {
        clocks.append(clock)
      } else {
        unlistedClocks += clock.count
      }
    }
    deliveryIndex.merge(later.deliveryIndex, lost: missing, position: bytes)
    firstArrivalNs = firstArrivalNs ?? later.firstArrivalNs
    lastArrivalNs = later.lastArrivalNs
    datagrams += later.datagrams
    packets += later.packets
    nullPackets += later.nullPackets
    syncByteErrors += later.syncByteErrors
    syncLosses += later.syncLosses
    transportErrors += later.transportErrors
    malformedPackets += later.malformedPackets
    cutDatagrams += later.cutDatagrams
    unlistedPackets += later.unlistedPackets
    unlistedClocks += later.unlistedClocks
    step = later.step
    (corruptInRow, goodInRow, isInSync) = (later.corruptInRow, later.goodInRow, later.isInSync)
    place = 0
  }
}
