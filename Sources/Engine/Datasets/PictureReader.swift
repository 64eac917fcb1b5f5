internal import Basics
internal import CPictures

/// A picture in memory: rows of interleaved bytes, the top one first.
package struct Picture: Sendable {
    package var width: Int
    package var height: Int
    /// 1 grey; 3 red, green, blue.
    package var channels: Int
    package var pixels: [UInt8]
}

/// Reads PNG and JPEG files, told by their first bytes.
///
/// 16-bit samples are rounded to 8, palettes looked up, alpha dropped, CMYK converted; how a camera was held (EXIF) does not count.
package enum PictureReader {
    package static let maximumPixels = 1 << 26
    package static let maximumFileSize = 1 << 28

    /// The picture in the file at `path`.
    ///
    /// - Throws: kind `.usage` for another format or too large a picture; kind `.damaged` with the library's reason; kind `.failed` if
    ///   libpng or libjpeg is not installed.
    package static func read(_ path: String) throws -> Picture {
        let file = try OpenFile(reading: path)
        let status = try file.status()
        guard status.kind == .file else { throw MLOpsError(.usage, "`\(path)` is not a regular file") }
        guard status.size <= Int64(maximumFileSize) else {
            throw MLOpsError(
                .usage,
                "picture `\(path)` has \(Format.bytes(status.size)), expected at most \(Format.bytes(Int64(maximumFileSize)))"
            )
        }
        return try decode(try file.read(count: Int(status.size), at: 0), path: path)
    }

    /// The picture in the file `bytes`; `path` is for messages.
    package static func decode(_ bytes: [UInt8], path: String) throws -> Picture {
        let kind: mlops_picture_kind
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            kind = MLOPS_PNG
        } else if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
            kind = MLOPS_JPEG
        } else {
            throw MLOpsError(
                .usage, "`\(path)` is neither PNG nor JPEG: it starts with `\(hexadecimal(bytes.prefix(8)))`",
                hint: "convert the picture to one of the two, or remove it")
        }
        let name = kind == MLOPS_PNG ? "PNG" : "JPEG"
        var reason = [CChar](repeating: 0, count: 512)
        guard mlops_picture_load(kind, &reason, reason.count) == 0 else {
            throw MLOpsError(
                .failed, "\(name) pictures cannot be read: \(text(reason))",
                hint: "install the library; Debian's packages are libpng16-16 and libjpeg62-turbo")
        }
        var picture = mlops_picture()
        guard mlops_picture_decode(kind, bytes, bytes.count, maximumPixels, &picture, &reason, reason.count) == 0 else {
            throw MLOpsError(
                .damaged, "\(name) picture `\(path)` cannot be read: \(text(reason))",
                hint: "fetch or make the picture again, or remove it")
        }
        defer { mlops_picture_release(&picture) }
        let count = Int(picture.width) * Int(picture.height) * Int(picture.channels)
        return Picture(
            width: Int(picture.width), height: Int(picture.height), channels: Int(picture.channels),
            pixels: Array(UnsafeBufferPointer(start: picture.pixels, count: count)))
    }

    private static func text(_ reason: [CChar]) -> String {
        printable(String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}
