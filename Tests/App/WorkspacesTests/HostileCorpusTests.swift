import ArtifactRegistry
import Basics
import ContentStorage
import TestSupport
import Testing

@testable import Workspaces

/// The whole corpus of hostile names on every way by which a path or a name comes into a workspace.
@Suite struct HostileCorpusTests {
    private let outside: TemporaryFolder
    private let workspace: Workspace
    private let content: ContentRoot

    init() async throws {
        outside = try TemporaryFolder()
        try outside.write("secret.txt", "secret")
        try FileSystem.createDirectories(outside("project"))
        let environment = HostEnvironment(variables: [:], executable: "/bin/false", actor: "test@host")
        workspace = try Workspace.initialize(at: outside("project"), environment: environment).workspace
        content = try await workspace.store.add(bytes: Array("good".utf8))
    }

    private func surroundings() throws -> [String: String] {
        try census(of: outside.path).filter { !isInside($0.key, workspace.root) }
    }

    /// Does `work` with each name: a refused one must throw in printable words, any other may.
    private func withEachName(_ work: (HostileName) async throws -> Void) async throws {
        let before = try surroundings()
        for name in HostileName.all {
            do {
                try await work(name)
                #expect(name.kind == .odd, "\(name) was accepted")
            } catch let error as MLOpsError {
                #expect(!hasRawControls(printableLines(error.description)), "\(name)")
                #expect(!error.message.isEmpty)
            }
            #expect(try surroundings() == before, "\(name)")
        }
    }

    @Test func pathsOfTheCommandLine() async throws {
        try await withEachName { name in
            if name.text == "./x" || name.text == "a/./b" || name.text == "a//b" || name.text == "a/"
                || name.text == "a/../b"
                || name.text == "a/.."
            {
                // The command line is the one place that makes paths plain; there is nothing there.
                _ = try await workspace.add(try workspace.relativePath(of: name.text))
            } else {
                _ = try workspace.relativePath(of: name.text)
            }
        }
    }

    @Test func namesOfArtifactsAndVersions() async throws {
        for name in HostileName.all {
            for text in [name.text, "datasets/" + name.text, name.text + "/x", "datasets/x@" + name.text] {
                guard let reference = try? ArtifactReference(text) else { continue }
                let path = Pointer.path(of: reference.artifact)
                #expect(try RelativePath(path).description == path, "\(name)")
                #expect(path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "\(name)")
            }
        }
    }

    @Test func pathsOfPointers() async throws {
        try await withEachName { name in
            let artifact = try ArtifactName("datasets/hostile")
            let path = JSONValue.string(name.text).canonicalText
            try outside.write(
                "project/registry/datasets/hostile.yaml",
                "path: \(path)\ndigest: \"\(content.digest)\"\nkind: file\nsize: 4\nfiles: 1\n")
            _ = try await workspace.checkout([artifact], force: true)
        }
    }

    @Test func pathsOfDVCAndItsListings() async throws {
        let hash = MD5Hasher.hex(of: Array("good".utf8))
        let cache = "project/.dvc/cache/files/md5/"
        try outside.write("project/.dvc/config", "")
        try outside.write(cache + "\(hash.prefix(2))/\(hash.dropFirst(2))", "good")
        var accepted = 0
        try await withEachName { name in
            let text = JSONValue.string(name.text).canonicalText
            let listing = "[{\"md5\": \"\(hash)\", \"relpath\": \(text)}]"
            let folder = MD5Hasher.hex(of: Array(listing.utf8))
            try outside.write(cache + "\(folder.prefix(2))/\(folder.dropFirst(2)).dir", listing)
            try outside.write(
                "project/h.dvc",
                """
                outs:
                - {md5: \(hash), hash: md5, path: \(text)}
                - {md5: \(folder).dir, hash: md5, path: listed}
                - {md5: \(text), hash: md5, path: hashed}
                - {md5: \(hash), hash: md5, path: own, files: [{relpath: \(text), md5: \(hash)}]}
                """)
            let report = try await workspace.importDVC()
            for remark in report.remarks { #expect(!hasRawControls(printableLines(remark.message)), "\(name)") }
            let paths = report.artifacts.map(\.path.description)
            accepted += paths.count
            try FileSystem.removeTree(outside("project/registry/datasets"))
            try FileSystem.removeTree(outside("project/registry/models"))
            #expect(!paths.contains("hashed"))
            if name.kind == .refused { #expect(!paths.contains("listed") && !paths.contains("own"), "\(name)") }
            // A plain path such as `a/` may be accepted as what it means.
            if !paths.contains("listed") { throw MLOpsError(.usage, "refused") }
        }
        #expect(accepted > 50)
    }

    @Test func settingsOfDVC() throws {
        for name in HostileName.all {
            try outside.write(
                "project/.dvc/config", "[cache]\n    dir = \(name.text)\n['remote \"x\"']\n    url = \(name.text)\n")
            let settings = try DVCSettings(root: workspace.root, userFile: nil)
            #expect(settings.source(of: String(repeating: "0", count: 32)) == nil, "\(name)")
        }
    }

    @Test func pointersOfGitLFSAndTheirAttributes() throws {
        let good = "version https://git-lfs.github.com/spec/v1\noid \(content.digest)\nsize 4\n"
        #expect(try LFSPointer(Array(good.utf8))?.byteCount == 4)
        for name in HostileName.all {
            for text in [
                good.replacing(content.digest.hex, with: name.text),
                good.replacing("size 4", with: "size \(name.text)"),
                good + "\(name.text) x\n", "version \(name.text)\n" + good,
            ] {
                let pointer = try? LFSPointer(Array(text.utf8))
                #expect(pointer == nil || pointer?.digest == content.digest, "\(name)")
            }
        }
        #expect(try LFSPointer(Array(good.utf8.prefix(30))) == nil)
        for (pattern, path, isMatch) in [
            ("*.bin", "a/b.bin", true), ("*.bin", "a.txt", false), ("/a.bin", "a.bin", true),
            ("data/**", "data/x/y", true),
            ("data/**", "other/x", false), ("a[[:space:]]b", "a b", true), ("**/x", "a/b/x", true),
            ("a?c", "abc", true),
            ("data/*.bin", "data/a.bin", true), ("*", "x", true),
        ] { #expect(LFSAttributes.matches(pattern, path) == isMatch, "\(pattern) \(path)") }
    }

    @Test func addressesLoseTheirCredentials() {
        #expect(withoutCredentials("https://user:token@host/x@y") == "https://host/x@y")
        #expect(withoutCredentials("https://host/a@b") == "https://host/a@b")
        #expect(withoutCredentials("../path@x") == "../path@x")
    }
}
