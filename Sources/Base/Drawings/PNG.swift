internal import CZlib

/// Writes PNG files (ISO 15948).
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

    private static func compressed(_ data: [UInt8]) -> [UInt8] {
        var length = compressBound(uLong(data.count))
        return [UInt8](unsafeUninitializedCapacity: Int(length)) { buffer, count in
            let code = compress2(buffer.baseAddress, &length, data, uLong(data.count), 9)
            // There is room for the worst case, so that only memory can be missing.
            precondition(code == Z_OK, "zlib cannot compress \(data.count) bytes: code \(code)")
            count = Int(length)
        }
    }

    private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
        let body = Array(type.utf8) + data
        return bytes(UInt32(data.count)) + body + bytes(UInt32(crc32(0, body, uInt(body.count))))
    }

    private static func bytes(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }
}
