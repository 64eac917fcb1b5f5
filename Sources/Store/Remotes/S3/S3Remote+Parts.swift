internal import Basics
internal import CurlTransport

/// A piece of a large file.
struct UploadPart: Sendable {
    /// From 1.
    var number: Int
    var range: Range<Int64>
    var digest: Digest
}

/// What a server has of an upload in parts.
private struct StartedUpload: Sendable {
    var identifier: String
    /// The tags of parts that lie there as we would send them, by number.
    var tags: [Int: String] = [:]
    /// Whether it took more than one attempt to start, so that the server may have started more than one.
    var isDoubtful = false
}

/// Files in parts: several at a time, each with its checksum.
///
/// Parts that a killed process left cost money until somebody drops them, so an upload of the same key is gone on with: what
/// the server lists with our checksum is not sent again. Two machines that do this at once send the same bytes, and the one that
/// is late finds the object there.
extension S3Remote {
    func uploadInParts(
        _ parts: [UploadPart], of file: OpenFile, to key: String, progress: ByteProgress?
    ) async throws {
        let upload: StartedUpload
        if let open = try await openUpload(of: key, parts) {
            upload = open
        } else {
            upload = try await startUpload(to: key)
        }
        do {
            let tags = try await mapConcurrently(parts, width: limits.parallelParts) { part in
                if let tag = upload.tags[part.number] {
                    progress?(part.range.upperBound - part.range.lowerBound)
                    return tag
                }
                return try await send(part, of: file, to: key, upload: upload.identifier, progress: progress)
            }
            try await complete(parts, tags: tags, key: key, upload: upload.identifier)
            // A first attempt to start whose answer was lost left an upload that nobody knows.
            if upload.isDoubtful { try await dropUploads(of: key) }
        } catch {
            // The task may be cancelled: this is not.
            _ = await Task.detached { try await drop(upload.identifier, of: key) }.result
            throw error
        }
    }

    /// The newest upload of `key` that was never completed, with those of `parts` that lie there; nil if there is none, or if the
    /// server does not tell.
    private func openUpload(of key: String, _ parts: [UploadPart]) async throws -> StartedUpload? {
        let name = client.settings.prefix + key
        var request = S3Request("GET", nil, action: "list")
        request.query = [("uploads", ""), ("prefix", name)]
        request.accepted = [400, 403, 404, 405, 501]
        let response = try await client.perform(request)
        guard response.isSuccess, let list = XMLElement(parsing: response.body) else { return nil }
        let newest = list.all("Upload").filter { $0["Key"] == name }.max {
            ($0["Initiated"] ?? "") < ($1["Initiated"] ?? "")
        }
        guard let identifier = newest?["UploadId"].nonEmpty else { return nil }
        var upload = StartedUpload(identifier: identifier)
        var marker: String?
        repeat {
            var request = S3Request("GET", key, action: "list")
            request.query = [("uploadId", identifier)]
            if let marker { request.query.append(("part-number-marker", marker)) }
            request.accepted = [404]
            let response = try await client.perform(request)
            // It was completed or dropped in the meantime.
            guard response.isSuccess, let page = XMLElement(parsing: response.body) else { return nil }
            for element in page.all("Part") {
                guard let number = element["PartNumber"].flatMap({ Int($0) }), parts.indices.contains(number - 1),
                    let tag = element["ETag"].nonEmpty
                else { continue }
                let part = parts[number - 1]
                let isOurs =
                    element["Size"] == String(part.range.upperBound - part.range.lowerBound)
                    && element["ChecksumSHA256"] == part.digest.base64
                if isOurs { upload.tags[number] = tag }
            }
            let next = page["IsTruncated"] == "true" ? page["NextPartNumberMarker"] : nil
            marker = next == marker ? nil : next
        } while marker != nil
        return upload
    }

    /// Drops every upload of `key` that was never completed.
    private func dropUploads(of key: String) async throws {
        while let open = try await openUpload(of: key, []) { try await drop(open.identifier, of: key) }
    }

    private func drop(_ upload: String, of key: String) async throws {
        var request = S3Request("DELETE", key, action: "write")
        request.query = [("uploadId", upload)]
        request.accepted = [404]
        _ = try await client.perform(request)
    }

    private func startUpload(to key: String) async throws -> StartedUpload {
        var request = S3Request("POST", key, action: "write")
        request.query = [("uploads", "")]
        request.headers = [("x-amz-checksum-algorithm", "SHA256")]
        let counter = AttemptCounter()
        request.isSentOnce = true
        let response = try await client.perform(request, counter: counter)
        guard let identifier = XMLElement(parsing: response.body)?["UploadId"].nonEmpty else {
            throw MLOpsError(.failed, "`\(client.settings.server)` starts no upload in parts of `\(key)`")
        }
        return StartedUpload(identifier: identifier, isDoubtful: counter.count > 1)
    }

    /// Sends one part; the tag that the server gave it.
    private func send(
        _ part: UploadPart, of file: OpenFile, to key: String, upload: String, progress: ByteProgress?
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

    private func complete(_ parts: [UploadPart], tags: [String], key: String, upload: String) async throws {
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
        let response = try await client.perform(request)
        let answer = XMLElement(parsing: response.body)
        // An error may come with status 200.
        if response.isSuccess, answer?.name == "CompleteMultipartUploadResult" { return }
        // An answer that was lost, or another machine that was faster, leaves no upload to complete, but the object.
        let size = parts.last?.range.upperBound ?? 0
        guard response.status == 404, try await self.size(of: key) == size else {
            throw MLOpsError(
                .unreachable, "`\(client.settings.server)` does not complete the upload of `\(key)`",
                hint: "run the same command again",
                cause: answer.map { S3Answer(description: $0["Code"] ?? $0.name) })
        }
    }

    private func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing("\"", with: "&quot;")
    }
}
