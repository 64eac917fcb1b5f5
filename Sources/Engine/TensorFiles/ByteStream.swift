internal import Basics
internal import CZlib

/// The plain bytes of a file from first to last; a gzip file (told by its magic, not its name) is inflated on the way.
///
/// Not safe to share between threads: one reader owns it.
package final class ByteStream {
    package let path: String
    private let file: OpenFile
    private var offset: Int64 = 0
    private var inflater: Inflater?
    private var input: [UInt8]
    private var inputStart = 0
    private var inputEnd = 0
    private var reachedEnd = false
    private var finishedMember = false
    /// Where the bytes to read end in the file.
    private let end: Int64
    private let start: Int64
    /// What the check sum must be at the end, of a member of an archive.
    private var expectedSum: UInt32?
    private var sum: UInt = 0
    /// Plain bytes given out so far.
    package private(set) var byteCount: Int64 = 0

    private static let blockSize = 1 << 18

    /// A block, or less for fewer bytes; one byte more than they are, so that the first read shows the end.
    private static func block(for count: Int64) -> [UInt8] {
        [UInt8](repeating: 0, count: Int(min(Int64(blockSize), max(count, 0) + 1)))
    }

    /// Opens `path`.
    ///
    /// - Throws: the system's error; kind `.usage` if it is not a regular file.
    package init(path: String) throws {
        self.path = path
        file = try OpenFile(reading: path)
        let status = try file.status()
        guard status.kind == .file else {
            throw MLOpsError(.usage, "`\(path)` is not a regular file", hint: "name a data file, plain or .gz")
        }
        start = 0
        end = status.size
        input = ByteStream.block(for: end)
        try refill()
        if inputEnd >= 2, input[0] == 0x1F, input[1] == 0x8B { inflater = try Inflater(path: path, wrapper: .gzip) }
    }

    /// The bytes of one member of an archive, which lie in `range` of `file`, deflated or not.
    init(name: String, file: OpenFile, range: Range<Int64>, isDeflated: Bool, checkSum: UInt32) throws {
        path = name
        self.file = file
        start = range.lowerBound
        offset = range.lowerBound
        end = range.upperBound
        expectedSum = checkSum
        input = ByteStream.block(for: end - start)
        if isDeflated { inflater = try Inflater(path: name, wrapper: .none) }
    }

    var isDeflated: Bool { inflater != nil }

    /// No more than so many plain bytes can follow: none are lost by plain files, and deflate never gains more than 1032 times.
    package var maximumRest: Int64 {
        let rest = end - offset + Int64(inputEnd - inputStart)
        // A megabyte for what the inflater holds already.
        return inflater == nil ? rest : rest * 1032 + 1 << 20
    }

    /// Fills `buffer` as far as the file goes; the count of bytes written, 0 only at the end (or for an empty buffer).
    ///
    /// - Throws: kind `.damaged` if a gzip file is cut short or its check sum is wrong.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var total = 0
        while total < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[total...])
            let count = try inflater == nil ? readPlain(into: rest) : readInflated(into: rest)
            if count == 0 { break }
            total += count
        }
        byteCount += Int64(total)
        try check(UnsafeRawBufferPointer(rebasing: buffer[..<total]), isEnd: total < buffer.count)
        return total
    }

    private func check(_ bytes: UnsafeRawBufferPointer, isEnd: Bool) throws {
        guard let expectedSum else { return }
        sum = crc32_z(sum, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
        if isEnd, sum != UInt(expectedSum) {
            throw MLOpsError(.damaged, "`\(path)` is damaged: its check sum is wrong", hint: "fetch the file again")
        }
    }

    /// Fills `buffer` whole.
    ///
    /// - Throws: kind `.damaged` if the file ends before; `part` says inside what.
    package func fill(_ buffer: UnsafeMutableRawBufferPointer, part: String) throws {
        guard try read(into: buffer) == buffer.count else {
            throw MLOpsError(
                .damaged, "`\(path)` ends after \(byteCount) bytes, inside \(part)", hint: "fetch the file again")
        }
    }

    /// The next `count` bytes.
    package func bytes(_ count: Int, part: String) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withUnsafeMutableBytes { try fill($0, part: part) }
        return bytes
    }

    /// All bytes that are left, at most `limit`.
    ///
    /// - Throws: kind `.usage` if there are more.
    package func readAll(limit: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var block = ByteStream.block(for: maximumRest)
        while true {
            let count = try block.withUnsafeMutableBytes { try read(into: $0) }
            if count == 0 { return bytes }
            bytes.append(contentsOf: block[..<count])
            if bytes.count > limit {
                throw MLOpsError(.usage, "`\(path)` holds more than \(Format.bytes(Int64(limit)))")
            }
        }
    }

    private func refill() throws {
        guard !reachedEnd, inputStart == inputEnd else { return }
        inputStart = 0
        inputEnd = try input.withUnsafeMutableBytes { block in
            let count = Int(min(Int64(block.count), max(0, end - offset)))
            return try file.read(into: UnsafeMutableRawBufferPointer(rebasing: block[..<count]), at: offset)
        }
        offset += Int64(inputEnd)
        reachedEnd = inputEnd < input.count
    }

    private func readPlain(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try refill()
        let count = min(buffer.count, inputEnd - inputStart)
        input.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[inputStart..<(inputStart + count)]))
        }
        inputStart += count
        return count
    }

    private func readInflated(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard let inflater else { return 0 }
        while true {
            try refill()
            if inputStart == inputEnd {
                if finishedMember { return 0 }
                throw MLOpsError(
                    .damaged, "\(inflater.format) `\(path)` is cut short after \(offset - start) compressed bytes",
                    hint: "fetch the file again")
            }
            if finishedMember {
                // Bytes after a member are the next member, or padding that tapes and uploads leave.
                guard inflater.wrapper == .gzip, input[inputStart] == 0x1F else { return 0 }
                try inflater.restart()
                finishedMember = false
            }
            let step = try input.withUnsafeBytes {
                try inflater.inflate(UnsafeRawBufferPointer(rebasing: $0[inputStart..<inputEnd]), into: buffer)
            }
            inputStart += step.consumed
            finishedMember = step.ended
            if step.produced > 0 { return step.produced }
        }
    }
}

