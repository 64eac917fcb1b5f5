internal import Basics
internal import Foundation
package import Synchronization

/// A small S3 in memory that verifies checksums and honours conditions, for a `ScriptedServer`.
package final class InMemoryS3: Sendable {
    package struct Upload {
        package var key: String
        package var parts: [Int: [UInt8]] = [:]
    }

    package struct State {
        package var objects: [String: [UInt8]] = [:]
        package var uploads: [String: Upload] = [:]
        package var uploadCount = 0
        /// How many parts came.
        package var partCount = 0
    }

    package let state = Mutex(State())

    package init() {}

    package func answer(_ request: ScriptedServer.Request) -> ScriptedServer.Answer {
        if let sum = request.headers["x-amz-checksum-sha256"], sum != checksum(request.body) {
            return .text(400, "<Error><Code>BadDigest</Code></Error>")
        }
        return state.withLock { state in
            let (status, body) = InMemoryS3.perform(request, &state)
            var headers = [(name: "ETag", value: "\"x\"")]
            if request.method == "GET", request.headers["range"] == nil, status == 200 {
                headers.append(("x-amz-checksum-sha256", checksum(body)))
            }
            return .respond(status, headers: headers, body: body)
        }
    }

    private static func perform(_ request: ScriptedServer.Request, _ state: inout State) -> (Int, [UInt8]) {
        let key = String(request.path.dropFirst("/bucket/".count)).removingPercentEncoding ?? ""
        let query = URLComponents(string: "http://x" + request.target)?.queryItems ?? []
        func value(_ name: String) -> String? { query.first { $0.name == name }?.value }
        switch request.method {
        case "GET" where value("list-type") != nil: return (200, list(below: value("prefix") ?? "", state))
        case "GET" where value("uploads") != nil: return (200, listUploads(below: value("prefix") ?? "", state))
        case "GET" where value("uploadId") != nil: return listParts(of: value("uploadId") ?? "", state)
        case "GET":
            guard let bytes = state.objects[key] else { return (404, Array("<Error/>".utf8)) }
            guard let range = request.headers["range"]?.dropFirst("bytes=".count).split(separator: "-"),
                let start = Int(range[0])
            else { return (200, bytes) }
            guard start < bytes.count else { return (416, []) }
            let end = range.count > 1 ? Int(range[1]) ?? 0 : bytes.count - 1
            return (206, Array(bytes[start...min(end, bytes.count - 1)]))
        case "HEAD":
            // A `HEAD` carries the length of what `GET` would bring.
            return state.objects[key].map { (200, $0) } ?? (404, [])
        case "POST",
            "PUT" where value("uploadId") != nil:
            return upload(request, key, value, &state)
        case "PUT":
            if request.headers["if-none-match"] == "*", state.objects[key] != nil { return (412, []) }
            state.objects[key] = request.body
            return (200, [])
        default:
            if let upload = value("uploadId") { state.uploads[upload] = nil } else { state.objects[key] = nil }
            return (204, [])
        }
    }

    private static func upload(
        _ request: ScriptedServer.Request, _ key: String, _ value: (String) -> String?, _ state: inout State
    ) -> (Int, [UInt8]) {
        if value("uploads") != nil {
            state.uploadCount += 1
            state.uploads["u\(state.uploadCount)"] = Upload(key: key)
            return (200, Array("<R><UploadId>u\(state.uploadCount)</UploadId></R>".utf8))
        }
        let identifier = value("uploadId") ?? ""
        guard var upload = state.uploads[identifier] else {
            return (404, Array("<Error><Code>NoSuchUpload</Code></Error>".utf8))
        }
        if request.method == "PUT" {
            upload.parts[Int(value("partNumber") ?? "") ?? 0] = request.body
            state.uploads[identifier] = upload
            state.partCount += 1
            return (200, [])
        }
        state.uploads[identifier] = nil
        state.objects[key] = upload.parts.sorted { $0.key < $1.key }.flatMap(\.value)
        return (200, Array("<CompleteMultipartUploadResult/>".utf8))
    }

    private static func list(below prefix: String, _ state: State) -> [UInt8] {
        let items = state.objects.filter { $0.key.hasPrefix(prefix) }.map {
            "<Contents><Key>\($0.key)</Key><Size>\($0.value.count)</Size></Contents>"
        }
        return Array("<ListBucketResult>\(items.joined())</ListBucketResult>".utf8)
    }

    private static func listUploads(below prefix: String, _ state: State) -> [UInt8] {
        let items = state.uploads.filter { $0.value.key.hasPrefix(prefix) }.map {
            "<Upload><Key>\($0.value.key)</Key><UploadId>\($0.key)</UploadId><Initiated>\($0.key)</Initiated></Upload>"
        }
        return Array("<ListMultipartUploadsResult>\(items.joined())</ListMultipartUploadsResult>".utf8)
    }

    private static func listParts(of upload: String, _ state: State) -> (Int, [UInt8]) {
        guard let upload = state.uploads[upload] else { return (404, []) }
        let items = upload.parts.map { number, bytes in
            "<Part><PartNumber>\(number)</PartNumber><ETag>\"x\"</ETag><Size>\(bytes.count)</Size>"
                + "<ChecksumSHA256>\(checksum(bytes))</ChecksumSHA256></Part>"
        }
        return (200, Array("<ListPartsResult>\(items.joined())</ListPartsResult>".utf8))
    }
}

/// As `x-amz-checksum-sha256` carries it.
private func checksum(_ bytes: [UInt8]) -> String { Data(Digest.of(bytes).bytes).base64EncodedString() }
