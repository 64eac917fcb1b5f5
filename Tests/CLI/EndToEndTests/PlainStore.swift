import Foundation
import Synchronization
import TestSupport

/// A store that puts, gets and lists, and knows no conditions: what some servers make of S3.
final class PlainStore: Sendable {
    private let objects = Mutex<[String: [UInt8]]>([:])

    var keys: [String] { objects.withLock { $0.keys.sorted() } }

    func answer(_ request: ScriptedServer.Request) -> ScriptedServer.Answer {
        objects.withLock { objects in
            switch request.method {
            case "PUT":
                objects[request.path] = request.body
                return .respond(200)
            case "DELETE":
                objects[request.path] = nil
                return .respond(204)
            case "GET" where request.target.contains("list-type"):
                let query = URLComponents(string: "http://x" + request.target)?.queryItems ?? []
                let prefix = "/bucket/" + (query.first { $0.name == "prefix" }?.value ?? "")
                let items = objects.filter { $0.key.hasPrefix(prefix) }.map {
                    "<Contents><Key>\($0.key.dropFirst("/bucket/".count))</Key><Size>\($0.value.count)</Size></Contents>"
                }
                return .text(200, "<ListBucketResult>\(items.joined())</ListBucketResult>")
            default:
                guard let bytes = objects[request.path] else { return .text(404, "<Error/>") }
                guard let range = request.headers["range"]?.dropFirst("bytes=".count).split(separator: "-"),
                    let start = Int(range[0]), range.count == 2, let end = Int(range[1])
                else { return .respond(200, body: bytes) }
                return .respond(206, body: Array(bytes[start...min(end, bytes.count - 1)]))
            }
        }
    }
}
