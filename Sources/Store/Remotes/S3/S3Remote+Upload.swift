package import Basics
internal import CurlTransport

extension S3Remote {
    package func upload(file path: String, to key: String, digest: Digest, progress: ByteProgress?) async throws {
        try RemoteKey.check(key)
        let file = try OpenFile(reading: path)
        let size = try file.status().size
        guard size <= limits.singlePut else {
            let parts = try plan(file, size: size, digest: digest)
            return try await uploadInParts(parts, of: file, to: key, progress: progress)
        }
        var request = S3Request("PUT", key, action: "write")
        request.body = .file(file, 0..<size)
        request.payload = digest
        request.headers = [("x-amz-checksum-sha256", digest.base64)]
        do {
            _ = try await client.perform(request, progress: progress)
        } catch let error as MLOpsError where error.kind == .damaged {
            // The server got other bytes than the digest says: were they hurt on their way, or before?
            _ = try plan(file, size: size, digest: digest)
            throw error
        }
    }

    /// Cuts the file into parts, with the digest of each.
    ///
    /// - Throws: kind `.damaged` if the whole does not have `digest`.
    func plan(_ file: OpenFile, size: Int64, digest: Digest) throws -> [UploadPart] {
        // S3 takes at most 10,000 parts.
        let length = max(limits.part, (size + 9999) / 10_000)
        var parts: [UploadPart] = []
        var whole = DigestHasher()
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { block.deallocate() }
        var offset: Int64 = 0
        repeat {
            let end = min(size, offset + length)
            var hasher = DigestHasher()
            var position = offset
            while position < end {
                try Task.checkCancellation()
                let wanted = UnsafeMutableRawBufferPointer(rebasing: block[..<Int(min(end - position, 1 << 20))])
                let count = try file.read(into: wanted, at: position)
                guard count > 0 else { throw localDamage(file.path, expected: digest) }
                let bytes = UnsafeRawBufferPointer(rebasing: wanted[..<count])
                whole.update(bytes)
                hasher.update(bytes)
                position += Int64(count)
            }
            parts.append(UploadPart(number: parts.count + 1, range: offset..<end, digest: hasher.finalize()))
            offset = end
        } while offset < size
        guard whole.finalize() == digest else { throw localDamage(file.path, expected: digest) }
        return parts
    }
}
