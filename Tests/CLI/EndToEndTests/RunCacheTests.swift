import Basics
import Foundation
import TestSupport
import Testing

/// What one clone ran another need not run: results of stages through a remote.
@Suite struct RunCacheTests {
    private static let spec = """
        version: 1
        name: shared
        params: [params.yaml]
        stages:
          prepare:
            run: sh -c 'sort source.txt > sorted.txt; echo ran >> ran.log'
            deps: [source.txt]
            outs: [sorted.txt]
          split:
            run: sh -c 'mkdir -p parts && split -l 100 sorted.txt parts/p; echo ran >> ran.log'
            deps: [sorted.txt]
            outs: [parts]
          count:
            run: sh -c 'n=$(ls parts | wc -l); echo "{\\"parts\\":$n,\\"factor\\":${params.factor}}" > count.json; echo ran >> ran.log'
            deps: [parts]
            metrics: [count.json]
          scratch:
            run: sh -c 'date +%N > scratch.txt; echo ran >> ran.log'
            outs: [{ path: scratch.txt, cache: false }]
        """

    /// A project whose pipeline has run, with a remote that has no results of it yet.
    private func project(remote: String) throws -> Project {
        let project = try Project()
        try project.folder.write("pipelines/p.yaml", RunCacheTests.spec)
        try project.folder.write("params.yaml", "factor: 3\n")
        try project.folder.write("source.txt", (0..<1000).map { "\(($0 &* 7919) % 1000)\n" }.joined())
        try project.folder.write(
            ".gitignore", "/.mlops/\n/sorted.txt\n/parts/\n/count.json\n/scratch.txt\n/ran.log\n")
        try project.mlops("remote", "add", "origin", remote).expectSuccess()
        try project.commit("Pipeline")
        try project.mlops("pipeline", "run", "pipelines/p.yaml").expectSuccess()
        return project
    }

    private func clone(_ project: Project, _ folder: TemporaryFolder) throws -> String {
        try Program.run("git", ["clone", "-q", project.path, folder("clone")], in: folder.path).expectSuccess()
        return folder("clone")
    }

    private func ran(in folder: String) throws -> Int {
        let path = FileSystem.join(folder, "ran.log")
        return FileSystem.exists(path) ? try FileSystem.readText(path).split(separator: "\n").count : 0
    }

    @Test func aSecondCloneRunsNothingThatTheFirstOneRan() throws {
        let (shared, elsewhere) = (try TemporaryFolder(), try TemporaryFolder())
        let project = try project(remote: shared("remote"))
        let pushed = try project.mlops("push", "--run-cache", "--json").json()
        #expect(pushed["runCache"]?["entryCount"]?.integer == 3, "what is not kept is not shared: \(pushed)")
        let again = try project.mlops("push", "--run-cache", "--json").json()
        #expect(again["runCache"]?["entryCount"]?.integer == 0, "\(again)")

        let clone = try clone(project, elsewhere)
        let pulled = try Program.mlops(["pull", "--run-cache", "--json"], in: clone).json()
        #expect(pulled["runCache"]?["entryCount"]?.integer == 3, "\(pulled)")
        #expect(!FileSystem.exists(FileSystem.join(clone, "parts")), "nothing is checked out by the pull itself")
        let run = try Program.mlops(["pipeline", "run", "pipelines/p.yaml", "--stage", "count"], in: clone)
        #expect(run.exitCode == 0 && run.output.contains("0 ran, 3 cached"), "\(run.all)")
        #expect(try ran(in: clone) == 0)
        let parts = try FileSystem.list(project.folder("parts")).map { "parts/" + $0 }
        for name in ["sorted.txt", "count.json"] + parts {
            #expect(try FileSystem.read(FileSystem.join(clone, name)) == project.folder.read(name), "\(name)")
        }
        let whole = try Program.mlops(["pipeline", "run", "pipelines/p.yaml"], in: clone)
        #expect(whole.output.contains("1 ran, 3 cached"), "\(whole.all)")
    }

    @Test func aChangeInTheCloneRunsWhatNeedsItAndComesBack() throws {
        let (shared, elsewhere) = (try TemporaryFolder(), try TemporaryFolder())
        let project = try project(remote: shared("remote"))
        try project.mlops("push", "--run-cache").expectSuccess()
        let clone = try clone(project, elsewhere)
        try Program.mlops(["pull", "--run-cache"], in: clone).expectSuccess()
        let changed = ["pipeline", "run", "pipelines/p.yaml", "--stage", "count", "--set", "factor=4"]
        let run = try Program.mlops(changed + ["--explain"], in: clone)
        #expect(run.output.contains("1 ran, 2 cached"), "\(run.all)")
        #expect(run.error.contains("parameter `factor` changed from 3 to 4"), "\(run.all)")
        try Program.mlops(["push", "--run-cache"], in: clone).expectSuccess()
        try project.mlops("pull", "--run-cache").expectSuccess()
        let back = try Program.mlops(changed, in: project.path)
        #expect(back.output.contains("0 ran, 3 cached"), "\(back.all)")
    }

    @Test func aBundleThatWasChangedOnTheRemoteIsRefused() throws {
        let (shared, elsewhere) = (try TemporaryFolder(), try TemporaryFolder())
        let project = try project(remote: shared("remote"))
        try project.mlops("push", "--run-cache").expectSuccess()
        let folder = shared("remote/stages")
        let name = try #require(try FileSystem.list(folder).first { $0.hasSuffix(".ndjson") })
        let path = FileSystem.join(folder, name)
        let text = try FileSystem.readText(path).replacing("\"stage\":\"count\"", with: "\"stage\":\"split\"")
        try FileSystem.removeFile(path)
        try FileSystem.replace(path, with: Array(text.utf8))
        let clone = try clone(project, elsewhere)
        let pulled = try Program.mlops(["pull", "--run-cache"], in: clone)
        #expect(pulled.exitCode == 12 && pulled.error.contains("does not hold what its name says"), "\(pulled.all)")
        let run = try Program.mlops(["pipeline", "run", "pipelines/p.yaml"], in: clone)
        #expect(run.output.contains("4 ran, 0 cached"), "\(run.all)")
    }
}
