import Basics
import Foundation
import Glibc
import TestSupport
import Testing

/// Garbage, as a user collects it: with real git around the project.
@Suite struct GcTests {
    private let project: Project

    init() throws {
        project = try Project()
        try record("first")
    }

    /// Records and commits data of which `word` is the name.
    private func record(_ word: String) throws {
        try add(word)
        try project.commit(word)
    }

    private func add(_ word: String) throws {
        for index in 0..<3 {
            try project.folder.write("data/x/\(index)", String(repeating: "\(word) \(index) ", count: 3000))
        }
        try project.mlops("add", "data/x").expectSuccess()
    }

    /// The word in the data that git's `revision` points at.
    private func word(at revision: String) throws -> String {
        try project.git("checkout", "-q", revision, "--", "registry")
        try project.mlops("checkout", "--force").expectSuccess()
        let text = try FileSystem.readText(project.folder("data/x/0"))
        return String(text.prefix { $0 != " " })
    }

    private func collect(_ flags: String...) throws -> ProgramResult {
        let result = try Program.mlops(["gc", "--grace", "0s", "--yes"] + flags, in: project.path)
        try project.mlops("fsck").expectSuccess()
        return result
    }

    /// A commit can hold a pointer under a name that no artifact has.
    @Test func whatAPointerWithAWrongNameNamedStays() throws {
        try add("misnamed")
        try project.git("checkout", "-q", "-b", "side")
        try project.git("mv", "-f", "registry/datasets/x.yaml", "registry/datasets/X2.yml")
        try project.commit("A wrong name")
        let refused = try project.mlops("gc", "--grace", "0s", "--yes")
        #expect(refused.exitCode == 12 && refused.error.contains("registry/datasets/X2.yml"), "\(refused.all)")
        try project.git("checkout", "-q", "main")
        #expect(try collect().exitCode == 0)
        try project.git("checkout", "-q", "side")
        try project.git("mv", "registry/datasets/X2.yml", "registry/datasets/x.yaml")
        try project.mlops("checkout", "--force").expectSuccess()
        #expect(try FileSystem.readText(project.folder("data/x/0")).hasPrefix("misnamed "))
    }

    @Test func whatGitKnowsStaysAndWhatItForgotGoes() throws {
        try record("second")
        try project.git("tag", "-a", "-m", "x", "release")
        try project.git("checkout", "-q", "-b", "side")
        try record("side")
        try add("stashed")
        try project.git("stash", "-q")
        try project.git("checkout", "-q", "main")
        try project.git("checkout", "-q", "-b", "deleted")
        try record("deleted")
        try project.git("checkout", "-q", "main")
        try project.git("branch", "-q", "-D", "deleted")
        // The reflog of the head knows the branch that was deleted, and 14 days keep everything else.
        let nothing = try project.mlops("gc", "--yes")
        #expect(nothing.exitCode == 0 && nothing.output.contains("nothing to remove"), "\(nothing.all)")
        let preview = try project.mlops("gc", "--grace", "0s")
        #expect(preview.output.contains("would free") && preview.output.contains("datasets/x"), "\(preview.all)")
        #expect(preview.error.contains("--yes"))
        let result = try collect()
        #expect(result.output.contains("freed"), "\(result.all)")
        for (revision, expected) in [
            ("main~1", "first"), ("release", "second"), ("side", "side"), ("stash@{0}", "stashed"),
        ] {
            #expect(try word(at: revision) == expected)
        }
        #expect(try project.mlops("gc", "--grace", "0s").output.contains("nothing to remove"))
    }

    @Test func aPolicyGivesUpOldCommits() throws {
        try record("second")
        try record("third")
        let preview = try project.mlops("gc", "--grace", "0s", "--keep-history", "2")
        #expect(preview.output.contains("datasets/x at commit"), "\(preview.all)")
        #expect(try collect("--keep-history", "2").output.contains("freed"))
        #expect(try word(at: "HEAD~1") == "second")
        try project.git("checkout", "-q", "HEAD~2", "--", "registry")
        #expect(try project.mlops("checkout").exitCode == 1)
        try project.git("checkout", "-q", "HEAD", "--", "registry")
        // Afterwards the commit whose data went is no damage.
        #expect(try collect().output.contains("nothing to remove"))
    }

    @Test(arguments: [
        ["--keep-history", "0"], ["--keep-history", "0d"], ["--keep-history", ""], ["--keep-versions", "0"],
        ["--keep-runs", "0"], ["--keep-runs", "soon"], ["--grace", "14"], ["--grace", "-1d"], ["--yes", "--dry-run"],
    ])
    func aPolicyThatWouldKeepNothingIsRefused(_ flags: [String]) throws {
        let result = try Program.mlops(["gc"] + flags, in: project.path)
        #expect(result.exitCode == 64 && result.error.contains("hint:") || result.error.contains("neither"))
    }

    @Test func aPointerOfAnOldBranchThatCannotBeReadStopsIt() throws {
        try project.git("checkout", "-q", "-b", "old")
        try project.folder.write("registry/datasets/broken.yaml", "path: x\n<<<<<<<\n")
        try project.commit("Broken")
        try project.git("checkout", "-q", "main")
        try add("unneeded")
        try add("other")
        let result = try project.mlops("gc", "--grace", "0s", "--yes")
        #expect(result.exitCode == 12 && result.error.contains("nothing was removed"), "\(result.all)")
        #expect(result.error.contains("registry/datasets/broken.yaml"), "\(result.all)")
        try project.git("branch", "-q", "-D", "old")
        try FileSystem.removeTree(project.folder(".git/logs"))
        #expect(try collect().output.contains("freed"))
    }

