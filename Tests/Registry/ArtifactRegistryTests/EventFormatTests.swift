import ArtifactRegistry
import Basics
import TestSupport
import Testing

@Suite struct EventFormatTests {
    /// Histories with one event of each type.
    private func scratch() async throws -> ScratchRegistry {
        let scratch = try ScratchRegistry()
        try await scratch.publish("a", "b")
        _ = try await scratch.registry.promote(scratch.reference(.version(1)), to: "production") { _, _ in
            GateDecision(passed: true, report: ["passed": true])
        }
        _ = try await scratch.registry.promote(scratch.reference(.version(2)), to: "production")
        _ = try await scratch.registry.rollback(scratch.artifact, alias: "production", reason: "drift")
        try await scratch.registry.refuse(scratch.reference(.version(2)), gate: ["passed": false])
        try await scratch.registry.withdraw(scratch.artifact, version: 2, reason: "bad")
        return scratch
    }

    @Test func writesTheBytesThatTheFormatSays() throws {
        var record = record("a")
        record.version = 1
        let event = RegistryEvent(
            artifact: try ArtifactName("models/census"), number: 1, previous: nil,
            id: "00112233445566778899aabbccddeeff", time: Timestamp(milliseconds: 1_800_000_000_000), actor: "ada",
            body: .published(record))
        let stored = try StoredEvent(event)
        #expect(String(decoding: stored.bytes, as: UTF8.self) == EventFormatTests.golden)
        let read = try StoredEvent(reading: stored.bytes, artifact: event.artifact, number: 1, location: "x")
        #expect(read == stored)
    }

    /// Made by Python's `json.dumps(event, sort_keys=True, separators=(",", ":"))` and `hashlib.sha256`.
    private static let golden = [
        #"{"actor":"ada","artifact":"models/census","checksum":"sha256:401a4c417403c4d15ced0d677d87a37dbd"#,
        #"286f69b86d0898c8344e5acddfa09f","format":1,"id":"00112233445566778899aabbccddeeff","number":1,""#,
        #"published":{"attachments":{},"content":{"byteCount":1,"digest":"sha256:ca978112ca1bbdcafac231b3"#,
        #"9a23dc4da786eff8147c4e72b9807785afee48bb","fileCount":1,"kind":"file"},"metrics":{"test":{"accu"#,
        #"racy":0.9}},"params":{},"parents":[],"path":"build/model","version":1},"time":"2027-01-15T08:00"#,
        #":00.000Z","type":"published"}"#,
    ].joined()

    @Test func aFlippedByteAnywhereIsDamage() async throws {
        let scratch = try await scratch()
        for number in 1...7 {
            let path = scratch.path(number)
            let bytes = try FileSystem.read(path)
            for index in bytes.indices {
                var changed = bytes
                changed[index] ^= 1
                let error = #expect(throws: MLOpsError.self, "byte \(index) of event \(number)") {
                    try StoredEvent(reading: changed, artifact: scratch.artifact, number: number, location: path)
                }
                guard error?.kind == .damaged || error?.message.contains("newer") == true else {
                    Issue.record("byte \(index) of event \(number): \(error?.message ?? "")")
                    return
                }
            }
        }
    }

    @Test func damageNamesTheFile() async throws {
        let scratch = try await scratch()
        var bytes = try FileSystem.read(scratch.path(3))
        bytes[bytes.count / 2] ^= 1
        try FileSystem.replace(scratch.path(3), with: bytes)
        let error = await #expect(throws: MLOpsError.self) { try await scratch.fresh.history(of: scratch.artifact) }
        #expect(error?.kind == .damaged)
        #expect(error?.message == "event 3 of `models/census` is not what was written: `\(scratch.path(3))`")
    }

    @Test func aMissingEventIsDamage() async throws {
        let scratch = try await scratch()
        try FileSystem.removeFile(scratch.path(4))
        let error = await #expect(throws: MLOpsError.self) { try await scratch.fresh.history(of: scratch.artifact) }
        #expect(error?.kind == .damaged)
        #expect(error?.message == "event 4 of `models/census` is missing: `\(scratch.path(4))`")
    }

    @Test func anEventOfAnotherHistoryBreaksTheChain() async throws {
        let scratch = try await scratch()
        let other = try await self.scratch()
        try FileSystem.replace(scratch.path(2), with: try FileSystem.read(other.path(2)))
        let error = await #expect(throws: MLOpsError.self) { try await scratch.fresh.history(of: scratch.artifact) }
        #expect(error?.kind == .damaged)
        #expect(error?.message.hasPrefix("event 2 of `models/census` does not follow event 1") == true)
    }

    @Test func anEventOfAnotherArtifactOrNumberIsDamage() async throws {
        let scratch = try await scratch()
        let bytes = try FileSystem.read(scratch.path(2))
        for (artifact, number) in [("models/other", 2), ("models/census", 3)] {
            let error = #expect(throws: MLOpsError.self) {
                try StoredEvent(reading: bytes, artifact: ArtifactName(artifact), number: number, location: "x")
            }
            #expect(error?.kind == .damaged)
        }
    }

    @Test func aNewerFormatIsNamedAsSuch() async throws {
        let scratch = try await scratch()
        let bytes = Array(#"{"format":2,"surprise":true}"#.utf8)
        try FileSystem.replace(scratch.path(7), with: bytes)
        let error = await #expect(throws: MLOpsError.self) { try await scratch.fresh.history(of: scratch.artifact) }
        #expect(error?.kind == .failed)
        #expect(error?.message.contains("written by a newer mlops") == true)
    }

    @Test(arguments: ["", "{", "null", "[]", #"{"format":1}"#, #"{"format":"1"}"#, #"{"format":1.5}"#])
    func anythingElseIsDamage(_ text: String) throws {
        let error = #expect(throws: MLOpsError.self) {
            try StoredEvent(
                reading: Array(text.utf8), artifact: ArtifactName("models/x"), number: 1,
                location: "events/models/x/1.json")
        }
        #expect(error?.kind == .damaged)
        #expect(error?.message.contains("events/models/x/1.json") == true)
    }

    @Test func otherFilesInTheFolderDoNotCount() async throws {
        let scratch = try await scratch()
        for name in ["01.json", "x.json", "0.json", "8.json.bak", ".9.json", "-1.json"] {
            try scratch.folder.write("events/models/census/" + name, "x")
        }
        #expect(try await scratch.fresh.history(of: scratch.artifact).events.count == 7)
    }
}
