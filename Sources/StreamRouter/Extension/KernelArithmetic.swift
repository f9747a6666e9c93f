/// Arithmetic that Swift uses and BPF lacks: signed division (which version 4 of its instructions has, from Linux 6.6),
/// and products of which one must know whether they fit in 64 bits, which other processors tell by a register of 128.
/// And small integers as larger ones, so that the verifier sees what was checked.
enum KernelArithmetic {
  /// IR in which such operations are calls to functions that follow it.
  static func lower(_ text: String) -> String {
    var lines: [Substring] = []
    var used: Set<String> = []
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if let product = products.first(where: { line.contains($0.key) }) {
        // A declaration of what is no longer called may go.
        guard !line.hasPrefix("declare ") else { continue }
        used.insert(product.value)
        lines.append(line.replacing(product.key, with: "@\(product.value)(")[...])
      } else if [" = sdiv ", " = srem ", " = urem "].contains(where: { line.contains($0) }),
        let found = line.wholeMatch(
          of: /(\s+%\S+ = )(sdiv|srem|urem)(?: exact)? (i8|i16|i32|i64) ([^,]+), ([^,\s]+)(.*)/)
      {
        let (_, target, operation, type, dividend, divisor, rest) = found.output
        // The verifier knows the range of `x % 8`, which is a mask, and of no other remainder: there, the check of an
        // index must stay, so that the optimiser must not know the range either.
        let isMask = Int(divisor).map { $0 > 0 && $0 & ($0 - 1) == 0 } ?? false
        guard operation != "urem" || !isMask else {
          lines.append(line)
          continue
        }
        let function = "sr_author_\(operation)\(operation == "sdiv" || isMask ? "" : "hidden")_\(type)"
        used.insert(function)
        lines.append("\(target)call \(type) @\(function)(\(type) \(dividend), \(type) \(divisor))\(rest)")
      } else if line.contains(" = zext "),
        let found = line.wholeMatch(
          of: /(\s+%\S+ = )zext (?:nneg )?(i8|i16|i32) ([^,\s]+) to (i32|i64)(.*)/)
      {
        let (_, target, from, value, to, rest) = found.output
        let function = "sr_author_zext_\(from)_\(to)"
        used.insert(function)
        lines.append("\(target)call \(to) @\(function)(\(from) \(value))\(rest)")
      } else {
        lines.append(line)
      }
    }
    if used.contains(signedProduct) { used.insert(unsignedProduct) }
    let assume = "declare void @llvm.assume(i1"
    let declaration =
      used.contains { $0.contains("zext") } && !text.contains(assume) ? "\n\(assume) noundef)\n" : ""
    return lines.joined(separator: "\n") + declaration + used.sorted().map(definition).joined()
  }

  /// IR, after the optimiser, in which the clearing of much memory is a loop: a kernel program has no memset, and the
  /// code generator writes out no more than some stores.
  static func lowerFills(_ text: String) -> String {
    var lines: [Substring] = []
    var used: Set<Int> = []
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      guard line.contains("@llvm.memset.p0.i64("),
        let found = line.wholeMatch(
          of:
            /(\s+)(?:tail )?call void @llvm\.memset\.p0\.i64\(ptr (.*?)(%\S+), i8 (\d+), i64 (\d+), i1 false\)(.*)/
        ),
        let byte = UInt8(found.output.4), let count = Int(found.output.5), count > 512
      else {
        lines.append(line)
        continue
      }
      let (_, indent, attributes, pointer, _, _, rest) = found.output
      let aligned = attributes.firstMatch(of: /align (\d+)/).flatMap { Int($0.output.1) } ?? 1
      let width = [8, 4, 2].first { aligned % $0 == 0 && count % $0 == 0 } ?? 1
      used.insert(width)
      let value = (0..<width).reduce(UInt64(0)) { former, _ in former << 8 | UInt64(byte) }
      lines.append(
        "\(indent)call void @sr_author_fill_\(width)(ptr \(pointer), i64 \(count), i\(width * 8) \(value))\(rest)"
      )
    }
    return lines.joined(separator: "\n") + used.sorted().map(fill).joined()
  }

  /// Volatile, or the optimiser would make a memset of it again.
  private static func fill(_ width: Int) -> String {
    """

    define internal void @sr_author_fill_\(width)(ptr %p, i64 %n, i\(width * 8) %v) alwaysinline nounwind {
    entry:
      br label %loop
    loop:
      %i = phi i64 [ 0, %entry ], [ %next, %loop ]
      %at = getelementptr i8, ptr %p, i64 %i
      store volatile i\(width * 8) %v, ptr %at, align \(width)
      %next = add nuw i64 %i, \(width)
      %more = icmp ult i64 %next, %n
      br i1 %more, label %loop, label %done
    done:
      ret void
    }

    """
  }

  private static let unsignedProduct = "sr_author_umul"
  private static let signedProduct = "sr_author_smul"
  private static let products: KeyValuePairs = [
    "@llvm.umul.with.overflow.i64(": unsignedProduct, "@llvm.smul.with.overflow.i64(": signedProduct,
  ]

  private static func definition(_ function: String) -> String {
    switch function {
    case unsignedProduct: unsignedProductText
    case signedProduct: signedProductText
    default:
      // sr_author_sdiv_i64, sr_author_zext_i8_i64
      switch function.split(separator: "_").dropFirst(2).map(String.init) {
      case let words where words.count == 3: widening(function, words[1], words[2])
      case let words: quotient(function, words[0], words[1])
      }
    }
  }

  /// A small integer as a larger one. The optimiser would rather compare the small one, in a register of its own, and
  /// then index with the large one, of which the verifier does not know what was compared; so it must not see that they
  /// are the same, and is told its range instead.
  private static func widening(_ function: String, _ from: String, _ to: String) -> String {
    let bound = from == "i8" ? "256" : from == "i16" ? "65536" : "4294967296"
    return """

      define internal \(to) @\(function)(\(from) %a) alwaysinline nounwind {
        %wide = zext \(from) %a to \(to)
        %hidden = call \(to) asm "", "=\(to == "i32" ? "w" : "r"),0"(\(to) %wide) nounwind memory(none)
        %known = icmp ult \(to) %hidden, \(bound)
        call void @llvm.assume(i1 %known)
        ret \(to) %hidden
      }

      """
  }

  /// By schoolbook multiplication of halves, with no branch. Too large is what both upper halves have a part in, what
  /// the middle products carry beyond 64 bits, and what the sum carries.
  private static let unsignedProductText = """

    define internal { i64, i1 } @sr_author_umul(i64 %a, i64 %b) alwaysinline nounwind {
      %ah = lshr i64 %a, 32
      %al = and i64 %a, 4294967295
      %bh = lshr i64 %b, 32
      %bl = and i64 %b, 4294967295
      %upper = mul i64 %ah, %bh
      %m1 = mul i64 %ah, %bl
      %m2 = mul i64 %al, %bh
      %middle = add i64 %m1, %m2
      %above = lshr i64 %middle, 32
      %shifted = shl i64 %middle, 32
      %lower = mul i64 %al, %bl
      %sum = add i64 %lower, %shifted
      %both = and i64 %lower, %shifted
      %either = or i64 %lower, %shifted
      %lost = xor i64 %sum, -1
      %passed = and i64 %either, %lost
      %carries = or i64 %both, %passed
      %carry = lshr i64 %carries, 63
      %f1 = or i64 %upper, %above
      %f2 = or i64 %f1, %carry
      %over = icmp ne i64 %f2, 0
      %product = mul i64 %a, %b
      %r1 = insertvalue { i64, i1 } poison, i64 %product, 0
      %r2 = insertvalue { i64, i1 } %r1, i1 %over, 1
      ret { i64, i1 } %r2
    }

    """

  /// The product of the magnitudes, which may be 2^63 where the result is negative.
  private static let signedProductText = """

    define internal { i64, i1 } @sr_author_smul(i64 %a, i64 %b) alwaysinline nounwind {
      %as = ashr i64 %a, 63
      %bs = ashr i64 %b, 63
      %ax = xor i64 %a, %as
      %bx = xor i64 %b, %bs
      %am = sub i64 %ax, %as
      %bm = sub i64 %bx, %bs
      %u = call { i64, i1 } @sr_author_umul(i64 %am, i64 %bm)
      %magnitude = extractvalue { i64, i1 } %u, 0
      %over1 = extractvalue { i64, i1 } %u, 1
      %sign = xor i64 %as, %bs
      %limit = sub i64 9223372036854775807, %sign
      %over2 = icmp ugt i64 %magnitude, %limit
      %flipped = xor i64 %magnitude, %sign
      %product = sub i64 %flipped, %sign
      %over = or i1 %over1, %over2
      %r1 = insertvalue { i64, i1 } poison, i64 %product, 0
      %r2 = insertvalue { i64, i1 } %r1, i1 %over, 1
      ret { i64, i1 } %r2
    }

    """

  /// Of the magnitudes, with branches: on each of them the verifier sees a range, as for an index modulo a count. Swift
  /// has checked for a divisor of 0 before.
  private static func quotient(_ function: String, _ operation: String, _ type: String) -> String {
    let unsigned = operation == "sdiv" ? "udiv" : "urem"
    let hides = operation.hasSuffix("hidden")
    let register = type == "i64" ? "r" : "w"
    let magnitude =
      hides
      ? """
      %known = \(unsigned) \(type) %am, %bm
        %magnitude = call \(type) asm "", "=\(register),0"(\(type) %known) nounwind memory(none)
      """ : "%magnitude = \(unsigned) \(type) %am, %bm"
    guard operation != "uremhidden" else {
      return """

        define internal \(type) @\(function)(\(type) %am, \(type) %bm) alwaysinline nounwind {
          \(magnitude)
          ret \(type) %magnitude
        }

        """
    }
    // The sign of a quotient is that of both, the sign of a remainder that of the dividend.
    let sign = operation == "sdiv" ? "%signs = xor \(type) %a, %b" : "%signs = or \(type) %a, 0"
    return """

      define internal \(type) @\(function)(\(type) %a, \(type) %b) alwaysinline nounwind {
        %an = sub \(type) 0, %a
        %bn = sub \(type) 0, %b
        %alow = icmp slt \(type) %a, 0
        %blow = icmp slt \(type) %b, 0
        %am = select i1 %alow, \(type) %an, \(type) %a
        %bm = select i1 %blow, \(type) %bn, \(type) %b
        \(magnitude)
        \(sign)
        %low = icmp slt \(type) %signs, 0
        br i1 %low, label %negative, label %positive
      negative:
        %result = sub \(type) 0, %magnitude
        ret \(type) %result
      positive:
        ret \(type) %magnitude
      }

      """
  }
}
