import Basics
import Foundation
import TestSupport
import Testing

@testable import Pipelines

/// `dvc.yaml` files become pipelines that load and run; see `Tests/Fixtures/pipelines/dvc`.
@Suite struct DVCPipelineImportTests {
    /// A bench with a fixture's files, and a `python` that runs stand-ins as shell scripts.
    private func bench(_ fixture: String) throws -> Bench {
        let bench = try Bench()
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let folder = tests.appending(path: "Fixtures/pipelines/dvc/\(fixture)").path()
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
            let path = FileSystem.join(folder, name)
            if !FileSystem.isDirectory(path) { try bench.folder.write(name, try FileSystem.readText(path)) }
        }
        try bench.folder.write("bin/python", "#!/bin/sh\nexec /bin/sh \"$@\"\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: bench.folder("bin/python"))
        return bench
    }

    /// Makes what no stage of the pipeline writes, and a `python` that writes what each stage should; JSON files hold a metric.
    private func standIns(_ bench: Bench, _ pipeline: Pipeline) throws {
        let outputs = pipeline.stages.flatMap { $0.outputs.map(\.path) }
        let deps = pipeline.stages.flatMap { $0.deps.map(\.path) }
        var script = "#!/bin/sh\nwrite() {\n  mkdir -p \"$(dirname \"$1\")\"\n  case $1 in\n"
        script += "    *.json) echo '{\"value\": 1}' > \"$1\" ;;\n    *) echo \"$MLOPS_STAGE\" > \"$1\" ;;\n  esac\n}\n"
        script += "case $MLOPS_STAGE in\n"
        for stage in pipeline.stages {
            let own = stage.outs.map(\.path) + stage.metrics.map(\.path)
            let inside = deps.filter { dep in own.contains { dep.hasPrefix($0 + "/") } }
            let files = (own + inside).map { FileSystem.name(of: $0).contains(".") ? $0 : $0 + "/part" }
            script += "  '\(stage.name)')\n" + files.map { "    write '\($0)'\n" }.joined() + "    ;;\n"
        }
        let python = bench.folder("bin/python")
        try bench.folder.write("bin/python", script + "esac\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: python)
        for dep in deps where !FileSystem.exists(bench.folder(dep)) {
            if outputs.contains(where: { $0 == dep || $0.hasPrefix(dep + "/") || dep.hasPrefix($0 + "/") }) { continue }
            try bench.folder.write(FileSystem.name(of: dep).contains(".") ? dep : dep + "/part", "of the project\n")
        }
    }

    private func imported(_ bench: Bench, _ file: String = "dvc.yaml") throws -> DVCPipelineImport {
        let result = try DVCPipelineImport.read(
            file, root: bench.folder.path, name: "imported", variablesFile: "pipeline.vars.yaml")
        try bench.folder.write("pipeline.yaml", result.text)
        if let variables = result.variables { try bench.folder.write("pipeline.vars.yaml", variables) }
        return result
    }

    private func run(_ bench: Bench) async throws -> RunReport {
        var source = bench.source()
        source.environment["PATH"] = bench.folder("bin") + ":/usr/bin:/bin"
        let options = RunOptions(jobs: 2)
        let runner = PipelineRunner(
            try Pipeline.load(source), store: bench.store, meter: FakeMeter(), options: options,
            executable: bench.folder("fake-mlops"))
        let report = try await runner.run()
        for stage in report.stages {
            #expect(stage.state == .succeeded, "\(stage.name): \(stage.error?.description ?? "")")
        }
        return report
    }

    private func snapshot(_ result: DVCPipelineImport, _ name: String) throws {
        var text = result.text
        if let variables = result.variables { text += "--- variables\n" + variables }
        text += "--- remarks\n"
        for remark in result.remarks {
            text += "\(remark.isFailure ? "failed" : "note") \(remark.location): \(remark.message)\n"
            if let hint = remark.hint { text += "  hint: \(hint)\n" }
        }
        try expectSnapshot(text, "dvc-\(name).txt")
    }

    @Test func aProjectOfPlainStagesIsImportedAndRuns() async throws {
        let bench = try bench("stages")
        try bench.folder.write("data/data.txt", "a b c\n")
        try bench.folder.write("src/prepare.py", "mkdir -p data/prepared; cp $1 data/prepared/train.txt\n")
        try bench.folder.write("src/featurize.py", "mkdir -p $2; wc -w < $1/train.txt > $2/count\n")
        try bench.folder.write("src/train.py", "cat $1/count > $2\n")
        try bench.folder.write(
            "src/evaluate.py", "echo '{\"auc\": 0.9}' > eval/metrics.json; echo '[]' > eval/roc.json; echo fine\n")
        let result = try imported(bench)
        try snapshot(result, "stages")
        #expect(result.failureCount == 0)
        let report = try await run(bench)
        #expect(report.stages.map(\.name) == ["prepare", "featurize", "train", "evaluate"])
        #expect(report.metrics["evaluate"]?["auc"] == .double(0.9))
        let again = try await run(bench)
        #expect(again.cachedCount == 4)
    }

    @Test func aProjectOfLoopsAndVariablesIsImportedAndRuns() async throws {
        let bench = try bench("loops")
        try bench.folder.write("load.py", "echo $2 > $3\n")
        try bench.folder.write("train.py", "mkdir -p $3; echo \"$*\" > $3/$1-$2\n")
        try bench.folder.write(
            "check.py", "mkdir -p reports; echo \"{\\\"text\\\": \\\"$2 $3 $4\\\"}\" > reports/$1.json\n")
        try bench.folder.write("collect.py", "echo $1 > summary.csv\n")
        let result = try imported(bench)
        try snapshot(result, "loops")
        #expect(result.failureCount == 0)
        let report = try await run(bench)
        #expect(
            report.stages.map(\.name) == [
                "load", "train@model=cnn,seed=1", "train@model=cnn,seed=2", "train@model=mlp,seed=1",
                "train@model=mlp,seed=2", "check@0", "check@1", "collect",
            ])
        #expect(try bench.text("models/cnn-2") == "cnn 2 models --epochs 3 --verbose --layers 8 16\n")
        #expect(report.metrics["check@0"]?["text"] == "a hello world /tmp")
        let again = try await run(bench)
        #expect(again.cachedCount == 7, "the last one is always changed")
    }

