import Testing

@testable import Topology

@Suite struct AddressTests {
  @Test(arguments: [
    ("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("FD00:0:0::1", "fd00::1"), ("::", "::"),
  ])
  func addressesAreReadAndWritten(text: String, expected: String) {
    #expect(IPAddress(text)?.description == expected)
  }

  @Test(arguments: [
    "", "10.0.0", "10.0.0.256", "010.0.0.1", "[::1]", "fe80::1%eth0", "10.0.0.1/8", "10.0.0.1\0x", "a",
  ])
  func otherTextIsNoAddress(text: String) {
    #expect(IPAddress(text) == nil)
  }

  @Test(arguments: [
    ("10.0.0.1:5", "10.0.0.1:5"), ("[fd00::1]:65535", "[fd00::1]:65535"), ("fd00::1:5", nil),
    ("10.0.0.1:0", nil),
    ("10.0.0.1:65536", nil), ("10.0.0.1:+5", nil), ("10.0.0.1:", nil), (":5", nil), ("[fd00::1:5", nil),
  ])
  func endpoints(text: String, expected: String?) {
    #expect(Endpoint(text)?.description == expected)
  }

  @Test(arguments: [
    ("10.1.2.3/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3/32"), ("0.0.0.0/0", "0.0.0.0/0"), ("::/0", "::/0"),
    ("fd00::1/65", "fd00::/65"), ("fd00::1/128", "fd00::1/128"), ("10.0.0.0/33", nil), ("10.0.0.0/+8", nil),
    ("10.0.0.0/", nil), ("::/129", nil), ("/8", nil),
  ])
  func prefixes(text: String, expected: String?) {
    #expect(AddressPrefix(text)?.description == expected)
  }

  @Test func prefixesHoldWhatTheyCover() throws {
    let prefix = try #require(AddressPrefix("10.1.0.0/16"))
    #expect(prefix.contains(IPAddress("10.1.255.255")!))
    #expect(!prefix.contains(IPAddress("10.2.0.0")!))
    // All of IPv4 is not all of IPv6.
    #expect(!AddressPrefix("0.0.0.0/0")!.contains(IPAddress("fd00::1")!))
  }

  @Test(arguments: ["10.0.0.1", "fd00::1", "::", "255.255.255.255"])
  func wordsAreTheBytesInNetworkOrder(text: String) throws {
    let address = try #require(IPAddress(text))
    #expect(IPAddress(words: address.words) == address)
    let words = address.words
    let bytes = withUnsafeBytes(of: words) { Array($0) }
    #expect(bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) } == address.high)
  }
}
