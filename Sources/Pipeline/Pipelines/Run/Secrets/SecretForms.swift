/// The ways in which a secret may be written, so that each of them can be hidden.
enum SecretForms {
    /// Shorter ones are too common to be hidden, and easy to guess.
    static let shortest = 6
    static let longest = 64 << 10

    /// All forms of `secret`: as it is, quoted for JSON, escaped for HTML and XML, URL-encoded, in hexadecimal, and in base64
    /// at each of the three places that it can have in what is encoded. Of a secret with several lines each line is one, too.
    ///
    /// Ends of lines are left out: whoever looks for a form skips them, as `base64` and `pem` break long lines.
    static func all(of secret: String) -> Set<[UInt8]> {
        var texts = [Array(secret.utf8)]
        if secret.contains("\n") {
            texts += secret.split(whereSeparator: \.isNewline).map { Array($0.utf8) }.filter { $0.count >= 16 }
        }
        var all: Set<[UInt8]> = []
        for text in texts {
            let forms = [text, quoted(text)] + inASCII(text) + [markup(text)]
            for form in forms + hexadecimal(text) + urlEncoded(text) + base64(text) {
                let letters = form.filter { $0 != 0x0A && $0 != 0x0D }
                if letters.count >= 4 { all.insert(letters) }
            }
        }
        return all
    }

    // MARK: Forms

    /// Quoted for JSON with `\u00e9` for `é`, as Python writes it, and with `\/` for `/`, as PHP does.
    private static func inASCII(_ text: [UInt8]) -> [[UInt8]] {
        let quoted = String(decoding: quoted(text), as: UTF8.self)
        var forms: [[UInt8]] = []
        for isUpper in [false, true] {
            let escaped = quoted.utf16.flatMap { unit -> [UInt8] in
                if let byte = UInt8(exactly: unit), byte < 0x80 { return [byte] }
                return Array("\\u".utf8) + digits(UInt8(unit >> 8), isUpper) + digits(UInt8(unit & 0xFF), isUpper)
            }
            forms.append(escaped)
            forms.append(escaped.flatMap { $0 == 0x2F ? [0x5C, 0x2F] : [$0] })
        }
        return forms
    }

    private static func markup(_ text: [UInt8]) -> [UInt8] {
        text.flatMap { byte -> [UInt8] in
            switch byte {
            case 0x22: Array("&quot;".utf8)
            case 0x26: Array("&amp;".utf8)
            case 0x27: Array("&#39;".utf8)
            case 0x3C: Array("&lt;".utf8)
            case 0x3E: Array("&gt;".utf8)
            default: [byte]
            }
        }
    }

    private static func quoted(_ text: [UInt8]) -> [UInt8] {
        text.flatMap { byte -> [UInt8] in
            switch byte {
            case 0x22, 0x5C: [0x5C, byte]
            case 0x0A: Array("\\n".utf8)
            case 0x0D: Array("\\r".utf8)
            case 0x09: Array("\\t".utf8)
            default: [byte]
            }
        }
    }

    private static func hexadecimal(_ text: [UInt8]) -> [[UInt8]] {
        [false, true].map { isUpper in text.flatMap { digits($0, isUpper) } }
    }

    private static func digits(_ byte: UInt8, _ isUpper: Bool) -> [UInt8] {
        let digits = Array((isUpper ? "0123456789ABCDEF" : "0123456789abcdef").utf8)
        return [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }

    /// As programs differ: with or without what RFC 3986 reserves and leaves as it is, a space as `%20` or `+`.
    private static func urlEncoded(_ text: [UInt8]) -> [[UInt8]] {
        var forms: [[UInt8]] = []
        for kept in ["-._~", "-._~/", "-._*", "-_.!~*'()", "-._~!*'();:@&=+$,/?#[]"] {
            for isUpper in [true, false] {
                for space in ["%20", "+"] {
                    let plain = Set(kept.utf8)
                    forms.append(
                        text.flatMap { byte -> [UInt8] in
                            if byte == 0x20 { return Array(space.utf8) }
                            let isLetter = (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF)
                            return isLetter && byte < 0x80 || plain.contains(byte)
                                ? [byte] : [0x25] + digits(byte, isUpper)
                        })
                }
            }
        }
        return forms
    }

    /// What of the base64 of any text around it is always the same: the digits that hold none of its neighbours' bits.
    private static func base64(_ text: [UInt8]) -> [[UInt8]] {
        var forms: [[UInt8]] = []
        for alphabet in ["+/", "-_"] {
            let digits = Array(("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + alphabet).utf8)
            for before in 0..<3 {
                let bytes = [UInt8](repeating: 0, count: before) + text
                let first = (before * 8 + 5) / 6
                let end = bytes.count * 8 / 6
                forms.append(
                    (first..<max(first, end)).map { position in
                        let bit = position * 6
                        let high = UInt16(bytes[bit / 8]) << 8
                        let low = bit / 8 + 1 < bytes.count ? UInt16(bytes[bit / 8 + 1]) : 0
                        return digits[Int((high | low) >> (10 - UInt16(bit % 8)) & 63)]
                    })
            }
        }
        return forms
    }
}
