import Basics
import Foundation
import TestSupport
import Testing

/// Pipelines of commands, as people run them.
@Suite struct PipelineTests {
    private func project(_ spec: String) throws -> Project {
        let project = try Project()
        try project.folder.write("pipelines/p.yaml", spec)
        return project
    }

    private static let chain = """
        version: 1
        name: chain
        params: [params.yaml]
        stages:
          first:
            run: sh -c 'echo ${params.first} > one.txt; echo ran >> first.log'
            outs: [one.txt]
          second:
            run: sh -c 'cat one.txt > two.txt; echo ${params.second} >> two.txt; echo ran >> second.log'
            deps: [one.txt]
            outs: [two.txt]
        """

    @Test func aSecondRunIsAllCacheHitsAndAParameterRerunsOnlyWhatNeedsIt() throws {
        let project = try project(PipelineTests.chain)
        try project.folder.write("params.yaml", "first: 1\nsecond: 2\n")
        try project.mlops("pipeline", "run", "pipelines/p.yaml").expectSuccess()
        let again = try project.mlops("pipeline", "run", "pipelines/p.yaml")
        #expect(again.output.contains("0 ran, 2 cached"), "\(again.all)")
        let changed = try project.mlops("pipeline", "run", "pipelines/p.yaml", "--set", "second=3")
        #expect(changed.output.contains("1 ran, 1 cached"), "\(changed.all)")
        #expect(try FileSystem.readText(project.folder("first.log")) == "ran\n")
        #expect(try FileSystem.readText(project.folder("second.log")) == "ran\nran\n")
        let back = try project.mlops("pipeline", "run", "pipelines/p.yaml")
        #expect(back.output.contains("0 ran, 2 cached"), "what was made before comes back from the store: \(back.all)")
        #expect(try FileSystem.readText(project.folder("two.txt")) == "1\n2\n")
    }

    @Test func aLostOutputIsRestoredWithoutRunning() throws {
        let project = try project(PipelineTests.chain)
        try project.folder.write("params.yaml", "first: 1\nsecond: 2\n")
        try project.mlops("pipeline", "run", "pipelines/p.yaml").expectSuccess()
        try FileSystem.removeFile(project.folder("one.txt"))
        let result = try project.mlops("pipeline", "run", "pipelines/p.yaml")
        #expect(result.output.contains("0 ran, 2 cached"), "\(result.all)")
        #expect(try FileSystem.readText(project.folder("one.txt")) == "1\n")
    }

