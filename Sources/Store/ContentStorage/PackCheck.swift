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

    var isClean: Bool { problems.isEmpty }

    /// - Throws: kind `.io` or `.notFound` if it cannot be read at all.
    static func run(at path: String, expected digest: Digest) throws -> PackCheck {
        let file = try OpenFile(reading: path)
        var check = PackCheck()
        check.byteCount = try file.status().size
        var hasher = DigestHasher()
        var position: Int64 = 0
        do {
            check.entries = try PackReader.readFooter(of: file).entries
        } catch let error as MLOpsError where error.kind == .damaged {
            check.problems.append(Problem(key: nil, text: error.message))
        }
        var index = 0
        while position < check.byteCount {
            // As many whole frames as fit, or what comes before and after them.
            var end = position
            let first = index
            while index < check.entries.count, check.entries[index].offset == end,
                end == position || end + Int64(check.entries[index].storedLength) - position <= window
            {
                end += Int64(check.entries[index].storedLength)
                index += 1
            }
            if end == position {
                let limit = index < check.entries.count ? check.entries[index].offset : check.byteCount
                end = min(limit, position + window)
                // Frames without bytes do not move the position.
                if end == position { break }
            }
            let bytes = try file.read(count: Int(end - position), at: position)
            hasher.update(bytes)
            bytes.withUnsafeBytes { raw in
                for entry in check.entries[first..<index] {
                    let start = Int(entry.offset - position)
                    let stored = UnsafeRawBufferPointer(rebasing: raw[start..<start + entry.storedLength])
                    if let problem = fault(of: entry, stored) {
                        check.problems.append(Problem(key: entry.key, text: problem))
                    }
                }
            }
            position = end
        }
        if check.problems.isEmpty, hasher.finalize() != digest {
            check.problems.append(Problem(key: nil, text: "its bytes are not those that its name stands for"))
        }
        return check
    }

    /// What is wrong with an object, or nil.
    private static func fault(of entry: PackEntry, _ stored: UnsafeRawBufferPointer) -> String? {
        if entry.codec == .raw, entry.key.kind == .chunk {
            return Digest.of(raw: stored) == entry.key.id ? nil : "has other bytes than its digest says"
        }
        let frame = PackFrame(
            key: entry.key, codec: entry.codec, plainLength: entry.plainLength, stored: Array(stored))
        do {
            _ = try frame.decoded()
            return nil
        } catch let error as MLOpsError {
            return error.message
        } catch {
            return "\(error)"
        }
    }
}
