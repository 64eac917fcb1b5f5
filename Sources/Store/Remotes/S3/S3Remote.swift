package import Basics
internal import CurlTransport
internal import Foundation

/// A remote in a bucket of S3 or of a store that speaks its protocol.
///
/// Every body that is sent carries its SHA-256, in the signature and as `x-amz-checksum-sha256`; bodies above 80 MiB go in
/// parts. What is read is held against its length and, where the store keeps one, its checksum.
package struct S3Remote: Remote {
    package struct Limits: Sendable {
        /// Larger files go in parts. A pack ends a little beyond 64 MiB: in one piece it takes two thirds of the time.
        package var singlePut: Int64 = 80 << 20
        package var part: Int64 = 16 << 20
        package var parallelParts = 4
        /// The longest object that is read into memory.
        package var memory: Int64 = 1 << 30

        package init() {}
    }

    let client: S3Client
    let limits: Limits

    /// - Parameters:
    ///   - limiter: bounds what moves over all connections together.
    ///   - notice: told when requests keep failing and are made again.
    package init(
        settings: S3Settings, limits: Limits = Limits(), retry: RetryPolicy = RetryPolicy(),
        limiter: RateLimiter? = nil, notice: NoticeHandler? = nil
    ) {
        client = S3Client(settings: settings, retry: retry, limiter: limiter, notice: notice)
        self.limits = limits
    }

    package var location: String { client.settings.location }

    package func get(_ key: String, range: Range<Int64>?) async throws -> [UInt8] {
        try RemoteKey.check(key)
        guard let range else { return try await getWhole(key) }
        let count = range.upperBound - range.lowerBound
        return try await getRange(key, range, into: .memory(limit: count)).body
    }

    package func read(_ key: String, from offset: Int64, into target: PooledBytes) async throws {
        try RemoteKey.check(key)
        _ = try await getRange(key, offset..<offset + Int64(target.count), into: .pooled(target))
    }

    private func getRange(_ key: String, _ range: Range<Int64>, into sink: HTTPSink) async throws -> HTTPResponse {
        if range.isEmpty { return HTTPResponse(status: 206) }
        var request = S3Request("GET", key, action: "read")
        request.headers = [("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")]
        request.accepted = [416]
        let response = try await client.perform(request, into: sink)
        guard response.status != 416, response.byteCount == range.upperBound - range.lowerBound else {
            throw MLOpsError(
                .damaged, "`\(key)` in the remote `\(location)` is shorter than \(range.upperBound) bytes",
                hint: "remove it there, then run `mlops push` where the data is whole")
        }
        return response
    }

    private func getWhole(_ key: String) async throws -> [UInt8] {
        var request = S3Request("GET", key, action: "read")
        request.headers = [("x-amz-checksum-mode", "ENABLED")]
        for attempt in 1... {
            let response = try await client.perform(request, into: .memory(limit: limits.memory))
            // A checksum of parts is marked with their count and says nothing about the whole.
            guard let sum = response.headers["x-amz-checksum-sha256"], !sum.contains("-"),
                sum != Digest.of(response.body).base64
            else { return response.body }
            if attempt == 2 { break }
        }
        throw MLOpsError(
            .damaged, "`\(key)` in the remote `\(location)` does not have the checksum that the store keeps for it",
            hint: "remove it there, then run `mlops push` where the data is whole")
    }

    package func download(_ key: String, to path: String, progress: ByteProgress?) async throws {
        try RemoteKey.check(key)
        let file = try OpenFile(overwriting: path)
        let whole = S3Request("GET", key, action: "read")
        let response = try await client.perform(
            whole, into: .file(file, offset: 0, limit: .max), progress: progress,
            beforeRetry: {
                // After a connection broke, what came before is kept; whether it all fits is for the caller to verify.
                let size = try file.status().size
                guard size > 0 else { return .startOver }
                var rest = whole
                rest.headers = [("Range", "bytes=\(size)-")]
                rest.accepted = [416]
                return .goOn(rest, .rest(file, offset: size, limit: .max))
            })
        guard response.status != 416 else {
            throw MLOpsError(.damaged, "`\(key)` in the remote `\(location)` became shorter while it was read")
        }
    }

    package func put(_ bytes: [UInt8], at key: String) async throws {
        try RemoteKey.check(key)
        _ = try await client.perform(S3Request(putting: bytes, at: key))
    }

    package func putIfAbsent(_ bytes: [UInt8], at key: String) async throws -> Bool {
        try RemoteKey.check(key)
        var request = S3Request(putting: bytes, at: key)
        request.headers.append(("If-None-Match", "*"))
        request.accepted = [412, 501]
        request.isSentOnce = true
        let counter = AttemptCounter()
        let response = try await client.perform(request, counter: counter)
        switch response.status {
        case 501:
            throw MLOpsError(
                .failed, "`\(client.settings.server)` cannot create an object only if it is absent",
                hint: "use a store that supports `If-None-Match`, or let a single machine push")
        case 412:
            // After an attempt whose answer was lost, the object in the way may be our own.
            guard counter.count > 1 else { return false }
            return try await get(key, range: nil) == bytes
        default: return true
        }
    }

    package func list(_ prefix: String) async throws -> [RemoteItem] {
        let folder = try RemoteKey.folder(prefix)
        let start = client.settings.prefix
        var items: [RemoteItem] = []
        var token: String?
        repeat {
            var request = S3Request("GET", nil, action: "list")
            request.query = [("list-type", "2"), ("encoding-type", "url"), ("prefix", start + folder)]
            if let token { request.query.append(("continuation-token", token)) }
            let response = try await client.perform(request)
            guard let page = XMLElement(parsing: response.body), page.name == "ListBucketResult" else {
                throw MLOpsError(
                    .failed, "`\(client.settings.server)` answers a listing with something else",
                    hint: "check that the endpoint of `\(location)` is an S3 server")
            }
            items += page.all("Contents").compactMap { item(of: $0, isEncoded: page["EncodingType"] == "url", start) }
            let next = page["IsTruncated"] == "true" ? page["NextContinuationToken"] : nil
            guard next == nil || next != token else {
                throw MLOpsError(.failed, "`\(client.settings.server)` repeats the same page of a listing")
            }
            token = next
        } while token != nil
        return items.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    private func item(of element: XMLElement, isEncoded: Bool, _ start: String) -> RemoteItem? {
        guard let text = element["Key"], let size = element["Size"].flatMap({ Int64($0) }) else { return nil }
        let name = isEncoded ? text.replacing("+", with: " ").removingPercentEncoding ?? text : text
        guard name.hasPrefix(start) else { return nil }
        let key = String(name.dropFirst(start.count))
        return RemoteKey.fault(in: key) == nil ? RemoteItem(key: key, byteCount: size) : nil
    }

    package func size(of key: String) async throws -> Int64? {
        try RemoteKey.check(key)
        var request = S3Request("HEAD", key, action: "read")
        request.accepted = [404, 403]
        let response = try await client.perform(request)
        if response.status == 404 { return nil }
        guard response.status != 403 else {
            // An answer to HEAD has no body that says why; GET's has.
            var explaining = S3Request("GET", key, action: "read")
            explaining.headers = [("Range", "bytes=0-0")]
            explaining.accepted = [404, 416]
            let answer = try await client.perform(explaining)
            if answer.status == 404 { return nil }
            throw MLOpsError(.notAllowed, "`\(client.settings.server)` does not tell the size of `\(key)`")
        }
        guard let size = response.headers["content-length"].flatMap({ Int64($0) }) else {
            throw MLOpsError(.failed, "`\(client.settings.server)` does not tell the size of `\(key)`")
        }
        return size
    }

    package func remove(_ key: String) async throws {
        try RemoteKey.check(key)
        var request = S3Request("DELETE", key, action: "remove")
        request.accepted = [404]
        let response = try await client.perform(request)
        if response.status == 404, XMLElement(parsing: response.body)?["Code"] == "NoSuchBucket" {
            throw MLOpsError(
                .notFound, "bucket `\(client.settings.bucket)` does not exist on `\(client.settings.server)`")
        }
    }

    /// Makes the bucket; fine if it is ours already. For tests and for `remote add --create`.
    package func createBucket() async throws {
        var request = S3Request("PUT", nil, action: "create")
        request.accepted = [409]
        if client.settings.region != "us-east-1" {
            let document =
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>"
                + client.settings.region + "</LocationConstraint></CreateBucketConfiguration>"
            request.body = .bytes(Array(document.utf8))
            request.payload = Digest.of(document)
        }
        _ = try await client.perform(request)
    }
}

extension Digest {
    /// As `x-amz-checksum-sha256` carries it.
    var base64: String { Data(bytes).base64EncodedString() }
}