    @Test func ofSeveralFailuresEachIsTold() throws {
        let project = try project(
            """
            version: 1
            name: failures
            stages:
              first: { run: exit 3 }
              second: { run: "true", outs: [none.txt] }
              third: { run: sleep 60, timeout: 1 }
            """)
        let result = try project.mlops("pipeline", "run", "pipelines/p.yaml", "--keep-going", "--jobs", "1")
        let told = result.error.split(separator: "\n").filter { $0.hasPrefix("error: ") }
        #expect(
            told == [
                "error: pipelines/p.yaml:5:3: stage `second` ended without writing `none.txt`",
                "error: pipelines/p.yaml:6:3: stage `third` ran longer than its timeout of 1.00 s",
                "error: pipelines/p.yaml:4:3: stage `first` failed with exit code 3",
            ], "\(result.all)")
        #expect(result.exitCode == 1)
    }

    @Test func whatAStagePrintsIsNoCommandOfGitHub() throws {
        let project = try project(
            """
            version: 1
            name: talkative
            stages:
              a: { run: "echo ::set-output name=a::b; echo '  ##[error]x'; echo '::error::y'; exit 3" }
              b: { run: "echo ::add-mask::z; exit 4" }
            """)
        let result = try project.mlops("pipeline", "run", "pipelines/p.yaml", "--keep-going", "--report", "github")
        let lines = result.error.split(separator: "\n").map { $0.drop { $0 == " " } }
        let last = try #require(lines.lastIndex { $0.hasPrefix("::mlops-") }, "\(result.all)")
        #expect(lines[..<last].contains { $0.hasPrefix("::stop-commands::") })
        #expect(lines[last...].contains { $0.contains("name=a::b") }, "the hint has the end of the log")
        #expect(lines[(last + 1)...].allSatisfy { !$0.hasPrefix("::") && !$0.contains("##[") }, "\(result.error)")
    }

    @Test func aGateThatRefusesEndsWithFourAndStopsWhatNeedsIt() throws {
        let project = try project(
            """
            version: 1
            name: gated
            stages:
              test:
                run: sh -c 'echo "{\\"accuracy\\":0.8}" > test.json'
                metrics: [test.json]
              gate:
                uses: gate
                with:
                  rules: [{ metric: test.accuracy, min: 0.99 }]
                  report: gate.json
              after:
                run: touch promoted
                needs: [gate]
                outs: [promoted]
            """)
        let result = try project.mlops("pipeline", "run", "pipelines/p.yaml", "--report", "github,json=run.json")
        #expect(result.exitCode == 4, "\(result.all)")
        #expect(result.output.contains("::error file=pipelines/p.yaml,line=7,"), "the gate's own line: \(result.all)")
        #expect(result.error.contains("test.accuracy") && result.error.contains("0.8") && result.error.contains("0.99"))
        #expect(!FileSystem.exists(project.folder("promoted")))
        let report = try JSONValue(parsing: try project.folder.read("gate.json"), source: "gate.json")
        #expect(report["passed"] == false)
    }

    @Test func statusGraphAndLintRunNothing() throws {
        let project = try project(PipelineTests.chain)
        try project.folder.write("params.yaml", "first: 1\nsecond: 2\n")
        let status = try project.mlops("pipeline", "status", "pipelines/p.yaml")
        #expect(status.exitCode == 0 && status.output.contains("would run  first"), "\(status.all)")
        let graph = try project.mlops("pipeline", "graph", "pipelines/p.yaml", "--format", "mermaid")
        #expect(graph.output.contains("first") && graph.output.contains("-->"), "\(graph.all)")
        try project.mlops("pipeline", "lint", "pipelines/p.yaml").expectSuccess()
        #expect(!FileSystem.exists(project.folder("one.txt")))
    }

    @Test func jsonIsOneEventALine() throws {
        let project = try project(PipelineTests.chain)
        try project.folder.write("params.yaml", "first: 1\nsecond: 2\n")
        let result = try project.mlops("pipeline", "run", "pipelines/p.yaml", "--json")
        let events = try result.output.split(separator: "\n").map {
            try JSONValue(parsing: Array($0.utf8), source: "line")["event"]?.string
        }
        #expect(events.first == "runStarted" && events.last == "runFinished", "\(result.all)")
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGKILL])
    func nothingOfAStoppedRunStaysBehind(_ signal: Int32) throws {
        let marker = "86399.\(Int.random(in: 100_000...999_999))"
        let project = try project(
            """
            version: 1
            name: long
            stages:
              wait:
                run: setsid sleep \(marker) & sleep \(marker)
                outs: [never]
            """)
        let process = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        try Program.wait("the stage starts") { try Program.processes(naming: marker).count >= 2 }
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        #expect(process.terminationStatus == (signal == SIGKILL ? SIGKILL : 128 + signal))
        try Program.wait("nothing is left") { try Program.processes(naming: marker).isEmpty }
        let run = try #require(try FileSystem.list(project.folder(".mlops/runs")).first)
        let record = try JSONValue(
            parsing: try project.folder.read(".mlops/runs/\(run)/run.json"), source: "run.json")
        #expect(record["outcome"] == (signal == SIGKILL ? nil : "interrupted"))
    }

    /// Ctrl-C in a terminal goes to every process of the group.
    @Test func afterCtrlCTheNextRunGoesOn() throws {
        let marker = "86398.\(Int.random(in: 100_000...999_999))"
        let project = try project(
            """
            version: 1
            name: long
            stages:
              first:
                run: echo 1 > one.txt; echo ran >> first.log
                outs: [one.txt]
              second:
                run: "[ -e go ] || { setsid sleep \(marker) & sleep \(marker); }; cat one.txt > two.txt"
                deps: [one.txt]
                outs: [two.txt]
              third:
                run: cat two.txt > three.txt
                deps: [two.txt]
                outs: [three.txt]
            """)
        let process = try Program.start(["pipeline", "run", "pipelines/p.yaml"], in: project.path)
        try Program.wait("the second stage starts") { try Program.processes(naming: marker).count >= 2 }
        kill(-process.processIdentifier, SIGINT)
        process.waitUntilExit()
        #expect(process.terminationStatus == 130)
        try Program.wait("nothing is left") { try Program.processes(naming: marker).isEmpty }
        let record = try project.mlops("run", "show", "latest", "--json").json()
        #expect(record["outcome"] == "interrupted" && record["exitCode"] == 130, "\(record)")
        let states = (record["stages"]?.array ?? []).compactMap { $0["state"]?.string }
        #expect(states == ["succeeded", "interrupted", "skipped"], "\(states)")
        #expect(!FileSystem.exists(project.folder("two.txt")))
        try project.folder.write("go", "")
        let next = try project.mlops("pipeline", "run", "pipelines/p.yaml")
        #expect(next.exitCode == 0 && next.output.contains("2 ran, 1 cached"), "\(next.all)")
        #expect(try FileSystem.readText(project.folder("first.log")) == "ran\n")
        #expect(try FileSystem.readText(project.folder("three.txt")) == "1\n")
    }
}
