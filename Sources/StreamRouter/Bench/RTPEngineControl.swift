import CStreamRouter
import Foundation
import Topology

/// rtpengine's ng protocol, as far as it takes to open one call: an offer and an answer, bencoded over UDP, each with the
/// SDP of one side. After it rtpengine relays what the caller sends to the port that the answer names.
enum RTPEngineControl {
  /// Where Benchmarks/peers/rtpengine.conf has it listen, on the loopback device of the relay's namespace.
  static let port: UInt16 = 22222

  /// - Returns: Where the benchmark's sender must send.
  /// - Throws: ``BenchError/notReady(way:message:)``: it does not answer, or refuses.
  static func open(in network: BenchNetwork) throws -> Endpoint {
    let call = "bench-\(getpid())-\(monotonicNs())"
    let source = sdp("10.77.1.2", port: 4000)
    let sink = sdp("\(BenchNetwork.sink.address)", port: BenchNetwork.sink.port)
    return try NetworkNamespace.run(in: network.relay) {
      let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      guard descriptor >= 0 else { throw NetworkNamespace.Failure(name: network.relay, errno: errno) }
      defer { close(descriptor) }
      _ = try ask(descriptor, ["command": "offer", "call-id": call, "from-tag": "a", "sdp": source])
      let answer = try ask(
        descriptor, ["command": "answer", "call-id": call, "from-tag": "a", "to-tag": "b", "sdp": sink])
      guard let port = mediaPort(in: answer) else {
        throw BenchError.notReady(way: "rtpengine", message: "no port in its answer: \(answer)")
      }
      return Endpoint(address: BenchNetwork.ingress.address, port: port)
    }
  }

  /// One audio stream, RTP.
  private static func sdp(_ address: String, port: UInt16) -> String {
    [
      "v=0", "o=- 1 1 IN IP4 \(address)", "s=-", "c=IN IP4 \(address)", "t=0 0", "m=audio \(port) RTP/AVP 0",
      "a=rtpmap:0 PCMU/8000", "",
    ].joined(separator: "\r\n")
  }

  /// A dictionary of strings and the list of flags, bencoded. Its SDP's addresses are those to send to (trust-address).
  static func bencode(_ fields: [String: String]) -> String {
    func text(_ word: String) -> String { "\(word.utf8.count):\(word)" }
    let pairs = fields.sorted { $0.key < $1.key }.map { text($0.key) + text($0.value) }.joined()
    return "d\(pairs)\(text("flags"))l\(text("trust-address"))e\(text("ICE"))\(text("remove"))e"
  }

  /// The port of the first media line.
  static func mediaPort(in answer: String) -> UInt16? {
    guard let line = answer.firstRange(of: "m=audio ") else { return nil }
    return UInt16(answer[line.upperBound...].prefix { $0.isNumber })
  }

  private static func ask(_ descriptor: Int32, _ fields: [String: String]) throws -> String {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let message = Array("sr\(monotonicNs()) \(bencode(fields))".utf8)
    var patience = timeval(tv_sec: 2, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    let sent = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(descriptor, message, message.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    var reply = [UInt8](repeating: 0, count: 65_536)
    let count = sent == message.count ? recv(descriptor, &reply, reply.count, 0) : -1
    let text = String(decoding: reply.prefix(max(0, count)), as: UTF8.self)
    guard text.contains("6:result2:ok") else {
      throw BenchError.notReady(
        way: "rtpengine", message: count < 0 ? "it does not answer its control protocol" : "it refuses: \(text)"
      )
    }
    return text
  }
}
