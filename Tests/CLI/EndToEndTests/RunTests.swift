import Basics
import Foundation
import TestSupport
import Testing

/// Recorded runs and reports, as people and CI use them.
@Suite struct RunTests {
    private static let spec = """
        version: 1
        name: chain
        params: [params.yaml]
        stages:
          first:
            run: sh -c 'echo ${params.first} > one.txt'
            outs: [one.txt]
          second:
            run: sh -c 'cat one.txt extra.txt > two.txt; echo "{\\"score\\":${params.second}}" > two.json'
            deps: [one.txt, extra.txt]
            outs: [two.txt]
            metrics: [two.json]
          apart:
            run: touch apart.txt
            outs: [apart.txt]
        """

    private func project() throws -> Project {
        let project = try Project()
        try project.folder.write("pipelines/p.yaml", RunTests.spec)
        try project.folder.write("params.yaml", "first: 1\nsecond: 2\n")
        try project.folder.write("extra.txt", "x\n")
        try project.folder.write(".gitignore", "/.mlops/\n/*.txt\n!/extra.txt\n/two.json\n/out/\n")
        try project.commit("Pipeline")
        return project
    }

    @Test func runsAreListedFilteredComparedAndRemoved() throws {
        let project = try project()
        try project.mlops("pipeline", "run", "pipelines/p.yaml").expectSuccess()
        try project.mlops("pipeline", "run", "pipelines/p.yaml", "--set", "second=5").expectSuccess()
        let list = try project.mlops("run", "list", "--where", "second.score>3", "--json").json()
        #expect(list["runs"]?.array?.count == 1, "\(list)")
        let csv = try project.mlops("run", "list", "--columns", "params.second,second.score", "--csv").output
        #expect(csv == "params.second,second.score\r\n2,2\r\n5,5\r\n", "\(csv)")
        let diff = try project.mlops("run", "diff")
        #expect(diff.output.contains("second.score") && diff.output.contains("+3"), "\(diff.all)")
        let compare = try project.mlops("run", "compare", "--plot", "--svg", "out")
        #expect(compare.output.contains("wrote out/second.score.svg"), "\(compare.all)")
        #expect(FileSystem.exists(project.folder("out/second.score.svg")))
        let show = try project.mlops("run", "show", "--json").json()
        #expect(show["environment"]?["os"]?.string != nil && show["git"]?["dirty"] == false)
        let dry = try project.mlops("run", "rm", "latest~1", "--dry-run")
        #expect(dry.output.contains("would remove 1 run"), "\(dry.all)")
        try project.mlops("run", "rm", "latest~1").expectSuccess()
        #expect(try project.mlops("run", "list", "--quiet").output.split(separator: "\n").count == 1)
        #expect(try project.mlops("run", "show", "nothing").exitCode == 1)
    }

    @Test func aRunIsReproducedFromACommitAndFromKeptChanges() throws {
        let project = try project()
        try project.folder.write("extra.txt", "changed\n")
        try project.mlops("pipeline", "run", "pipelines/p.yaml").expectSuccess()
        let result = try project.mlops("run", "reproduce", "latest")
        #expect(result.exitCode == 0 && result.output.hasSuffix("equal\n"), "\(result.all)")
        #expect(try project.git("worktree", "list").output.split(separator: "\n").count == 1)
        let id = try project.mlops("run", "list", "--quiet").output.split(separator: "\n").last ?? ""
        try FileSystem.removeFile(project.folder(".mlops/runs/\(id)/dirty.patch"))
        let refused = try project.mlops("run", "reproduce", String(id))
        #expect(refused.exitCode == 1 && refused.error.contains("not kept"), "\(refused.all)")
    }

    @Test func sinceRunsOnlyWhatTheChangeTouches() throws {
        let project = try project()
        try project.mlops("pipeline", "run", "pipelines/p.yaml").expectSuccess()
        let nothing = try project.mlops("pipeline", "run", "pipelines/p.yaml", "--since", "HEAD")
        #expect(nothing.error.contains("0 of 3 stages are touched"), "\(nothing.all)")
        try project.folder.write("extra.txt", "y\n")
        let file = try project.mlops("pipeline", "run", "pipelines/p.yaml", "--since", "HEAD")
        #expect(
            file.error.contains("1 of 3 stages are touched") && file.output.contains("1 ran, 1 cached"), "\(file.all)")
        try project.commit("Extra")
        try project.folder.write("params.yaml", "first: 7\nsecond: 2\n")
        let parameter = try project.mlops("pipeline", "run", "pipelines/p.yaml", "--since", "HEAD")
        #expect(parameter.error.contains("2 of 3 stages are touched"), "\(parameter.all)")
        #expect(try project.mlops("pipeline", "run", "pipelines/p.yaml", "--since", "no-such").exitCode == 1)
    }

    @Test func reportsAreWrittenAlsoOfARunThatFails() throws {
        let project = try Project()
        try project.folder.write(
            "p.yaml", "version: 1\nname: bad\nstages:\n  bad:\n    run: sh -c 'echo \"::error::no\"; exit 3'\n")
        try project.folder.write("summary.md", "before\n")
        let result = try Program.mlops(
            ["pipeline", "run", "p.yaml", "--report", "junit=out/j.xml,github,gitlab=out,json=out/run.json"],
            in: project.path, environment: ["GITHUB_STEP_SUMMARY": project.folder("summary.md")])
        #expect(result.exitCode == 1, "\(result.all)")
        #expect(result.output.contains("::error file="), "\(result.all)")
        #expect(result.error.contains("::stop-commands::"))
        #expect(try FileSystem.readText(project.folder("summary.md")).hasPrefix("before\n### ❌ bad"))
        #expect(try FileSystem.readText(project.folder("out/j.xml")).contains("<failure"))
        #expect(try FileSystem.readText(project.folder("out/metrics.txt")).hasSuffix("# EOF\n"))
        let comment = try project.mlops("pipeline", "comment", "out/run.json")
        #expect(comment.output.hasPrefix("<!-- mlops:bad -->\n"), "\(comment.all)")
    }
}
