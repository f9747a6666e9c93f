import ServiceLifecycle

/// Gives the service manager its signs of life, and tells it when the node begins to stop.
struct NoticeService: Service {
  let notice: ServiceNotice
  /// Comes back where the node is alive. While it does not, nothing is sent, and the manager ends the node in time.
  let alive: @Sendable () async -> Void

  func run() async throws {
    await withGracefulShutdownHandler {
      guard let watchdog = notice.watchdog else {
        try? await gracefulShutdown()
        return
      }
      try? await cancelWhenGracefulShutdown {
        while true {
          await alive()
          try Task.checkCancellation()
          notice.send(.watchdog)
          // sd_watchdog_enabled(3) recommends half the time.
          try await Task.sleep(for: watchdog / 2)
        }
      }
    } onGracefulShutdown: {
      notice.send(.stopping)
    }
  }
}
