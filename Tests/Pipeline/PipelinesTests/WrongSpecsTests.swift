import Basics
import Foundation
import TestSupport
import Testing

@testable import Pipelines

/// Each wrong spec with all its messages, compared with `Tests/Fixtures/pipelines/wrong-specs.txt`.
struct WrongSpecsTests {
    /// A spec whose only stage is `a`, with these lines.
    private static func stage(_ lines: String...) -> String {
        "version: 1\nname: p\nparams: [params.yaml]\nstages:\n  a:\n" + lines.map { "    \($0)\n" }.joined()
    }

    private static func stages(_ lines: String...) -> String {
        "version: 1\nname: p\nstages:\n" + lines.map { "  \($0)\n" }.joined()
    }

    static let specs: [(String, String)] = [
        ("a list instead of a map", "- a\n"),
        ("an empty file", ""),
        ("an unknown key", "version: 1\nname: p\nstage:\n  a: { run: x }\nstages: { a: { run: x } }\n"),
        ("no version", "name: p\nstages: { a: { run: x } }\n"),
        ("version 2", "version: 2\nname: p\nstages: { a: { run: x } }\n"),
        ("version as text", "version: \"1\"\nname: p\nstages: { a: { run: x } }\n"),
        ("no name", "version: 1\nstages: { a: { run: x } }\n"),
        ("a name with a slash", "version: 1\nname: a/b\nstages: { a: { run: x } }\n"),
        ("no stages", "version: 1\nname: p\n"),
        ("stages is empty", "version: 1\nname: p\nstages: {}\n"),
        ("stages is a list", "version: 1\nname: p\nstages:\n  - run: x\n"),
        ("a stage is a text", stages("a: echo hi")),
        ("a stage's name with a dot", stages("a.b: { run: x }")),
        ("a reserved name", stages("energy: { run: x }")),
        ("an unknown key of a stage", stage("run: x", "dep: [data]")),
        ("a key far from all others", stage("run: x", "colour: red")),
        ("a matrix of scalars", stage("run: x", "matrix: { seed: 1 }")),
        ("neither run nor uses", stage("deps: [data]")),
        ("both run and uses", stage("run: x", "uses: train")),
        ("with beside run", stage("run: x", "with: { a: 1 }")),
        ("run is a map", stage("run: { a: 1 }")),
        ("run is an empty list", stage("run: []")),
        ("run is blank", stage("run: \"  \"")),
        ("an argument is a list", stage("run: [echo, [1]]")),
        ("an argument is null", stage("run: [echo, ~]")),
        ("an unknown step", stage("uses: trian")),
        ("a step far from all others", stage("uses: bake")),
        ("a missing parameter of a step", stage("uses: train")),
        ("an unknown parameter of a step", stage("uses: train", "with: { recipe: tabular/mlp, epoch: 3 }")),
        ("a text for a whole number", stage("uses: train", "with: { recipe: tabular/mlp, epochs: three }")),
        ("a fraction for a whole number", stage("uses: train", "with: { recipe: tabular/mlp, epochs: 2.5 }")),
        ("a number for a text", stage("uses: train", "with: { recipe: 5 }")),
        ("yes for a bool", stage("uses: train", "with: { recipe: tabular/mlp, shuffle: yes }")),
        ("a map for a list", stage("uses: train", "with: { recipe: tabular/mlp, layers: { a: 1 } }")),
        ("a list for a map", stage("uses: train", "with: { recipe: tabular/mlp, optimizer: [adam] }")),
        ("infinity for a number", stage("uses: train", "with: { recipe: tabular/mlp, lr: .inf }")),
        ("not one of the choices", stage("uses: train", "with: { recipe: tabular/mpl }")),
        ("with is a list", stage("uses: train", "with: [a]")),
        ("a parameter of the wrong type", stage("uses: train", "with: { recipe: \"${params.train.lr}\" }")),
        ("an absolute path", stage("run: x", "deps: [/etc/passwd]")),
        ("a path that leaves", stage("run: x", "outs: [a/../../b]")),
        ("a path into .git", stage("run: x", "outs: [.git/hooks/pre-commit]")),
        ("an empty path", stage("run: x", "deps: [\"\"]")),
        ("a path twice", stage("run: x", "deps: [a, a]")),
        ("deps is a text", stage("run: x", "deps: data")),
        ("a dep is a number", stage("run: x", "deps: [1]")),
        ("two writers", stages("a: { run: x, outs: [build/m] }", "b: { run: y, outs: [build/m] }")),
        (
            "a writer inside another's folder",
            stages("a: { run: x, outs: [build] }", "b: { run: y, metrics: [build/m.json] }")
        ),
        ("a writer around another's file", stages("a: { run: x, outs: [build/x/m] }", "b: { run: y, outs: [build] }")),
        ("an output inside the stage's own", stages("a: { run: x, outs: [build, build/m] }")),
        ("reading what it writes", stages("a: { run: x, deps: [build/m], outs: [build] }")),
        ("needs an unknown stage", stages("train: { run: x }", "b: { run: y, needs: [trian] }")),
        ("needs itself", stages("a: { run: x, needs: [a] }")),
        (
            "a step needs an unknown stage",
            stages("a: { uses: gate, with: { rules: [ { metric: tset.accuracy } ] } }", "test: { run: x }")
        ),
        (
            "a cycle by name",
            stages("a: { run: x, needs: [c] }", "b: { run: x, needs: [a] }", "c: { run: x, needs: [b] }")
        ),
        (
            "a cycle by outputs",
            stages(
                "z: { run: x }", "a: { run: x, deps: [two], outs: [one] }", "b: { run: x, deps: [one], outs: [two] }")
        ),
        ("an unknown parameter", stage("run: [x, \"${params.train.lrr}\"]")),
        ("a parameter far from all others", stage("run: [x, \"${params.zebra}\"]")),
        ("an unknown reference", stage("run: [x, \"${git.brnch}\"]")),
        ("a shell variable", stage("run: echo ${HOME}")),
        ("an unset environment variable", stage("run: [x, \"${env.NOT_SET_ANYWHERE}\"]")),
        ("an unclosed reference", stage("run: \"echo ${params.train\"")),
        ("a map inside a text", stage("run: [x, \"--train=${params.train}\"]")),
        ("a value that the shell would run", stage("run: echo ${params.evil}")),
        ("a list in a shell line", stage("run: echo ${params.seeds}")),
        ("a parameter named that is not there", stage("run: x", "params: [train.epoch]")),
        ("a missing parameter file", "version: 1\nname: p\nparams: [parms.yaml]\nstages: { a: { run: x } }\n"),
        ("a parameter file outside", "version: 1\nname: p\nparams: [../params.yaml]\nstages: { a: { run: x } }\n"),
        ("a parameter twice", "version: 1\nname: p\nparams: [params.yaml, more.json]\nstages: { a: { run: x } }\n"),
        ("a broken JSON parameter file", "version: 1\nname: p\nparams: [broken.json]\nstages: { a: { run: x } }\n"),
        ("a timeout without a number", stage("run: x", "timeout: soon")),
        ("a timeout of zero", stage("run: x", "timeout: 0")),
        ("an endless timeout", stage("run: x", "timeout: 1e400")),
        ("a variable's name with a dash", stage("run: x", "env: { A-B: 1 }")),
        ("a variable that loads code", stage("run: x", "env: { LD_PRELOAD: evil.so }")),
        ("a variable of our own", stage("run: x", "env: [MLOPS_FAILPOINT]")),
        ("a variable that is a list", stage("run: x", "env: { A: [1] }")),
        ("env is a text", stage("run: x", "env: A=1")),
        (
            "several errors",
            stage("uses: train", "with: { recipe: tabular/mlp, epoch: 3 }", "outs: [/x]", "timeout: soon", "retry: 1")
        ),
    ]

