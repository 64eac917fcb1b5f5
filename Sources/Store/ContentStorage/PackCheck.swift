internal import Basics

/// Reads every byte of a pack and says what is wrong with it.
struct PackCheck: Sendable {
    struct Problem: Sendable {
        /// nil: the pack as a whole.
        var key: ObjectKey?
        var text: String
    }

    private static let window: Int64 = 4 << 20

    var entries: [PackEntry] = []
    var byteCount: Int64 = 0
    var problems: [Problem] = []
    /// The SHA-256 of all bytes, if it was asked for and the footer could be read.
    var fileDigest: Digest?

    var isClean: Bool { problems.isEmpty }

    /// Reads every object of the pack at `path`, which should have the name `digest`.
    ///
    /// The footer is what the name stands for, and every object is what the footer says of it: that is every byte.
    ///
    /// - Parameter hashesFile: whether `fileDigest` is wanted too.
    /// - Throws: kind `.io` or `.notFound` if it cannot be read at all, `.damaged` if it becomes shorter meanwhile.
    static func run(at path: String, expected digest: Digest, hashesFile: Bool = false) throws -> PackCheck {
        let file = try OpenFile(reading: path)
        var check = PackCheck()
        check.byteCount = try file.status().size
        let footer: (entries: [PackEntry], start: Int64, digest: Digest)
        do {
            footer = try PackReader.readFooter(of: file)
        } catch let error as MLOpsError where error.kind == .damaged {
            check.problems.append(Problem(key: nil, text: error.message))
            return check
        }
        check.entries = footer.entries
        if footer.digest != digest {
            check.problems.append(Problem(key: nil, text: "its footer is not the one that its name stands for"))
        }
        var hasher = hashesFile ? DigestHasher() : nil
        hasher?.update(PackFormat.header)
        var index = 0
        var end = Int64(PackFormat.header.count)
        while index < check.entries.count {
            let first = index
            let start = check.entries[first].offset
            if start > end {
                let zeros = try file.read(count: Int(start - end), at: end)
                if zeros.contains(where: { $0 != 0 }) {
                    check.problems.append(Problem(key: nil, text: "the bytes before one of its objects are not zero"))
                }
                hasher?.update(zeros)
            }
            end = start
            repeat {
                end += Int64(check.entries[index].storedLength)
                index += 1
            } while index < check.entries.count && check.entries[index].offset == end
                && end + Int64(check.entries[index].storedLength) - start <= PackCheck.window
            let bytes = try file.read(count: Int(end - start), at: start)
            check.examine(check.entries[first..<index], in: bytes, &hasher)
        }
        hasher?.update(try file.read(count: Int(check.byteCount - footer.start), at: footer.start))
        check.fileDigest = hasher?.finalize()
        return check
    }

    /// Compares neighbouring objects with what the footer says of them, and continues the hash of the file.
    private mutating func examine(_ entries: ArraySlice<PackEntry>, in bytes: [UInt8], _ hasher: inout DigestHasher?) {
        guard let start = entries.first?.offset else { return }
        bytes.withUnsafeBytes { raw in
            // Chunks as they are need no more than their digests, two of which cost little more than one.
            if entries.allSatisfy({ $0.codec == .raw && $0.key.kind == .chunk }) {
                let digests = PackCheck.digests(of: entries, in: raw, &hasher)
                for (entry, digest) in zip(entries, digests) where digest != entry.key.id {
                    problems.append(Problem(key: entry.key, text: "has other bytes than its digest says"))
                }
                return
            }
            hasher?.update(raw)
            for entry in entries {
                let offset = Int(entry.offset - start)
                let stored = UnsafeRawBufferPointer(rebasing: raw[offset..<offset + entry.storedLength])
                if let problem = PackCheck.fault(of: entry, stored) {
                    problems.append(Problem(key: entry.key, text: problem))
                }
            }
        }
    }

    /// The digests of objects that follow each other in `bytes`; `hasher`, if there is one, goes on with all of them.
    private static func digests(
        of entries: ArraySlice<PackEntry>, in bytes: UnsafeRawBufferPointer, _ hasher: inout DigestHasher?
    ) -> [Digest] {
        if let digests = hasher?.update(bytes, pieces: bytes, lengths: entries.map { UInt32($0.storedLength) }) {
            return digests
        }
        var start = 0
        return Digest.ofEach(
            entries.map { entry in
                defer { start += entry.storedLength }
                return UnsafeRawBufferPointer(rebasing: bytes[start..<start + entry.storedLength])
            })
    }

    /// What is wrong with an object, or nil.
    private static func fault(of entry: PackEntry, _ stored: UnsafeRawBufferPointer) -> String? {
        do {
            _ = try PackFrame(entry, stored: Array(stored)).decoded()
            return nil
        } catch let error as MLOpsError {
            return error.message
        } catch {
            return "\(error)"
        }
    }
}