    @Test func aProjectInASubfolderIsImportedAndRunsWithoutWhatLiesOutside() async throws {
        let bench = try bench("folders")
        try bench.folder.write("shared/images.txt", "1\n2\n")
        try bench.folder.write("training/model/keep", "")
        try bench.folder.write("training/src/check.py", "echo a > packages.txt\n")
        try bench.folder.write(
            "training/src/split.py", "mkdir -p data; cp ../shared/images.txt data/train.txt; : > data/test.txt\n")
        try bench.folder.write("training/src/train.py", "cp $1 $2\n")
        try bench.folder.write("training/src/download.py", "echo base > base.txt\n")
        let result = try imported(bench, "training/dvc.yaml")
        try snapshot(result, "folders")
        #expect(result.failureCount == 1)
        #expect(result.stageCount == 4)
        let pipeline = try bench.load()
        #expect(pipeline.stages[3].isFrozen)
        #expect(pipeline.stages[2].outs.map(\.persists) == [false, true])
        #expect(pipeline.graph.upstream[2] == [1])
    }

    @Test func foldersOfResultsAndPathsFromParametersAreImportedAndRun() async throws {
        let bench = try bench("nested")
        let result = try imported(bench)
        try snapshot(result, "nested")
        #expect(result.failureCount == 0)
        try standIns(bench, try bench.load())
        try bench.folder.write("bundle/code/main.py", "")
        let report = try await run(bench)
        #expect(
            report.stages.map(\.name) == [
                "check-packages", "split", "fit", "score@small", "score@customer-1", "summary", "bundle",
            ])
        #expect(report.metrics["split"]?["value"] == 1)
        #expect(report.metrics["summary"]?["value"] == 1)
        try FileSystem.removeTree(bench.folder("results/fit"))
        let again = try await run(bench)
        #expect(again.stages.filter { !$0.isCached }.map(\.name) == ["check-packages"], "it is always changed")
        #expect(FileSystem.exists(bench.folder("results/fit/part")))
    }

    /// Checkouts of projects that use DVC, each in a folder of the one that the variable names.
    private static let projects = ProcessInfo.processInfo.environment["MLOPS_DVC_PROJECTS"]

    @Test(.enabled(if: projects != nil)) func projectsOfOthersAreImportedAndRun() async throws {
        let folder = try #require(DVCPipelineImportTests.projects)
        for name in try FileSystem.list(folder).sorted() {
            let bench = try Bench()
            let project = FileSystem.join(folder, name)
            for path in try FileManager.default.subpathsOfDirectory(atPath: project) where !path.hasPrefix(".") {
                let full = FileSystem.join(project, path)
                if !FileSystem.isDirectory(full) {
                    try bench.folder.write(path, String(decoding: try FileSystem.read(full), as: UTF8.self))
                }
            }
            let result = try imported(bench)
            for remark in result.remarks { print("\(name): \(remark.location): \(remark.message)") }
            #expect(result.failureCount == 0, "\(name)")
            try standIns(bench, try bench.load())
            _ = try await run(bench)
            let again = try await run(bench)
            let pipeline = try bench.load()
            for stage in again.stages where !stage.isCached {
                #expect(try pipeline.stage(stage.name).isAlwaysChanged, "\(name): \(stage.name) ran again")
            }
        }
    }

    @Test func aFileWithoutStagesIsRefused() throws {
        let bench = try Bench()
        try bench.folder.write("dvc.yaml", "plots: [a.json]\n")
        #expect { try imported(bench) } throws: { "\($0)".contains("it has no `stages`") }
    }

    @Test func whatHasNoCounterpartIsToldWithItsLine() throws {
        let bench = try Bench()
        try bench.folder.write(
            "dvc.yaml",
            """
            vars: [settings.toml]
            stages:
              1.a: { cmd: "echo ${nothing}" }
              b: { cmd: echo, deps: [s3://bucket/x, /etc/hosts], outs: [ { o: { remote: r } } ], strange: 1 }
              c: { matrix: { x: [1] }, cmd: "echo ${key}" }
              d: { deps: [x] }
              energy: { cmd: "VAR=1 run.sh" }
            """)
        try snapshot(try imported(bench), "wrong")
    }
}
