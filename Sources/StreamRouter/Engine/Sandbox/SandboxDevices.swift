import CStreamRouter
import Foundation
import Topology

/// The TC ingress hooks of engine sandbox: on which devices the datapath stands.
///
/// A filter belongs to the device, not to the daemon: it stays when the daemon goes.
struct SandboxDevices {
  /// "SR": the handle of our filter.
  private static let handle: UInt32 = 0x5352
  private static let priority: UInt32 = 0x5352

  /// ARPHRD_ETHER and ARPHRD_LOOPBACK of linux/if_arp.h, which Swift does not import.
  private static let ethernet: UInt16 = 1
  private static let loopback: UInt16 = 772

  /// A device of this network namespace.
  struct Device: Hashable, Comparable, Sendable {
    var index: Int32
    var name: String
    static func < (a: Device, b: Device) -> Bool { a.index < b.index }
  }

  /// Devices that carry our filter.
  private(set) var attached: Set<Device> = []

  /// Puts the program on exactly these devices. Where a former daemon's program stands, it is replaced in one step,
  /// so that no packet passes in between. On an error, what was attached before stays attached.
  mutating func attach(program: Int32, to wanted: Set<Device>) throws {
    for device in wanted.sorted() {
      do {
        _ = try Self.hook(device).attach(program: program)
      } catch {
        throw SandboxDatapath.failure(error.operation, "device \(device.name)", error.errno)
      }
      attached.insert(device)
    }
    for device in attached.subtracting(wanted) {
      Self.detach(device)
      attached.remove(device)
    }
  }

  /// The program that stands on a device under our handle.
  static func programID(on device: Device) -> UInt32? { hook(device).programID }

  /// Takes up the devices where a former daemon's filter stands.
  mutating func adopt() {
    attached = Set(Self.all().filter { Self.programID(on: $0) != nil })
  }

  /// Every device of this network namespace.
  static func all() -> [Device] {
    guard let list = if_nameindex() else { return [] }
    defer { if_freenameindex(list) }
    var devices: [Device] = []
    var entry = list
    while entry.pointee.if_index != 0, let name = entry.pointee.if_name {
      devices.append(Device(index: Int32(entry.pointee.if_index), name: String(cString: name)))
      entry += 1
    }
    return devices
  }

  /// Where packets of a relay can come in: the device towards each single source, or, where a source is a prefix,
  /// every Ethernet device that is up.
  static func ingress(of relay: Relay) throws(EngineError) -> Set<Device> {
    let devices = all()
    var wanted: Set<Device> = []
    for source in relay.sources {
      if source == AddressPrefix(source.address) {
        let route: Route
        do {
          route = try Route(to: source.address)
        } catch {
          throw EngineError.failed(
            engine: .sandbox, operation: "finding the device towards source",
            subject: "\(source.address) of stream \(relay.stream)", errno: error.errno, detail: "")
        }
        let index = route.isLocal ? Int32(if_nametoindex("lo")) : route.interface
        wanted.formUnion(devices.filter { $0.index == index })
      } else {
        wanted.formUnion(devices.filter { isUsableEthernet($0.name) })
      }
    }
    // What a sink answers comes in where it is.
    for sink in relay.sinks where relay.transport == .tcp {
      guard let route = try? Route(to: sink.destination.address) else {
        wanted.formUnion(devices.filter { isUsableEthernet($0.name) })
        continue
      }
      let index = route.isLocal ? Int32(if_nametoindex("lo")) : route.interface
      wanted.formUnion(devices.filter { $0.index == index })
    }
    for device in wanted where !isEthernet(device.name) {
      throw EngineError.unsupported(
        engine: .sandbox,
        reason: "device \(device.name), where stream \(relay.stream) comes in, is not an Ethernet device",
        remedy: "use engine process on this node")
    }
    return wanted
  }

  private static func isEthernet(_ name: String) -> Bool {
    request(name, SIOCGIFHWADDR) { $0.ifr_ifru.ifru_hwaddr.sa_family }
      .map { $0 == ethernet || $0 == loopback } ?? false
  }

  private static func isUsableEthernet(_ name: String) -> Bool {
    guard isEthernet(name) else { return false }
    let flags = request(name, SIOCGIFFLAGS) { Int32($0.ifr_ifru.ifru_flags) } ?? 0
    return flags & Int32(IFF_UP) != 0
  }

  private static func request<T>(_ name: String, _ code: Int32, _ read: (ifreq) -> T) -> T? {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var request = ifreq()
    withUnsafeMutableBytes(of: &request.ifr_ifrn) { $0.copyBytes(from: Array(name.utf8.prefix(15))) }
    return ioctl(descriptor, UInt(code), &request) == 0 ? read(request) : nil
  }

  /// Takes our filter off a device; no error where there is none.
  static func detach(_ device: Device) { try? hook(device).detach() }

  private static func hook(_ device: Device) -> TrafficHook {
    TrafficHook(
      interface: device.index, side: .ingress, program: "sr_relay_ingres", handle: handle, priority: priority)
  }
}
