internal import Glibc

/// The core schema of YAML 1.2.2, section 10.3.2: what a plain scalar means.
enum YAMLScalar {
    enum Meaning {
        case content(YAMLNode.Content)
        /// A whole number that does not fit 64 bits.
        case tooLarge
    }

    static func meaning(of plain: String) -> Meaning {
        switch plain {
        case "", "~", "null", "Null", "NULL": return .content(.null)
        case "true", "True", "TRUE": return .content(.bool(true))
        case "false", "False", "FALSE": return .content(.bool(false))
        default: break
        }
        // Only these can begin a number; most scalars end here.
        guard let first = plain.utf8.first, isDigit(first) || first == 0x2B || first == 0x2D || first == 0x2E else {
            return .content(.string(plain))
        }
        return number(plain) ?? .content(.string(plain))
    }

    private static func number(_ plain: String) -> Meaning? {
        let bytes = Array(plain.utf8)
        if bytes.count > 2, bytes[0] == 0x30, bytes[1] == UInt8(ascii: "x") || bytes[1] == UInt8(ascii: "o") {
            let radix = bytes[1] == UInt8(ascii: "x") ? 16 : 8
            let digits = plain.dropFirst(2)
            guard digits.utf8.allSatisfy({ isDigit($0, radix: radix) }) else { return nil }
            return Int64(digits, radix: radix).map { .content(.int($0)) } ?? .tooLarge
        }
        let unsigned = bytes[0] == 0x2B || bytes[0] == 0x2D ? bytes.dropFirst() : bytes[...]
        switch String(decoding: unsigned, as: UTF8.self) {
        case ".inf", ".Inf", ".INF": return .content(.double(bytes[0] == 0x2D ? -.infinity : .infinity))
        case ".nan", ".NaN", ".NAN": return unsigned.count == bytes.count ? .content(.double(.nan)) : nil
        default: break
        }
        if !unsigned.isEmpty, unsigned.allSatisfy({ isDigit($0) }) {
            return Int64(plain).map { .content(.int($0)) } ?? .tooLarge
        }
        return isDecimal(unsigned) ? .content(.double(strtod(plain, nil))) : nil
    }

    /// `[0-9]+ ( \. [0-9]* )?` or `\. [0-9]+`, then `( [eE] [-+]? [0-9]+ )?`.
    private static func isDecimal(_ bytes: ArraySlice<UInt8>) -> Bool {
        var rest = bytes
        let whole = rest.prefix { isDigit($0) }
        rest = rest.dropFirst(whole.count)
        var fractionCount = 0
        if rest.first == 0x2E {
            rest = rest.dropFirst()
            fractionCount = rest.prefix { isDigit($0) }.count
            rest = rest.dropFirst(fractionCount)
        }
        guard !whole.isEmpty || fractionCount > 0 else { return false }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if rest.first == 0x2B || rest.first == 0x2D { rest = rest.dropFirst() }
            guard !rest.isEmpty else { return false }
            rest = rest.drop { isDigit($0) }
        }
        return rest.isEmpty
    }

    private static func isDigit(_ byte: UInt8, radix: Int = 10) -> Bool {
        switch byte {
        case 0x30...0x39: Int(byte - 0x30) < radix
        case 0x41...0x46, 0x61...0x66: radix == 16
        default: false
        }
    }
}
