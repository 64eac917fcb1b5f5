import Basics
import Foundation
import TestSupport
import Testing

/// `mlops import-dvc` on a repository that DVC made (Scripts/make-dvc-fixture), and `mlops import-lfs` on pointers of Git LFS.
@Suite struct ImportTests {
    // MARK: DVC

    private static func dvcRepository() throws -> TemporaryFolder {
        let archive = FileSystem.absolute("\(#filePath)/../../../Fixtures/dvc/repository.tar")
        let folder = try TemporaryFolder()
        try Program.run("tar", ["-xf", archive, "-C", folder.path], in: folder.path).expectSuccess()
        try Program.mlops(["init"], in: folder.path).expectSuccess()
        return folder
    }

    @Test func everythingThatDVCKeepsIsTakenOver() throws {
        let folder = try ImportTests.dvcRepository()
        let dry = try Program.mlops(["import-dvc", "--dry-run"], in: folder.path)
        #expect(dry.exitCode == 0 && dry.output.contains("would import datasets/images"), "\(dry.all)")
        #expect(!FileSystem.exists(folder("registry/datasets")))

        let result = try Program.mlops(["import-dvc"], in: folder.path)
        #expect(result.exitCode == 0, "\(result.all)")
        for name in ["train", "empty", "windows", "images", "empty-folder", "imported", "features"] {
            #expect(result.output.contains("imported datasets/\(name) "), "\(name): \(result.all)")
        }
        #expect(result.output.contains("imported models/net "))
        #expect(result.output.contains("metrics.json: `cache: false`") || result.output.contains("metrics.json: git"))
        #expect(result.output.contains("`desc` has no place") && result.output.contains("`frozen` is not kept"))
        let status = try Program.mlops(["status"], in: folder.path)
        #expect(!status.output.contains("modified") && !status.output.contains("missing"), "\(status.all)")
        let source = try FileSystem.readText(folder("registry/datasets/imported.yaml"))
        #expect(source.contains("from: ") && source.contains("raw/source.csv"), "\(source)")

        let before = try census(of: folder("data"))
        for name in ["data/images", "data/train.csv", "models/net.pt"] { try FileSystem.removeTree(folder(name)) }
        try Program.mlops(["checkout"], in: folder.path).expectSuccess()
        #expect(try Set(census(of: folder("data")).keys) == Set(before.keys), "both spellings of é, and empty files")
        #expect(try FileSystem.readText(folder("data/images/caf\u{E9}.txt")) == "é as one\n")
        #expect(try FileSystem.readText(folder("data/images/cafe\u{301}.txt")) == "é as two\n")

        let again = try Program.mlops(["import-dvc", "--remove"], in: folder.path)
        #expect(again.exitCode == 0 && again.output.contains("unchanged datasets/train"), "\(again.all)")
        #expect(!FileSystem.exists(folder("data/train.csv.dvc")) && FileSystem.exists(folder("dvc.lock")))
    }

    @Test func theCacheOfDVC2AndRemotesThatAreFoldersDo() throws {
        let folder = try ImportTests.dvcRepository()
        // The layout before DVC 3, in a remote; and the hash of a text without its CRs.
        try FileSystem.rename(folder(".dvc/cache/files/md5"), to: folder("old-remote"))
        try folder.write(
            ".dvc/config", "[core]\n    remote = backup\n['remote \"backup\"']\n    url = ../old-remote\n")
        try folder.write(
            "data/windows.txt.dvc",
            "outs:\n- md5: \(MD5Hasher.hex(of: Array("line one\nline two\n".utf8)))\n  path: windows.txt\n")
        for name in ["data/images", "data/train.csv"] { try FileSystem.removeTree(folder(name)) }
        let result = try Program.mlops(["import-dvc"], in: folder.path)
        #expect(result.exitCode == 0, "\(result.all)")
        #expect(result.output.contains("imported datasets/windows"), "its own file has CRs: \(result.all)")
        try Program.mlops(["checkout", "datasets/images"], in: folder.path).expectSuccess()
    }

