import RelayExtension

/// For tests: reads memory that is nobody's, which no verifier takes and native code is ended for.
@main struct Crash: RelayExtension {
  static var summary: StaticString { "reads memory that is nobody's" }

  func relay(_ packet: inout Packet, _ context: inout Context<Self>) -> Verdict {
    let pointer = unsafe UnsafePointer<UInt8>(bitPattern: packet.length)
    return unsafe pointer!.pointee == 1 ? .forward : .drop
  }
}