    @Test func anEventOfNoBytesStopsItAndFsckNamesIt() throws {
        try project.mlops("registry", "push", "datasets/x").expectSuccess()
        try add("unneeded")
        try add("other")
        try FileSystem.replace(project.folder(".mlops/events/datasets/x/1.json"), with: [])
        let result = try project.mlops("gc", "--grace", "0s", "--yes")
        #expect(result.exitCode == 12 && result.error.contains("events/datasets/x/1.json"), "\(result.all)")
        let check = try project.mlops("fsck")
        #expect(check.exitCode == 12 && check.output.contains("the events of `datasets/x`"), "\(check.all)")
    }

    @Test func versionsWithAliasesOutliveAPolicy() throws {
        for number in 1...4 {
            try add("version\(number)")
            try project.mlops("registry", "push", "datasets/x").expectSuccess()
            if number <= 2 {
                try project.mlops("registry", "promote", "datasets/x@v\(number)", "production").expectSuccess()
            }
        }
        let result = try collect("--keep-versions", "1")
        #expect(result.output.contains("datasets/x@v3"), "\(result.all)")
        for (version, isHere) in [(1, true), (2, true), (3, false), (4, true)] {
            let pulled = try project.mlops("registry", "pull", "datasets/x@v\(version)", "--force")
            #expect((pulled.exitCode == 0) == isHere, "v\(version): \(pulled.all)")
        }
    }

    @Test func aCollectionThatIsKilledAnywhereCanBeRepeated() throws {
        try record("second")
        var kills = 0
        for number in 1...200 {
            // Something for every step: a pack that goes, and one of which a part goes.
            try add("unneeded \(number)")
            try add("second")
            let killed = try Program.mlops(
                ["gc", "--grace", "0s", "--keep-history", "1", "--yes"], in: project.path,
                environment: ["MLOPS_FAILPOINT": "any:\(number):kill"])
            try project.mlops("fsck").expectSuccess()
            if killed.exitCode == 0 { break }
            #expect(killed.exitCode == 128 + 9, "\(killed.all)")
            kills += 1
        }
        #expect(kills >= 10)
        _ = try collect("--keep-history", "1")
        #expect(try word(at: "main") == "second")
    }

    @Test func additionsAndCollectionsAtOnceLoseNothing() throws {
        let rounds = 12
        let script = """
            for i in $(seq \(rounds)); do
              head -c 30000 /dev/zero | tr '\\\\0' "$2" > "data/$2" && echo $i >> "data/$2"
              "$1" add "data/$2" -q || exit 1
            done
            """
        let program = try Program.path
        let adders = try ["a", "b", "c"].map { name in
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", script, "sh", program, name]
            process.currentDirectoryURL = URL(fileURLWithPath: project.path)
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            return process
        }
        while adders.contains(where: \.isRunning) {
            let result = try project.mlops("gc", "--grace", "0s", "--yes")
            #expect([0, 11].contains(result.exitCode), "\(result.all)")
        }
        #expect(adders.allSatisfy { $0.terminationStatus == 0 })
        for name in ["a", "b", "c"] { try FileSystem.removeFile(project.folder("data/\(name)")) }
        try project.mlops("checkout").expectSuccess()
        try project.mlops("fsck").expectSuccess()
        for name in ["a", "b", "c"] {
            #expect(try FileSystem.readText(project.folder("data/\(name)")).hasSuffix("\(rounds)\n"))
        }
    }

    @Test func nothingElseThanGitIsNeeded() throws {
        let folder = try TemporaryFolder()
        try Program.mlops(["init"], in: folder.path).expectSuccess()
        for text in ["one", "two"] {
            try folder.write("data.txt", text)
            try Program.mlops(["add", "data.txt"], in: folder.path).expectSuccess()
        }
        let result = try Program.mlops(["gc", "--grace", "0s", "--yes"], in: folder.path)
        #expect(result.exitCode == 0 && result.output.contains("freed"), "\(result.all)")
        try FileSystem.removeFile(folder("data.txt"))
        try Program.mlops(["checkout"], in: folder.path).expectSuccess()
        #expect(try FileSystem.readText(folder("data.txt")) == "two")
    }

    /// Runs `script` as root of a name space of its own, `$M` being the program.
    private func asRoot(_ script: String) throws -> ProgramResult {
        try Program.run(
            "unshare", ["-m", "sh", "-ec", script], in: project.path, environment: ["M": try Program.path])
    }

    @Test(.enabled(if: geteuid() == 0, "only root can mount"))
    func aDiskWithoutAnyRoomIsNoHindrance() throws {
        let result = try asRoot(
            """
            mount -t tmpfs -o size=6m none /mnt && cd /mnt && git init -q && $M init -q
            head -c 1500000 /dev/urandom > a && $M add a -q
            head -c 1500000 /dev/urandom > a && $M add a -q
            cat /dev/zero > fill 2>/dev/null || true
            $M gc --grace 0s --yes
            rm a && cat /dev/zero >> fill 2>/dev/null || true
            rm fill && $M fsck && $M checkout && test $(wc -c < a) = 1500000
            """)
        #expect(result.exitCode == 0 && result.output.contains("freed 1.4 MiB"), "\(result.all)")
    }

    @Test(.enabled(if: geteuid() == 0, "only root can mount"))
    func aReadOnlyStoreCanBeReadWhole() throws {
        let result = try asRoot(
            """
            mount --bind "$PWD" "$PWD" && mount -o remount,ro,bind "$PWD" && cd "$PWD"
            $M status && $M log && $M fsck && $M diff && $M gc
            if $M gc --grace 0s --yes --keep-history 1; then true; fi
            if touch x 2>/dev/null; then exit 9; fi
            """)
        #expect(result.exitCode == 0, "\(result.all)")
        #expect(result.output.contains("unchanged  datasets/x") && result.output.contains("clean"), "\(result.all)")
    }
}