    @Test func everyWrongSpecHasItsMessages() throws {
        var lines: [String] = []
        for (title, spec) in WrongSpecsTests.specs {
            let bench = try Bench(spec)
            try bench.folder.write("params.yaml", "train: { lr: 0.1, epochs: 3 }\nseeds: [1, 2]\nevil: $(rm -rf /)\n")
            try bench.folder.write("more.json", "{\"train\": {\"lr\": 0.2}}")
            try bench.folder.write("broken.json", "{\"a\": }")
            let errors = try Pipeline.lint(bench.source())
            #expect(!errors.isEmpty, "\(title)")
            #expect(throws: MLOpsError.self, "\(title)") { try bench.load() }
            lines.append("# \(title)")
            for error in errors {
                #expect(error.kind == .usage, "\(title)")
                lines.append("error: \(error)")
                if let hint = error.hint { lines.append("hint: \(hint)") }
            }
            lines.append("")
        }
        try expectSnapshot(lines.joined(separator: "\n"), "wrong-specs.txt")
    }

    @Test func loadingTellsTheFirstErrorAndHowManyMoreThereAre() throws {
        let bench = try Bench("version: 1\nname: p\nstages:\n  a: { run: x, dep: [y], outs: [/z] }\n")
        #expect {
            try bench.load()
        } throws: {
            let error = $0 as? MLOpsError
            return error?.description == "pipeline.yaml:4:16: unknown key `dep` in stage `a`"
                && error?.hint == "did you mean `deps`? (`mlops pipeline lint` shows 1 more error)"
        }
    }

    @Test(
        arguments: [
            ("train.lrr=1", "the parameter `train.lrr` does not exist", "did you mean `train.lr`?"),
            (
                "train=1", "the parameter `train` is a map and cannot become the number `1`",
                "set one of its keys, such as `--set train.lr=…`"
            ),
            ("novalue", "`--set novalue` is not `<parameter>=<value>`", "write for example `--set train.epochs=3`"),
            ("train.lr=[1", nil, nil),
        ] as [(String, String?, String?)])
    func aWrongOverrideIsTold(_ override: String, _ message: String?, _ hint: String?) throws {
        let bench = try Bench("version: 1\nname: p\nparams: [params.yaml]\nstages: { a: { run: x } }\n")
        try bench.folder.write("params.yaml", "train: { lr: 0.1 }\n")
        #expect {
            try bench.load(set: [override])
        } throws: {
            let error = $0 as? MLOpsError
            return error?.kind == .usage && (message == nil || (error?.description == message && error?.hint == hint))
        }
    }

    @Test func aMissingPipelineIsTold() throws {
        let bench = try Bench()
        #expect {
            try bench.load()
        } throws: {
            ($0 as? MLOpsError)?.description == "the pipeline `pipeline.yaml` does not exist"
        }
    }

    @Test func aHugePipelineIsRefusedUnread() throws {
        let bench = try Bench("version: 1\n")
        let handle = try #require(FileHandle(forWritingAtPath: bench.folder("pipeline.yaml")))
        try handle.truncate(atOffset: 100 << 20)
        let start = ContinuousClock.now
        #expect {
            try bench.load()
        } throws: {
            "\($0)" == "`pipeline.yaml` is 100.0 MiB long, the limit is 1.0 MiB"
        }
        #expect(ContinuousClock.now - start < .milliseconds(100))
    }
}

/// Compares with a file of `Tests/Fixtures/pipelines`; `RECORD_SNAPSHOTS=1` rewrites it.
func expectSnapshot(_ text: String, _ name: String, _ location: Testing.SourceLocation = #_sourceLocation) throws {
    let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    let path = tests.appending(path: "Fixtures/pipelines/\(name)").path()
    if ProcessInfo.processInfo.environment["RECORD_SNAPSHOTS"] == "1" {
        try FileSystem.createDirectories(FileSystem.parent(of: path))
        try FileSystem.replace(path, with: Array(text.utf8))
    }
    let expected = try FileSystem.readText(path).split(separator: "\n", omittingEmptySubsequences: false)
    let given = text.split(separator: "\n", omittingEmptySubsequences: false)
    for (line, (left, right)) in zip(expected, given).enumerated() where left != right {
        Issue.record("\(name):\(line + 1): expected `\(left)`, got `\(right)`", sourceLocation: location)
        return
    }
    #expect(expected.count == given.count, "\(name) has another length", sourceLocation: location)
}