    @Test func whatIsMissingOrDamagedIsSaidLineByLine() throws {
        let folder = try ImportTests.dvcRepository()
        try FileSystem.removeTree(folder("data/train.csv"))
        let hash = "e5ebd4c02cefbe7955977c67ada242b7"
        try FileSystem.removeFile(folder(".dvc/cache/files/md5/e5/\(hash.dropFirst(2))"))
        let flipped = folder(".dvc/cache/files/md5/16/b00f7af57c4793e09c6c890aa251ce")
        try FileSystem.removeFile(flipped)
        try FileSystem.replace(flipped, with: Array("imagE 1\n".utf8))
        try folder.write("data/s3.csv.dvc", "outs:\n- path: s3://bucket/x\n  etag: abc\n")
        try folder.write("data/up.csv.dvc", "outs:\n- path: ../../up.csv\n  md5: \(hash)\n")
        let result = try Program.mlops(["import-dvc"], in: folder.path)
        #expect(result.exitCode == 3, "\(result.all)")
        #expect(
            result.output.contains("failed data/train.csv.dvc") && result.output.contains("dvc fetch data/train.csv"))
        #expect(
            result.output.contains("failed data/images.dvc") && result.output.contains("not the recorded MD5 16b00f"))
        #expect(result.output.contains("lies outside of the project"), "\(result.all)")
        #expect(result.output.contains("imported datasets/empty"))
        #expect(!FileSystem.exists(folder("registry/datasets/images.yaml")), "no pointer to what was damaged")
    }

    @Test func whatFailedIsNotRemoved() throws {
        let folder = try ImportTests.dvcRepository()
        let text = "outs:\n- path: ../../up.csv\n  md5: e5ebd4c02cefbe7955977c67ada242b7\n"
        let names = ["12:30 up.csv.dvc", "plain.csv.dvc"]
        for name in names { try folder.write("data/\(name)", text) }
        try folder.write("data: x/list.dvc", "outs: 7\n")
        let result = try Program.mlops(["import-dvc", "--remove"], in: folder.path)
        #expect(result.exitCode == 3 && result.output.contains("removed data/"), "\(result.all)")
        for name in names { #expect(FileSystem.exists(folder("data/\(name)")), "\(name): \(result.all)") }
        #expect(FileSystem.exists(folder("data: x/list.dvc")))
        #expect(!FileSystem.exists(folder("data/train.csv.dvc")))
    }

    @Test func outputsOfTemplatesThatGitKeepsStay() throws {
        let folder = try ImportTests.dvcRepository()
        try folder.write(
            "loop/dvc.yaml",
            """
            stages:
              train:
                foreach: [a, b]
                do:
                  cmd: x
                  outs:
                  - ${dir}/${item}
                  - ${dir}/${item}.json:
                      cache: false
                  - log-${item}.txt
            """)
        var lock = "schema: '2.0'\nstages:\n"
        for item in ["a", "b"] {
            lock += "  train@\(item):\n    cmd: x\n    outs:\n"
            for path in ["m/\(item)", "m/\(item).json", "log-\(item).txt"] {
                try folder.write("loop/\(path)", path)
                lock += "    - path: \(path)\n      hash: md5\n      md5: \(MD5Hasher.hex(of: Array(path.utf8)))\n"
            }
        }
        try folder.write("loop/dvc.lock", lock)
        let result = try Program.mlops(["import-dvc"], in: folder.path)
        #expect(result.exitCode == 0, "\(result.all)")
        for path in ["m/a", "m/b", "log-a.txt", "log-b.txt"] {
            #expect(result.output.contains("(loop/\(path): 1 file"), "\(path): \(result.all)")
        }
        for path in ["m/a.json", "m/b.json"] {
            #expect(result.output.contains("loop/dvc.lock: \(path): `cache: false`"), "\(result.all)")
        }
    }

    /// A bucket that serves the files of a folder.
    private static func bucket(of folder: String) throws -> ScriptedServer {
        try ScriptedServer { request in
            let key = request.path.dropFirst("/bucket/dvc/".count)
            guard let bytes = try? FileSystem.read(folder + "/" + key) else {
                return .text(404, "<Error><Code>NoSuchKey</Code></Error>")
            }
            return .respond(200, body: bytes)
        }
    }

    @Test func bucketsOfDVCAreFetchedFrom() throws {
        let folder = try ImportTests.dvcRepository()
        try FileSystem.rename(folder(".dvc/cache"), to: folder("store"))
        for name in ["data/images", "data/train.csv", "raw/features"] { try FileSystem.removeTree(folder(name)) }
        let server = try ImportTests.bucket(of: folder("store"))
        let keys = ["AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK"]
        func configure(_ more: String) throws {
            try folder.write(
                ".dvc/config",
                "[core]\n    remote = storage\n['remote \"base\"']\n    url = s3://bucket\n    endpointurl = \(server.url)\n"
                    + more + "['remote \"storage\"']\n    url = remote://base/dvc/\n")
        }
        try configure("    version_aware = true\n")
        let refused = try Program.mlops(["import-dvc"], in: folder.path, environment: keys)
        #expect(
            refused.output.contains("has `version_aware`") && refused.output.contains("dvc fetch -r"), "\(refused.all)")
        try configure("    configpath = ../aws\n")
        #expect(
            try Program.mlops(["import-dvc"], in: folder.path, environment: keys).output.contains("may name programs"))
        try configure("")
        let dry = try Program.mlops(["import-dvc", "--dry-run"], in: folder.path, environment: keys)
        #expect(
            dry.exitCode == 0 && dry.output.contains("would import datasets/images (data/images: 8 files"), "\(dry.all)"
        )
        let unknown = try Program.mlops(["import-dvc", "--dvc-remote", "storag"], in: folder.path, environment: keys)
        #expect(unknown.exitCode == 1 && unknown.error.contains("did you mean `storage`"), "\(unknown.all)")
        let result = try Program.mlops(["import-dvc"], in: folder.path, environment: keys)
        #expect(result.exitCode == 0 && result.output.contains("imported datasets/images"), "\(result.all)")
        #expect(!FileSystem.exists(folder(".mlops/cache/dvc")))
        try Program.mlops(["checkout", "--force"], in: folder.path).expectSuccess()
        #expect(try FileSystem.readText(folder("data/images/1.png")) == "image 1\n")
        // Wrong bytes there never get here.
        try FileSystem.removeTree(folder("data/train.csv"))
        try folder.write(
            "data/other.csv.dvc", "outs:\n- md5: e5ebd4c02cefbe7955977c67ada242b8\n  hash: md5\n  path: other.csv\n")
        try folder.write("store/files/md5/e5/ebd4c02cefbe7955977c67ada242b8", "wrong")
        let wrong = try Program.mlops(["import-dvc"], in: folder.path, environment: keys)
        #expect(wrong.exitCode == 3 && wrong.output.contains("does not have the MD5 that names it"), "\(wrong.all)")
    }

    // MARK: Git LFS

    /// A repository whose `data/*.bin` are kept by Git LFS: pointers in git, objects in `.git/lfs`.
    private static func lfsRepository(_ files: [String: String], lineEnd: String = "\n") throws -> Project {
        let project = try Project()
        try project.folder.write(
            ".gitattributes", "*.txt text\(lineEnd)*.bin filter=lfs diff=lfs merge=lfs -text\(lineEnd)")
        for (path, content) in files {
            let digest = Digest.of(content)
            try project.folder.write(
                path,
                ["version https://git-lfs.github.com/spec/v1", "oid \(digest)", "size \(content.utf8.count)", ""]
                    .joined(separator: lineEnd))
            let hex = digest.hex
            try project.folder.write(".git/lfs/objects/\(hex.prefix(2))/\(hex.dropFirst(2).prefix(2))/\(hex)", content)
        }
        // The filter itself is not needed to have its pointers committed.
        try project.git("-c", "filter.lfs.clean=cat", "-c", "filter.lfs.required=false", "add", "-A")
        try project.git("commit", "-q", "-m", "LFS")
        for (path, content) in files { try project.folder.write(path, content) }
        return project
    }

    @Test func everyFileOfGitLFSBecomesAnArtifact() throws {
        let project = try ImportTests.lfsRepository([
            "data/a.bin": "first", "data/b/a.bin": String(repeating: "second ", count: 2_000_000), "model.bin": "",
        ])
        let result = try project.mlops("import-lfs")
        #expect(result.exitCode == 0, "\(result.all)")
        #expect(result.output.contains("imported datasets/a (data/a.bin"), "\(result.all)")
        #expect(result.output.contains("imported datasets/b-a (data/b/a.bin"), "\(result.all)")
        #expect(try FileSystem.readText(project.folder(".gitattributes")) == "*.txt text\n")
        #expect(result.output.contains("git rm -r --cached -q -- data/a.bin"))
        try project.git("rm", "-r", "--cached", "-q", "--", "data/a.bin", "data/b/a.bin", "model.bin")
        try project.commit("Handed over")
        #expect(try project.git("ls-files").output.contains(".bin") == false)
        #expect(try project.mlops("status", "--quiet").output == "")
        try FileSystem.removeTree(project.folder("data"))
        try project.mlops("checkout").expectSuccess()
        #expect(try FileSystem.readText(project.folder("data/a.bin")) == "first")
    }

    @Test func aFolderOfGitLFSBecomesOneArtifactAndOthersStay() throws {
        let project = try ImportTests.lfsRepository(["data/a.bin": "first", "data/b/c.bin": "third", "model.bin": "m"])
        let result = try project.mlops("import-lfs", "--folder", "data")
        #expect(
            result.exitCode == 0 && result.output.contains("imported datasets/data (data: 2 files"), "\(result.all)")
        #expect(
            try FileSystem.readText(project.folder(".gitattributes")).contains("*.bin filter=lfs"), "model.bin needs it"
        )
        #expect(result.output.contains("git rm -r --cached -q -- data\n"))
        let rest = try project.mlops("import-lfs")
        #expect(rest.exitCode == 0 && rest.output.contains("imported datasets/model "), "\(rest.all)")
        #expect(try FileSystem.readText(project.folder(".gitattributes")) == "*.txt text\n")
    }

    @Test func missingObjectsAndExtensionsAreNamed() throws {
        let project = try ImportTests.lfsRepository(["data/a.bin": "first", "data/b.bin": "second"])
        let hex = Digest.of("first").hex
        try FileSystem.removeFile(
            project.folder(".git/lfs/objects/\(hex.prefix(2))/\(hex.dropFirst(2).prefix(2))/\(hex)"))
        try project.folder.write("data/a.bin", "wrong")
        try project.folder.write(
            "data/c.bin",
            "version https://git-lfs.github.com/spec/v1\next-0-foo sha256:\(hex)\noid sha256:\(hex)\nsize 5\n")
        try project.git("-c", "filter.lfs.clean=cat", "add", "data/c.bin")
        try project.git("commit", "-q", "-m", "Extension")
        let result = try project.mlops("import-lfs")
        #expect(result.exitCode == 3, "\(result.all)")
        #expect(result.output.contains("failed data/a.bin") && result.output.contains("imported datasets/b "))
        #expect(result.output.contains("the extension `ext-0-foo`"))
        try FileSystem.removeFile(project.folder("data/a.bin"))
        #expect(try project.mlops("import-lfs").output.contains("hint: run `git lfs fetch`"))
    }

    @Test func pointersWithLineEndsOfWindowsAreReadToo() throws {
        let project = try ImportTests.lfsRepository(["data/a.bin": "first", "b.bin": "second"], lineEnd: "\r\n")
        #expect(try project.git("show", "HEAD:b.bin").output.utf8.contains(UInt8(ascii: "\r")))
        let result = try project.mlops("import-lfs")
        #expect(result.exitCode == 0 && result.output.contains("imported datasets/a (data/a.bin"), "\(result.all)")
        #expect(result.output.contains("imported datasets/b "), "\(result.all)")
        #expect(try FileSystem.readText(project.folder(".gitattributes")) == "*.txt text\r\n")
    }

    @Test func theLinesOfFilesThatWereNotTakenOverStay() throws {
        let project = try ImportTests.lfsRepository(["data/a.bin": "first"])
        try project.folder.write("b.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 5\n")
        try project.git("-c", "filter.lfs.clean=cat", "add", "b.bin")
        try project.git("commit", "-q", "-m", "Broken")
        let result = try project.mlops("import-lfs")
        #expect(result.exitCode == 3 && result.output.contains("failed b.bin"), "\(result.all)")
        #expect(try FileSystem.readText(project.folder(".gitattributes")).contains("*.bin filter=lfs"))
    }
}
