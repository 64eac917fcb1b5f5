/// Writes PNG files (ISO 15948). Drawings are flat, so runs of one byte are all that the compression looks for.
package enum PNG {
    /// - Parameter rgb: three bytes a pixel, row by row.
    package static func encoded(rgb: [UInt8], width: Int, height: Int) -> [UInt8] {
        precondition(rgb.count == width * height * 3, "\(rgb.count) bytes are no picture of \(width) × \(height)")
        let length = width * 3
        var rows: [UInt8] = []
        rows.reserveCapacity(rgb.count + height)
        for y in 0..<height {
            // Filter 2: each byte less the one above it, which leaves zeros where rows are alike.
            rows.append(2)
            for k in (y * length)..<((y + 1) * length) { rows.append(y == 0 ? rgb[k] : rgb[k] &- rgb[k - length]) }
        }
        let header = bytes(UInt32(width)) + bytes(UInt32(height)) + [8, 2, 0, 0, 0]
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", header)
            + chunk("IDAT", compressed(rows)) + chunk("IEND", [])
    }

    /// A zlib stream (RFC 1950) of one block with the fixed code.
    private static func compressed(_ data: [UInt8]) -> [UInt8] {
        var stream = RunStream()
        var place = 0
        while place < data.count {
            var end = place + 1
            while end < data.count, data[end] == data[place] { end += 1 }
            stream.add(data[place], times: end - place)
            place = end
        }
        var (a, b): (UInt32, UInt32) = (1, 0)
        for byte in data {
            a = (a + UInt32(byte)) % 65521
            b = (b + a) % 65521
        }
        return [0x78, 0x01] + stream.finish() + bytes(b << 16 | a)
    }

    private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
        let body = Array(type.utf8) + data
        return bytes(UInt32(data.count)) + body + bytes(checksum(body))
    }

    private static func bytes(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }

    /// CRC-32 of PNG, gzip and zip.
    private static func checksum(_ data: [UInt8]) -> UInt32 {
        ~data.reduce(~0) { sum, byte in table[Int((sum ^ UInt32(byte)) & 255)] ^ (sum >> 8) }
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }
}

/// Deflate (RFC 1951) with the fixed code of section 3.2.6, of bytes and of repetitions of the last byte.
private struct RunStream {
    private var bytes: [UInt8] = []
    private var bits: UInt32 = 0
    private var count = 0

    /// A last block with the fixed code.
    init() { put(0b011, 3) }

    mutating func add(_ byte: UInt8, times: Int) {
        literal(byte)
        var left = times - 1
        while left > 0 {
            // The lengths that need no more bits: 258 is symbol 285, 3 to 10 are 257 to 264. The distance 1 is code 0.
            let length = left >= 258 ? 258 : min(left, 10)
            if length < 3 {
                literal(byte)
                left -= 1
                continue
            }
            if length == 258 { code(0b1100_0101, 8) } else { code(UInt32(length - 2), 7) }
            code(0, 5)
            left -= length
        }
    }

    mutating func finish() -> [UInt8] {
        code(0, 7)
        if count > 0 { put(0, 8 - count) }
        return bytes
    }

    private mutating func literal(_ byte: UInt8) {
        if byte < 144 { code(0x30 + UInt32(byte), 8) } else { code(0x190 + UInt32(byte) - 144, 9) }
    }

    /// A word of the code: its highest bit comes first.
    private mutating func code(_ word: UInt32, _ length: Int) {
        for bit in (0..<length).reversed() { put(word >> UInt32(bit) & 1, 1) }
    }

    /// The lowest bit comes first.
    private mutating func put(_ value: UInt32, _ length: Int) {
        bits |= value << UInt32(count)
        count += length
        while count >= 8 {
            bytes.append(UInt8(bits & 255))
            bits >>= 8
            count -= 8
        }
    }
}
