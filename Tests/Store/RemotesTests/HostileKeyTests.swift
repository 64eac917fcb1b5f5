import Basics
import TestSupport
import Testing

@testable import Remotes

/// The corpus of hostile names as keys of a remote, and as names of what somebody put there.
@Suite struct HostileKeyTests {
    @Test func keysOfAFolderStayInIt() async throws {
        let outside = try TemporaryFolder()
        try outside.write("secret", "secret")
        let file = try outside.write("file", "x")
        let remote = DirectoryRemote(folder: outside("remote"))
        try await remote.put([1], at: "packs/x")
        func surroundings() throws -> [String: String] {
            try census(of: outside.path).filter { !$0.key.hasPrefix(remote.folder) }
        }
        let before = try surroundings()
        for name in HostileName.all {
            for key in [name.text, "packs/" + name.text, name.text + "/x"] {
                var accepted = 0
                do { try await remote.put([1], at: key); accepted += 1 } catch {
                    #expect(!hasRawControls(printableLines("\(error)")), "\(name)")
                }
                accepted += (try? await remote.putIfAbsent([1], at: key)) == nil ? 0 : 1
                let upload: Void? = try? await remote.upload(file: file, to: key, digest: Digest.of("x"))
                accepted += upload == nil ? 0 : 1
                accepted += (try? await remote.get(key)) == nil ? 0 : 1
                accepted += (try? await remote.size(of: key)) == nil ? 0 : 1
                try? await remote.remove(key)
                if name.kind == .refused, !["", "a/", "/"].contains(name.text), !name.text.contains("~") {
                    #expect(accepted == 0, "\(printable(key))")
                }
            }
            #expect(try surroundings() == before, "\(name)")
        }
    }

    @Test func listingsLeaveOutWhatCouldNotHaveBeenWritten() async throws {
        let folder = try TemporaryFolder()
        let remote = DirectoryRemote(folder: folder("remote"))
        try await remote.put([1], at: "packs/good")
        for name in HostileName.all where !name.text.contains("/") && !name.text.contains("\0") {
            guard (1...255).contains(name.text.utf8.count), ![".", ".."].contains(name.text) else { continue }
            _ = try? folder.write("remote/packs/" + name.text, "x")
        }
        #expect(symbolicLink("/etc", folder("remote/packs/link")))
        for item in try await remote.list("") {
            #expect(!hasRawControls(item.key) && RemoteKey.fault(in: item.key) == nil, "\(printable(item.key))")
            #expect(!item.key.contains("link"))
        }
    }
}
