internal import Basics

/// A tree that is put together from files with paths, folder by folder.
struct TreeAssembly {
    private struct File {
        /// The bytes of the path's parts: two spellings of one letter are two names.
        var parts: [[UInt8]]
        var entry: TreeEntry
    }

    private var files: [File]

    /// - Throws: kind `.usage` for a path that cannot lie in a tree.
    init(_ files: [(file: ForeignFile, content: FileContent)]) throws {
        self.files = try files.map { file, content in
            let path = try RelativePath(file.path)
            return File(
                parts: path.description.utf8.split(separator: UInt8(ascii: "/")).map(Array.init),
                entry: TreeEntry(
                    name: path.lastPart, kind: file.isExecutable ? .executable : .file, digest: content.digest,
                    byteCount: content.byteCount, fileCount: 1))
        }
        self.files.sort { left, right in
            for (first, second) in zip(left.parts, right.parts) where first != second {
                return first.lexicographicallyPrecedes(second)
            }
            return left.parts.count < right.parts.count
        }
    }

    /// Stores the listings of all folders; the root of the tree.
    ///
    /// - Throws: kind `.usage` if a path stands twice, or is a file and a folder.
    func store(in session: AddSession) throws -> ContentRoot {
        var trees: [(digest: Digest, listing: [UInt8])] = []
        let entry = try listing(of: files[...], depth: 0, into: &trees)
        try session.addTrees(trees)
        return ContentRoot(digest: entry.digest, kind: .tree, byteCount: entry.byteCount, fileCount: entry.fileCount)
    }

    private func listing(
        of files: ArraySlice<File>, depth: Int, into trees: inout [(digest: Digest, listing: [UInt8])]
    ) throws -> TreeEntry {
        var entries: [TreeEntry] = []
        var start = files.startIndex
        while start < files.endIndex {
            let name = files[start].parts[depth]
            let end = files[start...].firstIndex { $0.parts[depth] != name } ?? files.endIndex
            if files[start].parts.count == depth + 1 {
                guard end == start + 1 else { throw TreeAssembly.clash(files[start].parts) }
                entries.append(files[start].entry)
            } else {
                var entry = try listing(of: files[start..<end], depth: depth + 1, into: &trees)
                entry.name = String(decoding: name, as: UTF8.self)
                entries.append(entry)
            }
            start = end
        }
        return TreeListing(entries: entries).entry(storedIn: &trees)
    }

    private static func clash(_ parts: [[UInt8]]) -> MLOpsError {
        let path = parts.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
        return MLOpsError(.usage, "`\(printable(path))` is listed twice, or as a file and as a folder")
    }
}
