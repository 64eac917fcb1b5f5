extension Digest {
    /// The digest of a whole file, read in blocks.
    package static func of(_ file: OpenFile) throws -> Digest {
        var hasher = DigestHasher()
        var offset: Int64 = 0
        // In whole pages, for files that pass the page cache by.
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: PagePool.pageSize)
        defer { block.deallocate() }
        while true {
            let count = try file.read(into: block, at: offset)
            if count == 0 { return hasher.finalize() }
            hasher.update(UnsafeRawBufferPointer(rebasing: block[..<count]))
            offset += Int64(count)
        }
    }
}