/// One zlib stream; it lives at a fixed address because zlib keeps a pointer to it.
private final class Inflater {
    enum Wrapper { case gzip, none }

    private let path: String
    let wrapper: Wrapper
    private let stream: UnsafeMutablePointer<z_stream>

    var format: String { wrapper == .gzip ? "gzip file" : "member" }

    init(path: String, wrapper: Wrapper) throws {
        self.path = path
        self.wrapper = wrapper
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 16 asks for the gzip wrapper with its check sum, a negative number for none.
        let bits = wrapper == .gzip ? 16 + MAX_WBITS : -MAX_WBITS
        let code = inflateInit2_(stream, bits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        if code != Z_OK {
            throw MLOpsError(.failed, "zlib \(ZLIB_VERSION) does not start (code \(code))")
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func restart() throws {
        if inflateReset(stream) != Z_OK { throw MLOpsError(.failed, "zlib cannot restart for `\(path)`") }
    }

    func inflate(
        _ source: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> (consumed: Int, produced: Int, ended: Bool) {
        let sourceCount = min(source.count, Int(UInt32.max))
        let bufferCount = min(buffer.count, Int(UInt32.max))
        stream.pointee.next_in = UnsafeMutablePointer(
            mutating: source.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(sourceCount)
        stream.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(bufferCount)
        let code = CZlib.inflate(stream, Z_NO_FLUSH)
        guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else {
            let reason = stream.pointee.msg.map { String(cString: $0) } ?? "code \(code)"
            throw MLOpsError(
                .damaged, "\(format) `\(path)` is damaged: \(reason)", hint: "fetch the file again")
        }
        return (
            sourceCount - Int(stream.pointee.avail_in), bufferCount - Int(stream.pointee.avail_out),
            code == Z_STREAM_END
        )
    }
}
