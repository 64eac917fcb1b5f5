package import Basics
internal import CurlTransport
internal import Glibc

extension S3Remote {
    package func upload(file path: String, to key: String, digest: Digest, progress: ByteProgress?) async throws {
        try RemoteKey.check(key)
        let file = try OpenFile(reading: path)
        let size = try file.status().size
        let parts = try plan(file, size: size, digest: digest)
        if parts.count == 1 {
            var request = S3Request("PUT", key, action: "write")
            request.body = .file(file, 0..<size)
            request.payload = digest
            request.headers = [("x-amz-checksum-sha256", digest.base64)]
            _ = try await client.perform(request, progress: progress)
        } else {
            try await uploadInParts(parts, of: file, to: key, progress: progress)
        }
    }

    private struct Part: Sendable {
        /// From 1.
        var number: Int
        var range: Range<Int64>
        var digest: Digest
    }

    /// Cuts the file into parts (one if it is small), with the digest of each.
    ///
    /// - Throws: kind `.damaged` if the whole does not have `digest`.
    private func plan(_ file: OpenFile, size: Int64, digest: Digest) throws -> [Part] {
        // S3 takes at most 10,000 parts.
        let length = size <= limits.singlePut ? max(size, 1) : max(limits.part, (size + 9999) / 10_000)
        var parts: [Part] = []
        var whole = DigestHasher()
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { block.deallocate() }
        var offset: Int64 = 0
        repeat {
            let end = min(size, offset + length)
            let isOnly = offset == 0 && end == size
            var hasher = DigestHasher()
            var position = offset
            while position < end {
                try Task.checkCancellation()
                let wanted = UnsafeMutableRawBufferPointer(rebasing: block[..<Int(min(end - position, 1 << 20))])
                let count = try file.read(into: wanted, at: position)
                guard count > 0 else { throw localDamage(file.path, expected: digest) }
                let bytes = UnsafeRawBufferPointer(rebasing: wanted[..<count])
                whole.update(bytes)
                if !isOnly { hasher.update(bytes) }
                position += Int64(count)
            }
            parts.append(
                Part(number: parts.count + 1, range: offset..<end, digest: isOnly ? digest : hasher.finalize()))
            offset = end
        } while offset < size
        guard whole.finalize() == digest else { throw localDamage(file.path, expected: digest) }
        return parts
    }

    private func uploadInParts(_ parts: [Part], of file: OpenFile, to key: String, progress: ByteProgress?) async throws
    {
        let upload = try await startUpload(to: key)
        do {
            let tags = try await mapConcurrently(parts, width: limits.parallelParts) { part in
                try await send(part, of: file, to: key, upload: upload, progress: progress)
            }
            try await complete(parts, tags: tags, key: key, upload: upload)
        } catch {
            // Parts of an upload that is never completed cost money for ever. The task may be cancelled: this is not.
            let abort = Task.detached { [client] in
                var request = S3Request("DELETE", key, action: "write")
                request.query = [("uploadId", upload)]
                request.accepted = [404]
                _ = try await client.perform(request)
            }
            _ = await abort.result
            throw error
        }
    }

    private func startUpload(to key: String) async throws -> String {
        var request = S3Request("POST", key, action: "write")
        request.query = [("uploads", "")]
        request.headers = [("x-amz-checksum-algorithm", "SHA256")]
        let response = try await client.perform(request)
        guard let document = XMLElement(parsing: response.body), let upload = document["UploadId"], !upload.isEmpty
        else {
            throw MLOpsError(.failed, "`\(client.settings.server)` starts no upload in parts of `\(key)`")
        }
        return upload
    }

    /// Sends one part; the tag that the server gave it.
    private func send(
        _ part: Part, of file: OpenFile, to key: String, upload: String, progress: ByteProgress?
    ) async throws -> String {
        var request = S3Request("PUT", key, action: "write")
        request.query = [("partNumber", String(part.number)), ("uploadId", upload)]
        request.headers = [("x-amz-checksum-sha256", part.digest.base64)]
        request.body = .file(file, part.range)
        request.payload = part.digest
        let response = try await client.perform(request, progress: progress)
        guard let tag = response.headers["etag"] else {
            throw MLOpsError(.failed, "`\(client.settings.server)` gives part \(part.number) of `\(key)` no tag")
        }
        return tag
    }

    private func complete(_ parts: [Part], tags: [String], key: String, upload: String) async throws {
        let list = zip(parts, tags).map { part, tag in
            "<Part><PartNumber>\(part.number)</PartNumber><ETag>\(escaped(tag))</ETag>"
                + "<ChecksumSHA256>\(part.digest.base64)</ChecksumSHA256></Part>"
        }
        let document =
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\(list.joined())"
            + "</CompleteMultipartUpload>"
        var request = S3Request("POST", key, action: "write")
        request.query = [("uploadId", upload)]
        request.headers = [("Content-Type", "application/xml")]
        request.body = .bytes(Array(document.utf8))
        request.payload = Digest.of(document)
        request.accepted = [404]
        request.isSentOnce = true
        let counter = AttemptCounter()
        let response = try await client.perform(request, counter: counter)
        let answer = XMLElement(parsing: response.body)
        // An answer that was lost leaves no upload to complete again, but the object. An error may come with status 200.
        let isDone = response.isSuccess && answer?.name == "CompleteMultipartUploadResult"
        let size = parts.last?.range.upperBound ?? 0
        if !isDone {
            let isThere = counter.count > 1 && response.status == 404
            guard isThere, try await self.size(of: key) == size else {
                throw MLOpsError(
                    .unreachable, "`\(client.settings.server)` does not complete the upload of `\(key)`",
                    hint: "run the same command again",
                    cause: answer.map { S3Answer(description: $0["Code"] ?? $0.name) })
            }
        }
    }

    private func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing("\"", with: "&quot;")
    }
}

extension OpenFile {
    /// Empties the file.
    func truncate() throws {
        if ftruncate(descriptor, 0) != 0 { throw MLOpsError.system("empty", path, errno: errno) }
    }
}
