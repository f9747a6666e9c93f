// What the frame around an extension offers: bpf/extension.c in the kernel, the same functions on plain memory in the
// engines of user level. Inlined into the extension; the author never sees them.

@_extern(c, "sr_view_arrival_ns") func viewArrivalNs(_ view: UnsafeMutableRawPointer) -> UInt64
@_extern(c, "sr_view_length") func viewLength(_ view: UnsafeMutableRawPointer) -> UInt32
@_extern(c, "sr_view_hop") func viewHop(_ view: UnsafeMutableRawPointer) -> UInt32
@_extern(c, "sr_view_protocol") func viewProtocol(_ view: UnsafeMutableRawPointer) -> UInt32
@_extern(c, "sr_view_stream") func viewStream(_ view: UnsafeMutableRawPointer) -> UInt32
@_extern(c, "sr_view_sink_count") func viewSinkCount(_ view: UnsafeMutableRawPointer) -> UInt32
@_extern(c, "sr_view_is_ipv6") func viewIsIPv6(_ view: UnsafeMutableRawPointer) -> UInt32
@_extern(c, "sr_view_source_port") func viewSourcePort(_ view: UnsafeMutableRawPointer) -> UInt32
@_extern(c, "sr_view_dscp") func viewDSCP(_ view: UnsafeMutableRawPointer) -> UInt32
@_extern(c, "sr_view_set_dscp") func viewSetDSCP(_ view: UnsafeMutableRawPointer, _ value: UInt32)
@_extern(c, "sr_view_keep_sinks") func viewKeepSinks(_ view: UnsafeMutableRawPointer, _ sinks: UInt32)
@_extern(c, "sr_view_random") func viewRandom() -> UInt32
@_extern(c, "sr_view_count") func viewCount(
  _ view: UnsafeMutableRawPointer, _ counter: UInt32, _ amount: UInt64)
@_extern(c, "sr_view_record") func viewRecord(_ view: UnsafeMutableRawPointer, _ value: UInt64)

@_extern(c, "sr_view_load8")
func viewLoad8(_ view: UnsafeMutableRawPointer, _ offset: UInt64, _ failed: UnsafeMutablePointer<UInt32>)
  -> UInt8
@_extern(c, "sr_view_load16")
func viewLoad16(_ view: UnsafeMutableRawPointer, _ offset: UInt64, _ failed: UnsafeMutablePointer<UInt32>)
  -> UInt16
@_extern(c, "sr_view_load32")
func viewLoad32(_ view: UnsafeMutableRawPointer, _ offset: UInt64, _ failed: UnsafeMutablePointer<UInt32>)
  -> UInt32
@_extern(c, "sr_view_load64")
func viewLoad64(_ view: UnsafeMutableRawPointer, _ offset: UInt64, _ failed: UnsafeMutablePointer<UInt32>)
  -> UInt64
@_extern(c, "sr_view_ip_byte")
func viewIPByte(_ view: UnsafeMutableRawPointer, _ offset: UInt64, _ failed: UnsafeMutablePointer<UInt32>)
  -> UInt32

@_extern(c, "sr_view_store8")
func viewStore8(_ view: UnsafeMutableRawPointer, _ offset: UInt64, _ value: UInt32) -> UInt32
@_extern(c, "sr_view_store16")
func viewStore16(_ view: UnsafeMutableRawPointer, _ offset: UInt64, _ value: UInt32) -> UInt32
@_extern(c, "sr_view_store32")
func viewStore32(_ view: UnsafeMutableRawPointer, _ offset: UInt64, _ value: UInt32) -> UInt32

@_extern(c, "sr_view_functions") func viewFunctions(_ view: UnsafeMutableRawPointer) -> UInt32
@_extern(c, "sr_view_hold")
func viewHold(_ view: UnsafeMutableRawPointer, _ releaseNs: UInt64) -> UInt32
@_extern(c, "sr_view_parity")
func viewParity(
  _ view: UnsafeMutableRawPointer, _ offset: UInt64, _ length: UInt64, _ row: UnsafeMutableRawPointer,
  _ at: UInt64
) -> UInt32
@_extern(c, "sr_view_clear") func viewClear(_ row: UnsafeMutableRawPointer)
@_extern(c, "sr_view_hash")
func viewHash(
  _ view: UnsafeMutableRawPointer, _ offset: UInt64, _ length: UInt64, _ key: UnsafeRawPointer,
  _ failed: UnsafeMutablePointer<UInt32>
) -> UInt64
@_extern(c, "sr_view_emit")
func viewEmit(_ view: UnsafeMutableRawPointer, _ row: UnsafeMutableRawPointer, _ length: UInt64) -> UInt32
