import Basics
import Foundation
import TestSupport
import Testing

/// The whole corpus on every entry of the command line and of the files that it reads: whatever comes in, nothing is written
/// outside of the project, and no message moves the cursor.
@Suite struct HostileNameTests {
    /// A project in a folder whose other contents must stay as they are.
    private struct Target {
        let outside: TemporaryFolder
        var project: String { outside("project") }

        init() throws {
            outside = try TemporaryFolder()
            try outside.write("secret.txt", "secret")
            try outside.write("etc/passwd", "root")
            try FileSystem.createDirectories(outside("project"))
            try Program.run("git", ["init", "-q", "-b", "main"], in: project).expectSuccess()
            try Program.mlops(["init"], in: project).expectSuccess()
            try outside.write("project/data/good.txt", "good")
            try Program.mlops(["add", "data/good.txt"], in: project).expectSuccess()
        }

        /// Everything outside of the project.
        func surroundings() throws -> [String: String] {
            try census(of: outside.path).filter { !isInside($0.key, project) }
        }
    }

    private func expectClean(_ result: ProgramResult, _ what: String) {
        #expect(!hasRawControls(result.output + result.error), "\(what): \(printable(result.all))")
        #expect(result.exitCode != 139 && result.exitCode != 132 && result.exitCode != 133, "\(what): \(result.all)")
    }

    @Test func theCorpusIsLarge() {
        print("hostile names: \(HostileName.count)")
        #expect(HostileName.count >= 60)
    }

    @Test func argumentsLeadNowhere() throws {
        let target = try Target()
        let before = try target.surroundings()
        // NUL ends an argument, so it cannot be given; too long ones are no arguments either.
        let names = HostileName.sample.filter { !$0.text.contains("\0") && !$0.text.isEmpty }
        for text in names.map(\.text) {
            let hostile = text.utf8.count > 300 ? String(text.prefix(300)) : text
            for arguments in [["add", "--", hostile], ["checkout", "--", hostile]] {
                let result = try Program.mlops(arguments, in: target.project)
                expectClean(result, printable("\(arguments)"))
                #expect(result.exitCode != 0, "\(printable("\(arguments)")): \(result.all)")
            }
        }
        for text in ["../x", "\u{1B}[2J\u{202E}", "-x"] {
            for arguments in [
                ["add", "data/good.txt", "--as=\(text)"], ["push", "--", text], ["pull", "--", text],
                ["log", "--", text],
                ["diff", "--", text], ["import-lfs", "--folder=\(text)"], ["registry", "show", "--", text],
                ["registry", "pull", "--", text], ["remote", "add", "--", text, "../remote"],
                ["remote", "remove", "--", text],
                ["registry", "push", "--", text], ["pipeline", "run", "--", text], ["status", "--", text],
            ] {
                let result = try Program.mlops(arguments, in: target.project)
                expectClean(result, printable("\(arguments)"))
                #expect(result.exitCode != 0, "\(printable("\(arguments)")): \(result.all)")
            }
        }
        #expect(try target.surroundings() == before)
    }

