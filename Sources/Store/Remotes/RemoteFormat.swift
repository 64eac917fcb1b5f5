internal import Basics

/// What a remote can do, as found by trying.
package struct RemoteCapabilities: Sendable, Codable, Hashable {
    /// Whether this machine's keys may write; without it only pulls work.
    package var isWritable: Bool
    /// Whether of several writers of one key exactly one wins. Without it only a single machine may publish.
    package var hasConditionalWrites: Bool
}

/// The file `format.json` of a remote: its format's number, and the features without which it cannot be read.
package enum RemoteFormat {
    package static let key = "format.json"
    package static let number = 1
    /// The features that this program knows; none are needed yet.
    package static let knownFeatures: Set<String> = []

    /// The bytes of `format.json` in a new remote.
    static let bytes: [UInt8] = {
        let value: JSONValue = ["format": .int(Int64(number)), "requires": []]
        return value.canonicalBytes
    }()

    /// Reads and checks the format.
    ///
    /// - Returns: false if the remote has none: nothing was ever pushed there.
    /// - Throws: kind `.failed` for a newer format, `.damaged` for something else under that name.
    package static func check(_ remote: any Remote) async throws -> Bool {
        do {
            return try await lookingAgain { try check(try await remote.get(key), in: remote) }
        } catch let error as MLOpsError where error.kind == .notFound {
            // A bucket that does not exist is not an empty remote.
            _ = try await remote.list("index")
            return false
        }
    }

    private static func check(_ bytes: [UInt8], in remote: any Remote) throws -> Bool {
        let json = try? JSONValue(parsing: bytes, source: key)
        guard let found = json?["format"]?.integer, let features = json?["requires"]?.array else {
            throw MLOpsError(
                .damaged, "`\(key)` in the remote `\(remote.location)` does not describe a remote of mlops",
                hint: "check the remote's URL; use a prefix of its own for mlops")
        }
        let unknown = features.map { $0.string ?? "?" }.filter { !knownFeatures.contains($0) }
        guard found == number, unknown.isEmpty else {
            let names = unknown.map { "`\(printable($0))`" }.joined(separator: ", ")
            let need = found == number ? "needs \(names)" : "has format \(found)"
            throw MLOpsError(
                .failed, "the remote `\(remote.location)` \(need), and this mlops reads format \(number)",
                hint: "install a newer mlops")
        }
        return true
    }

    /// Checks the format, and writes it into a remote that has none.
    package static func establish(_ remote: any Remote) async throws {
        if try await check(remote) { return }
        // Where conditional writes are unsupported the plain one does: every writer writes the same bytes.
        do {
            if try await remote.putIfAbsent(bytes, at: key) { return }
        } catch let error as MLOpsError where error.kind == .failed {
            try await remote.put(bytes, at: key)
            return
        }
        _ = try await check(remote)
    }
}

/// Whether of several writers of one key of `remote` exactly one wins, found by one request that changes nothing: its
/// `format.json` is there, so creating it must fail.
///
/// A store that ignores the condition replaces the file, by one that says the same.
package func honoursConditionalWrites(_ remote: any Remote) async throws -> Bool {
    if remote is DirectoryRemote { return true }
    try await RemoteFormat.establish(remote)
    let present = try await lookingAgain { try await remote.get(RemoteFormat.key) }
    // Other bytes than those that are there: an own success whose answer was lost must not pass for a refusal.
    let others = present.last == UInt8(ascii: "\n") ? present.dropLast() : present + [UInt8(ascii: "\n")]
    do {
        return try await !remote.putIfAbsent(Array(others), at: RemoteFormat.key)
    } catch let error as MLOpsError where error.kind == .failed {
        return false
    }
}

/// Tries what `remote` can do, for `mlops remote add`: reads or writes its format, and creates one object twice.
///
/// Some stores ignore `If-None-Match` and overwrite; on those two machines could both believe that they published the same
/// version. The object of the trial is removed again.
package func probeRemote(_ remote: any Remote) async throws -> RemoteCapabilities {
    let isMarked = try await RemoteFormat.check(remote)
    let key = "probe/" + String(UInt64.random(in: .min ... .max), radix: 36)
    do {
        try await RemoteFormat.establish(remote)
        let first = try await remote.putIfAbsent(Array("first".utf8), at: key)
        let second = try await remote.putIfAbsent(Array("second".utf8), at: key)
        let left = try await remote.get(key)
        try await remote.remove(key)
        return RemoteCapabilities(
            isWritable: true, hasConditionalWrites: first && !second && left == Array("first".utf8))
    } catch let error as MLOpsError where error.kind == .failed {
        try? await remote.remove(key)
        return RemoteCapabilities(isWritable: true, hasConditionalWrites: false)
    } catch let error as MLOpsError where error.kind == .notAllowed && isMarked {
        return RemoteCapabilities(isWritable: false, hasConditionalWrites: false)
    } catch {
        try? await remote.remove(key)
        throw error
    }
}
