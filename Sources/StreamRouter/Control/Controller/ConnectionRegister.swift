import Foundation
import Identity
import NIOCore
import NIOSSL
import NIOTLS
import Synchronization

/// The connections of a listener: bounds those of strangers, and knows by which certificate the others came in, so that
/// they can be ended when it counts no more.
final class ConnectionRegister: Sendable {
  /// What strangers may take.
  struct Limits: Sendable {
    /// Connections of which it is not known yet whose they are. Where one more comes, the oldest is closed: a handshake
    /// takes milliseconds, so who means it is through before.
    var strangers = 256
    /// How long a connection may stay one of these.
    var patience = Duration.seconds(10)
    /// Whether a handshake makes a peer known; on the port where one joins nobody is.
    var handshakeMakesKnown = true
  }

  /// A peer whose certificate was checked in the handshake.
  struct Known: Sendable {
    var certificate: RoleCertificate
    var channel: any Channel
  }

  private struct State {
    var last: UInt64 = 0
    var strangers: [(number: UInt64, channel: any Channel)] = []
    var known: [UInt64: Known] = [:]
  }

  let limits: Limits
  private let state = Mutex(State())

  init(limits: Limits = Limits()) { self.limits = limits }

  var known: [Known] { state.withLock { Array($0.known.values) } }
  var strangers: Int { state.withLock { $0.strangers.count } }

  /// Puts TLS in front of everything else on a connection that was accepted, and keeps it in the register to its end.
  func take(_ channel: any Channel, _ tls: NIOSSLServerHandler) throws {
    let pipeline = channel.pipeline.syncOperations
    try pipeline.addHandler(tls, position: .first)
    try pipeline.addHandler(RegisterHandler(self, tls), position: .after(tls))
  }

  fileprivate func enter(_ channel: any Channel) -> UInt64 {
    let (number, oldest) = state.withLock { state in
      state.last += 1
      state.strangers.append((state.last, channel))
      let isFull = state.strangers.count > limits.strangers
      return (state.last, isFull ? state.strangers.removeFirst().channel : nil)
    }
    oldest?.close(promise: nil)
    return number
  }

  fileprivate func know(_ number: UInt64, _ certificate: RoleCertificate, _ channel: any Channel) {
    state.withLock { state in
      state.strangers.removeAll { $0.number == number }
      state.known[number] = Known(certificate: certificate, channel: channel)
    }
  }

  fileprivate func leave(_ number: UInt64) {
    state.withLock { state in
      state.strangers.removeAll { $0.number == number }
      state.known[number] = nil
    }
  }
}

/// Stands behind TLS on each connection. Used on its event loop only.
private final class RegisterHandler: ChannelInboundHandler {
  typealias InboundIn = NIOAny

  private let register: ConnectionRegister
  private let tls: NIOSSLServerHandler
  private var number: UInt64 = 0
  private var deadline: Scheduled<Void>?

  init(_ register: ConnectionRegister, _ tls: NIOSSLServerHandler) {
    self.register = register
    self.tls = tls
  }

  func handlerAdded(context: ChannelHandlerContext) {
    let channel = context.channel
    number = register.enter(channel)
    deadline = context.eventLoop.scheduleTask(in: TimeAmount(register.limits.patience)) {
      channel.close(promise: nil)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted = event as? TLSUserEvent, register.limits.handshakeMakesKnown {
      // The check ran in the handshake, so there is such a chain.
      if let chain = tls.peerValidatedCertificateChain,
        let certificate = try? RoleCertificate(validated: chain)
      {
        deadline?.cancel()
        register.know(number, certificate, context.channel)
      }
    }
    context.fireUserInboundEventTriggered(event)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    deadline?.cancel()
    register.leave(number)
  }
}