    @Test func pointersAndConfigurationsLeadNowhere() throws {
        let target = try Target()
        let before = try target.surroundings()
        let digest = Digest.of("good")
        for name in HostileName.sample {
            let path = JSONValue.string(name.text).canonicalText
            try target.outside.write(
                "project/registry/datasets/hostile.yaml",
                "path: \(path)\ndigest: \"\(digest)\"\nkind: file\nsize: 4\nfiles: 1\n")
            let result = try Program.mlops(["checkout", "--force"], in: target.project)
            expectClean(result, name.description)
            if name.kind == .refused { #expect(result.exitCode != 0, "\(name): \(result.all)") }
        }
        try FileSystem.removeFile(target.outside("project/registry/datasets/hostile.yaml"))
        for text in HostileName.refused.prefix(5) + ["\u{1B}[2J", "s3://", "s3://../x", "file://x", "ftp://x"] {
            try target.outside.write(
                "project/registry/config.yaml",
                "version: 1\nremotes:\n  origin:\n    url: \(JSONValue.string(text).canonicalText)\n")
            expectClean(try Program.mlops(["status"], in: target.project), printable(text))
        }
        #expect(try target.surroundings() == before)
    }

    @Test func linksOfTheRepositoryAreNotFollowed() throws {
        let target = try Target()
        try FileSystem.createDirectories(target.outside("elsewhere"))
        let before = try target.surroundings()
        let project = target.project
        func link(_ name: String, _ destination: String) throws {
            try FileSystem.removeTree(target.outside("project/" + name))
            #expect(symbolicLink(destination, target.outside("project/" + name)))
        }
        try target.outside.write("project/more/x.txt", "x")
        try link("registry/datasets", target.outside("elsewhere"))
        let add = try Program.mlops(["add", "more/x.txt"], in: project)
        #expect(add.exitCode == 64 && add.error.contains("a link"), "\(add.all)")
        try FileSystem.removeFile(target.outside("project/registry/datasets"))
        // A pointer whose folder became a link; a link in place of the file; a loop below registry/.
        try Program.mlops(["add", "data/good.txt"], in: project).expectSuccess()
        try link("data", target.outside("elsewhere"))
        let checkout = try Program.mlops(["checkout", "--force"], in: project)
        #expect(checkout.exitCode != 0 && checkout.error.contains("symbolic link"), "\(checkout.all)")
        try link("registry/models", "..")
        #expect(try Program.mlops(["status"], in: project).exitCode != 139)
        try target.outside.write("project/more/y.txt", "y")
        try link("more/.gitignore", target.outside("secret.txt"))
        let ignored = try Program.mlops(["add", "more/y.txt"], in: project)
        #expect(ignored.exitCode == 1 && ignored.error.contains("no regular file"), "\(ignored.all)")
        try link(".mlops", target.outside("elsewhere"))
        try Program.run("git", ["add", "-f", ".mlops"], in: project).expectSuccess()
        let store = try Program.mlops(["add", "more/x.txt"], in: project)
        #expect(store.exitCode == 64 && store.error.contains("a link that git tracks"), "\(store.all)")
        try FileSystem.removeFile(target.outside("project/.mlops"))
        try link("registry", target.outside("elsewhere"))
        expectClean(try Program.mlops(["add", "more/x.txt"], in: project), "registry")
        #expect(try target.surroundings() == before)
    }

    @Test func filesOfDVCAndGitLFSLeadNowhere() throws {
        let target = try Target()
        let hash = MD5Hasher.hex(of: Array("good".utf8))
        let cache = "project/.dvc/cache/files/md5/"
        try target.outside.write("project/.dvc/config", "")
        try target.outside.write(cache + "\(hash.prefix(2))/\(hash.dropFirst(2))", "good")
        let before = try target.surroundings()
        for name in HostileName.sample {
            let text = JSONValue.string(name.text).canonicalText
            let listing = "[{\"md5\": \"\(hash)\", \"relpath\": \(text)}]"
            let folder = MD5Hasher.hex(of: Array(listing.utf8))
            try target.outside.write(cache + "\(folder.prefix(2))/\(folder.dropFirst(2)).dir", listing)
            try target.outside.write(
                "project/h.dvc",
                """
                wdir: .
                outs:
                - {md5: \(hash), hash: md5, path: \(text)}
                - {md5: \(folder).dir, hash: md5, path: listed}
                - {md5: \(text), hash: md5, path: hashed}
                """)
            let result = try Program.mlops(["import-dvc"], in: target.project)
            expectClean(result, name.description)
            #expect(result.exitCode != 0, "the third hash is none: \(result.all)")
            if name.kind == .refused {
                #expect(!result.output.contains("(listed:"), "\(name): \(result.all)")
            }
            for path in try FileSystem.list(target.outside("project/registry/datasets")) where path != "good.yaml" {
                try FileSystem.removeFile(target.outside("project/registry/datasets/" + path))
            }
            try? FileSystem.removeTree(target.outside("project/registry/models"))
        }
        try target.outside.write("project/.dvc/config", "[cache]\n    dir = ../../etc\n['remote \"x\"']\n    url = /\n")
        expectClean(try Program.mlops(["import-dvc"], in: target.project), "cache.dir")
        #expect(try target.surroundings() == before)
    }

    @Test func filesOfGitLFSLeadNowhere() throws {
        let target = try Target()
        let digest = Digest.of("good")
        let pointer = "version https://git-lfs.github.com/spec/v1\noid \(digest)\nsize 4\n"
        let hex = digest.hex
        try target.outside.write(
            "project/.git/lfs/objects/\(hex.prefix(2))/\(hex.dropFirst(2).prefix(2))/\(hex)", "good")
        var count = 0
        // As git itself would make them, only the names that the file system and git allow.
        for name in HostileName.all where !name.text.contains("/") && !name.text.contains("\0") && !name.text.isEmpty {
            guard name.text.utf8.count <= 255, ![".", ".."].contains(name.text) else { continue }
            let path = target.outside("project/lfs/" + name.text)
            guard !isReservedName(name.text), !FileSystem.exists(path) else { continue }
            try target.outside.write("project/lfs/" + name.text, pointer)
            count += 1
        }
        try Program.run("git", ["add", "-f", "lfs"], in: target.project).expectSuccess()
        try Program.run("git", ["commit", "-q", "-m", "x"], in: target.project).expectSuccess()
        let before = try target.surroundings()
        let result = try Program.mlops(["import-lfs"], in: target.project)
        expectClean(result, "import-lfs")
        #expect(result.exitCode == 3 && count > 40, "\(count) \(result.all)")
        #expect(try target.surroundings() == before)
    }

    /// Trees that git itself would not make, in a repository that somebody wrote by hand.
    @Test func namesOfHandMadeTreesOfGitLeadNowhere() throws {
        let target = try Target()
        let digest = Digest.of("good")
        let hex = digest.hex
        try target.outside.write(
            "project/.git/lfs/objects/\(hex.prefix(2))/\(hex.dropFirst(2).prefix(2))/\(hex)", "good")
        let names = HostileName.refused.filter { !$0.isEmpty && !$0.contains("\0") && $0.utf8.count <= 300 }
        try target.outside.write("names.json", JSONValue.array(names.map { .string($0) }).canonicalBytes)
        try target.outside.write(
            "commit.py",
            """
            from hashlib import sha1; from json import load; from os import makedirs; from zlib import compress
            def put(kind, data):
                whole = f"{kind} {len(data)}\\0".encode() + data
                name = sha1(whole).hexdigest()
                makedirs(f".git/objects/{name[:2]}", exist_ok=True)
                open(f".git/objects/{name[:2]}/{name[2:]}", "wb").write(compress(whole))
                return name
            pointer = put("blob", b"version https://git-lfs.github.com/spec/v1\\noid \(digest)\\nsize 4\\n")
            names = sorted({name.encode() for name in load(open("../names.json"))})
            def tree(names):
                return put("tree", b"".join(b"100644 " + name + b"\\0" + bytes.fromhex(pointer) for name in names))
            inner = tree(names)
            outer = put("tree", b"40000 lfs\\0" + bytes.fromhex(inner))
            who = "x <x@example.org> 1700000000 +0000"
            commit = put("commit", f"tree {outer}\\nauthor {who}\\ncommitter {who}\\n\\nx\\n".encode())
            open(".git/refs/heads/main", "w").write(commit + "\\n")
            """)
        try Program.run("python3", ["../commit.py"], in: target.project).expectSuccess()
        let before = try target.surroundings()
        for arguments in [["import-lfs"], ["import-lfs", "--folder=lfs"], ["gc", "--yes"], ["status"], ["fsck"]] {
            let result = try Program.mlops(arguments, in: target.project)
            expectClean(result, "\(arguments)")
            if arguments[0] == "import-lfs" { #expect(result.exitCode != 0, "\(result.all)") }
            #expect(try target.surroundings() == before, "\(arguments)")
        }
        #expect(!FileSystem.exists(target.outside("project/lfs")))
        #expect(try FileSystem.list(target.outside("project/registry/datasets")) == ["good.yaml"])
    }

    @Test func specialFilesAreRefusedWithoutHanging() throws {
        let target = try Target()
        for place in [
            "data/pipe", "registry/datasets/pipe.yaml", "x.dvc", "pipelines/p.yaml", "dvc.yaml",
        ] {
            let path = target.outside("project/" + place)
            try FileSystem.createDirectories(FileSystem.parent(of: path))
            try Program.run("mkfifo", [path], in: target.project).expectSuccess()
            for arguments in [
                ["add", place], ["status"], ["import-dvc"], ["pipeline", "run", place], ["checkout", "--force"],
            ] {
                let result = try Program.run(
                    "timeout", ["10", try Program.path] + arguments, in: target.project)
                #expect(result.exitCode != 124, "hangs: \(arguments) at \(place)")
                expectClean(result, place)
            }
            #expect(try Program.mlops(["add", place], in: target.project).exitCode != 0, "\(place)")
            try FileSystem.removeFile(path)
        }
        try FileSystem.createDirectories(target.outside("project/special"))
        let sockets = "import socket; socket.socket(socket.AF_UNIX).bind('special/socket')"
        try Program.run("python3", ["-c", sockets], in: target.project).expectSuccess()
        for place in ["special/socket", "special"] {
            let result = try Program.mlops(["add", place], in: target.project)
            #expect(result.exitCode == 64 && result.error.contains("not a regular file"), "\(result.all)")
        }
        // Deeper than any path can say.
        let digging =
            "n=$(printf %0200d 0); mkdir deep; cd deep; for i in $(seq 30); do mkdir $n; cd ./$n; done; echo > leaf"
        try Program.run("bash", ["-c", digging], in: target.project).expectSuccess()
        let deep = try Program.mlops(["add", "deep"], in: target.project)
        #expect(deep.exitCode == 5 && deep.error.contains("too long"), "\(deep.exitCode)")
        try Program.run("rm", ["-rf", "deep", "special"], in: target.project).expectSuccess()
        for name in ["registry/config.yaml", ".gitignore"] {
            let path = target.outside("project/" + name)
            try? FileSystem.removeFile(path)
            try Program.run("mkfifo", [path], in: target.project).expectSuccess()
            let result = try Program.run(
                "timeout", ["10", try Program.path, "add", "data/good.txt"], in: target.project)
            #expect(result.exitCode != 124, "hangs at \(name)")
            try FileSystem.removeFile(path)
            if name == "registry/config.yaml" { try FileSystem.replace(path, with: Array("version: 1\n".utf8)) }
        }
    }

    @Test func namesOfFilesAreKeptByteForByteOrRefused() throws {
        let target = try Target()
        var kept: [String] = []
        for name in HostileName.odd where !name.contains("/") && name.utf8.count <= 255 {
            guard !isReservedName(name) else { continue }
            try target.outside.write("project/odd/" + name, "content of it")
            kept.append(name)
        }
        let add = try Program.mlops(["add", "odd"], in: target.project)
        #expect(add.exitCode == 0, "\(add.all)")
        #expect(add.error.contains("differ only in"), "names that other systems take for one: \(add.all)")
        expectClean(add, "add")
        let names = try FileSystem.list(target.outside("project/odd"))
        try FileSystem.removeTree(target.outside("project/odd"))
        expectClean(try Program.mlops(["status"], in: target.project), "status")
        try Program.mlops(["checkout", "datasets/odd"], in: target.project).expectSuccess()
        let restored = try FileSystem.list(target.outside("project/odd"))
        #expect(restored.map { Array($0.utf8) } == names.map { Array($0.utf8) })
        #expect(restored.count >= kept.count - 1)
        for name in restored.prefix(5) { try FileSystem.removeFile(target.outside("project/odd/" + name)) }
        expectClean(try Program.mlops(["status"], in: target.project), "status with changes")
        expectClean(try Program.mlops(["diff"], in: target.project), "diff")
        for bytes in HostileName.broken {
            let path = target.outside("project/broken/") + "x"
            try FileSystem.createDirectories(FileSystem.parent(of: path))
            let octal = bytes.map { "\\" + String($0, radix: 8) }.joined()
            try Program.run(
                "sh", ["-c", "printf x > \"broken/$(printf 'n\(octal)')\""], in: target.project)
            let result = try Program.mlops(["add", "broken"], in: target.project)
            #expect(result.exitCode != 0 && result.error.contains("not valid UTF-8"), "\(bytes): \(result.all)")
            expectClean(result, "\(bytes)")
            try Program.run("rm", ["-rf", "broken"], in: target.project)
        }
    }
}
