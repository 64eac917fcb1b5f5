package import Basics
internal import CSystem
internal import Glibc

/// A file that lies elsewhere than where it belongs: in the cache of another tool, say.
package struct ForeignFile: Sendable {
    /// What the other tool recorded of a file's bytes.
    package enum Checksum: Sendable, Hashable {
        /// 32 hex digits; `.ignoringLineEnds` also takes the MD5 of a text with its CR LF turned into LF.
        case md5(String)
        case md5IgnoringLineEnds(String)
        case sha256(Digest)
    }

    /// Below the root of the tree; `""` for a root that is a file itself.
    package var path: String
    /// Where the bytes are, absolute.
    package var source: String
    package var isExecutable: Bool
    package var checksum: Checksum

    package init(path: String, source: String, isExecutable: Bool = false, checksum: Checksum) {
        self.path = path
        self.source = source
        self.isExecutable = isExecutable
        self.checksum = checksum
    }

    /// Compares all of its bytes with the checksum.
    ///
    /// - Throws: kind `.damaged` if they differ.
    package func verify() throws {
        let file = try open()
        guard case .sha256(let expected) = checksum else { return try ForeignCheck(file: self).check(file) }
        let found = try Digest.of(FileSystem.read(source))
        if found != expected { throw mismatch(found.description) }
    }

    /// - Throws: kind `.notFound`, or `.failed` for what is no regular file.
    func open() throws -> OpenFile {
        let descriptor = mlops_open(source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0)
        if descriptor < 0 { throw MLOpsError.system("open", source, errno: errno) }
        let file = OpenFile(descriptor: descriptor, path: source)
        guard try file.status().kind == .file else {
            throw MLOpsError(.failed, "`\(source)` is not a regular file")
        }
        return file
    }

    func mismatch(_ found: String) -> MLOpsError {
        let expected =
            switch checksum {
            case .md5(let text), .md5IgnoringLineEnds(let text): "MD5 \(text)"
            case .sha256(let digest): digest.description
            }
        return MLOpsError(
            .damaged, "`\(source)` has \(found), not the recorded \(expected)",
            hint: "fetch it again with the tool that keeps it, then run the same command again")
    }
}

/// Compares the bytes of a file with its checksum, piece by piece.
struct ForeignCheck {
    /// DVC before 3 turned line ends block by block, so that a CR LF across two blocks stayed.
    private static let lineEndBlock = 1 << 20

    let file: ForeignFile

    /// - Throws: kind `.damaged` if `bytes`, all of the file, are not what was recorded.
    func check(_ bytes: UnsafeRawBufferPointer) throws {
        switch file.checksum {
        case .sha256(let expected):
            let found = Digest.of(raw: bytes)
            if found != expected { throw file.mismatch(found.description) }
        case .md5(let expected), .md5IgnoringLineEnds(let expected):
            var hasher = MD5Hasher()
            hasher.update(bytes)
            let found = hasher.finalize()
            if found == expected { return }
            guard case .md5IgnoringLineEnds = file.checksum else { throw file.mismatch("MD5 \(found)") }
            var other = MD5Hasher()
            for start in stride(from: 0, to: bytes.count, by: ForeignCheck.lineEndBlock) {
                let block = bytes[start..<min(start + ForeignCheck.lineEndBlock, bytes.count)]
                ForeignCheck.update(&other, withLineEndsOf: UnsafeRawBufferPointer(rebasing: block))
            }
            if other.finalize() != expected { throw file.mismatch("MD5 \(found)") }
        }
    }

    /// Reads an open file in blocks and compares it.
    func check(_ open: OpenFile) throws {
        if case .sha256 = file.checksum { return }  // The store's own digest is compared instead.
        var plain = MD5Hasher()
        var unix = MD5Hasher()
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: ForeignCheck.lineEndBlock, alignment: 4096)
        defer { block.deallocate() }
        var offset: Int64 = 0
        var ignoresLineEnds = false
        if case .md5IgnoringLineEnds = file.checksum { ignoresLineEnds = true }
        while true {
            try Task.checkCancellation()
            let count = try open.read(into: block, at: offset)
            if count == 0 { break }
            let bytes = UnsafeRawBufferPointer(rebasing: block[..<count])
            plain.update(bytes)
            if ignoresLineEnds { ForeignCheck.update(&unix, withLineEndsOf: bytes) }
            offset += Int64(count)
        }
        let found = plain.finalize()
        switch file.checksum {
        case .md5(let expected) where found == expected: return
        case .md5IgnoringLineEnds(let expected) where found == expected || unix.finalize() == expected: return
        default: throw file.mismatch("MD5 \(found)")
        }
    }

    private static func update(_ hasher: inout MD5Hasher, withLineEndsOf block: UnsafeRawBufferPointer) {
        var start = 0
        var index = 0
        while index + 1 < block.count {
            if block[index] == 0x0D, block[index + 1] == 0x0A {
                hasher.update(UnsafeRawBufferPointer(rebasing: block[start..<index]))
                start = index + 1
            }
            index += 1
        }
        hasher.update(UnsafeRawBufferPointer(rebasing: block[start..<block.count]))
    }
}
