extension String {
  /// What a C function wrote into a buffer, up to its NUL; what is not UTF-8 is replaced.
  init(buffer: [CChar]) {
    self.init(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
