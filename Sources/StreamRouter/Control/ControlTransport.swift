import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import NIOCore

/// Connections of the control API: HTTP/2 over TLS 1.3, or without it on a unix socket that only operators may open.
///
/// gRPC's own TLS settings begin at version 1.2, so the handlers are ours, from ``TLSSettings``.
enum ControlTransport {
  /// How often a quiet connection is tried, and how long an answer to that may take: where one side is cut off the
  /// connection ends after their sum, on both.
  private static let keepaliveInterval = Duration.seconds(5)
  private static let keepalivePatience = Duration.seconds(5)
  private static let silence = keepaliveInterval + keepalivePatience
  /// How long a call may take whose answer is one message. Calls that go on (a deploy, events, snapshots) have no such
  /// bound: where the other side is gone, the connection ends by what stands above.
  static let callPatience = Duration.seconds(30)
  /// The largest message: the snapshot of a node with 10,000 relays as JSON, an extension, a topology file.
  static let messageBytes = 64 << 20

  /// For a call whose answer is one message.
  static var callOptions: CallOptions {
    var options = streamOptions
    options.timeout = callPatience
    return options
  }

  /// For a call that goes on. By default gRPC takes 4 MiB, and the plan of 1,000 nodes can have more.
  static var streamOptions: CallOptions {
    var options = CallOptions.defaults
    options.maxResponseMessageBytes = messageBytes
    return options
  }

  /// - Parameter security: nil: none; only for a unix socket.
  static func client(
    _ address: ControllerAddress, _ security: TLSSettings?
  ) throws -> HTTP2ClientTransport.Posix {
    try HTTP2ClientTransport.Posix(
      target: address.target, transportSecurity: security == nil ? .plaintext : .customSecure,
      config: .defaults { config in
        config.connection.keepalive = .init(
          time: keepaliveInterval, timeout: keepalivePatience, allowWithoutCalls: true)
        config.backoff.initial = .milliseconds(100)
        config.backoff.max = .seconds(2)
        config.channelDebuggingCallbacks.onCreateTCPConnection = { channel in
          channel.eventLoop.makeCompletedFuture {
            if let security {
              try channel.pipeline.syncOperations.addHandler(security.clientHandler(), position: .first)
            }
            try SilenceHandler.add(to: channel, patience: silence)
          }
        }
      })
  }

  /// How a listener on the network lets peers in.
  struct Admission: Sendable {
    /// Asked for each connection.
    var security: @Sendable () throws -> TLSSettings
    var register: ConnectionRegister
    /// Of a request, in bytes.
    var messageBytes = ControlTransport.messageBytes
  }

  static func server(
    _ address: GRPCNIOTransportCore.SocketAddress, _ admission: Admission?
  ) -> HTTP2ServerTransport.Posix {
    HTTP2ServerTransport.Posix(
      address: address, transportSecurity: .plaintext,
      config: .defaults { config in
        config.rpc.maxRequestPayloadSize = admission?.messageBytes ?? messageBytes
        config.connection.keepalive = .init(
          time: keepaliveInterval, timeout: keepalivePatience,
          clientBehavior: .init(minPingIntervalWithoutCalls: .seconds(1), allowWithoutCalls: true))
        if let admission {
          config.channelDebuggingCallbacks.onAcceptTCPConnection = { channel in
            channel.eventLoop.makeCompletedFuture {
              try admission.register.take(channel, admission.security().serverHandler())
              try SilenceHandler.add(to: channel, patience: silence)
            }
          }
        }
      })
  }
}
