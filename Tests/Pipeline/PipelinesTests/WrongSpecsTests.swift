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
        ("a matrix that is a list", stage("run: x", "matrix: [1, 2]")),
        ("a matrix without combinations", stage("run: x", "matrix: { seed: [] }")),
        ("a matrix that is excluded", stage("run: x", "matrix: { seed: [1], exclude: [ { seed: 1 } ] }")),
        ("an exclude of an unknown key", stage("run: x", "matrix: { seed: [1], exclude: [ { sed: 1 } ] }")),
        ("a huge matrix", stage("run: x", "matrix: { a: ${params.many}, b: ${params.many}, c: ${params.many} }")),
        ("equal values of a matrix", stage("run: x", "matrix: { seed: [1, \"1\"] }")),
        ("an unknown key of the matrix", stage("run: [x, \"${matrix.sed}\"]", "matrix: { seed: [1] }")),
        ("a matrix reference without a matrix", stage("run: [x, \"${matrix.seed}\"]")),
        ("equal outputs of a matrix", stage("run: x", "matrix: { seed: [1, 2] }", "outs: [build/m]")),
        ("foreach over a text", stage("run: x", "foreach: a")),
        ("foreach over nothing", stage("run: x", "foreach: []")),
        ("an item without foreach", stage("run: [x, \"${item}\"]")),
        ("an unknown value of the item", stage("run: [x, \"${item.epoch}\"]", "foreach: [ { epochs: 3 } ]")),
        ("a key where foreach is a list", stage("run: [x, \"${key}\"]", "foreach: [a]")),
        ("matrix and foreach", stage("run: x", "matrix: { a: [1] }", "foreach: [1]")),
        ("a condition that is a list", stage("run: x", "if: [a]")),
        ("a condition without quotes", stage("run: x", "if: ${git.branch} == main")),
        ("a condition with one equals sign", stage("run: x", "if: ${git.branch} = 'main'")),
        ("a condition that ends early", stage("run: x", "if: ${git.branch} ==")),
        ("a condition of mixed types", stage("run: x", "if: ${params.train.epochs} == '3'")),
        ("a condition that is a number", stage("run: x", "if: ${params.train.epochs}")),
        ("a condition on an unknown parameter", stage("run: x", "if: ${params.train.epoch} == 3")),
        ("a condition with an open bracket", stage("run: x", "if: (${git.dirty}")),
        ("a condition on a map", stage("run: x", "if: ${params.train} == 3")),
        ("retries as a text", stage("run: x", "retries: often")),
        ("retries without a number", stage("run: x", "retries: { on: [timeout] }")),
        ("too many retries", stage("run: x", "retries: 1000")),
        ("an unknown cause of retries", stage("run: x", "retries: { max: 1, on: [timout] }")),
        ("a code that is success", stage("run: x", "retries: { max: 1, on: [0] }")),
        ("a backoff below 1", stage("run: x", "retries: { max: 1, backoff: 0.5 }")),
        ("an unknown key of retries", stage("run: x", "retries: { max: 1, dealy: 3s }")),
        ("resources as a number", stage("run: x", "resources: 2")),
        ("no processors", stage("run: x", "resources: { cpus: 0 }")),
        ("memory without a number", stage("run: x", "resources: { memory: much }")),
        ("a misspelt resource", stage("run: x", "resources: { memroy: 1GiB }")),
        ("a resource that nobody has", stage("run: x", "resources: { licence: 1 }")),
        (
            "more than there is",
            "version: 1\nname: p\nresources: { cpus: 2, memory: 1GiB }\nstages:\n"
                + "  a: { run: x, resources: { cpus: 4, memory: 2GiB } }\n"
        ),
        ("an unknown executor", stage("run: x", "executor: slrum")),
        ("an unknown option of an executor", stage("run: x", "executor: { slurm: { partion: gpu } }")),
        ("an option of the wrong type", stage("run: x", "executor: { slurm: { partition: 1 } }")),
        ("an executor as a list", stage("run: x", "executor: [slurm]")),
        ("an image with a space", stage("run: x", "image: \"python 3\"")),
        ("a secret with a dash", stage("run: x", "secrets: [HF-TOKEN]")),
        ("a secret in env", stage("run: x", "secrets: [HF_TOKEN]", "env: [HF_TOKEN]")),
        ("a secret in a command", stage("run: [x, \"${env.HF_TOKEN}\"]", "secrets: [HF_TOKEN]")),
        ("a reference to a secret", stage("run: [x, \"${secrets.HF_TOKEN}\"]")),
        ("secrets of a pipeline as a list", "version: 1\nname: p\nsecrets: [A]\nstages: { a: { run: x } }\n"),
        ("always as a text", stage("run: x", "always: yes")),
        ("frozen and always changed", stage("run: x", "frozen: true", "always_changed: true")),
        ("an unknown option of an output", stage("run: x", "outs: [ { path: a, cahce: false } ]")),
        ("an output without a path", stage("run: x", "outs: [ { cache: false } ]")),
        ("a dep with options", stage("run: x", "deps: [ { path: a } ]")),
        ("needs an unknown output", stages("a: { run: x, outs: [build/m] }", "b: { run: y, needs: [build/n] }")),
        ("needs an unknown variant", stages("a: { run: x, matrix: { s: [1] } }", "b: { run: y, needs: [a@s=2] }")),
        ("includes a missing file", "version: 1\nname: p\ninclude: [otherr.yaml]\nstages: { b: { run: x } }\n"),
        ("includes itself", "version: 1\nname: p\ninclude: [pipeline.yaml]\nstages: { b: { run: x } }\n"),
        ("includes a cycle", "version: 1\nname: p\ninclude: [circle.yaml]\nstages: { b: { run: x } }\n"),
        ("includes a file outside", "version: 1\nname: p\ninclude: [../x.yaml]\nstages: { b: { run: x } }\n"),
        ("a stage in two files", "version: 1\nname: p\ninclude: [other.yaml]\nstages: { a: { run: x } }\n"),
        (
            "an error in an included file",
            "version: 1\nname: p\ninclude: [wrong.yaml]\nstages: { b: { run: x } }\n"
        ),
        (
            "several errors",
            stage("uses: train", "with: { recipe: tabular/mlp, epoch: 3 }", "outs: [/x]", "timeout: soon", "retry: 1")
        ),
    ]

    @Test func everyWrongSpecHasItsMessages() throws {
        var lines: [String] = []
        for (title, spec) in WrongSpecsTests.specs {
            let bench = try Bench(spec)
            try bench.folder.write(
                "params.yaml",
                "train: { lr: 0.1, epochs: 3 }\nseeds: [1, 2]\nevil: $(rm -rf /)\n"
                    + "many: [\((0..<50).map(String.init).joined(separator: ", "))]\n")
            try bench.folder.write("other.yaml", "version: 1\nstages: { a: { run: x } }\n")
            try bench.folder.write("circle.yaml", "version: 1\ninclude: [pipeline.yaml]\n")
            try bench.folder.write("wrong.yaml", "version: 1\nstages:\n  c: { run: x, dep: [a] }\n")
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
        try bench.folder.write(
            "params.yaml",
            "train: { lr: 0.1 }\n")
        #expect {
            try bench.load(set: [override])
        } throws: {
            let error = $0 as? MLOpsError
            return error?.kind == .usage && (message == nil || (error?.description == message && error?.hint == hint))
        }
    }

    @Test func ofThousandsOfUnknownKeysAHundredAreNamed() throws {
        let keys = (0..<3000).map { "key\($0): 1\n" }.joined()
        let bench = try Bench("version: 1\nname: p\nstages: { a: { run: x } }\n" + keys)
        let errors = try Pipeline.lint(bench.source())
        #expect(errors.count == 101)
        #expect(errors.first?.description == "pipeline.yaml:4:1: unknown key `key0` in a pipeline")
        #expect(errors.last?.description == "pipeline.yaml:104:1: 2900 more unknown keys in a pipeline")
    }

    @Test(arguments: ["rn: x", "run: x, outs: [/x]"])
    func aFileOfErrorsIsReadUntilThereAreAThousand(_ stage: String) throws {
        let stages = (0..<5000).map { "  s\($0): { \(stage) }\n" }.joined()
        let bench = try Bench("version: 1\nname: p\nstages:\n" + stages)
        let errors = try Pipeline.lint(bench.source())
        #expect((1001...1002).contains(errors.count), "\(errors.count)")
        #expect(errors.last?.message.hasPrefix("what follows was not checked") == true)
        #expect(errors.first?.location?.line == 4)
    }

    @Test(arguments: ["outs: [", "deps: [", "env: [", "needs: [", "params: [", "secrets: ["])
    func aListOfErrorsIsReadUntilThereAreAThousand(_ list: String) throws {
        let items = (0..<5000).map { "\"../\($0)\"" }.joined(separator: ", ")
        let bench = try Bench("version: 1\nname: p\nstages:\n  a: { run: x, \(list)\(items)] }\n")
        let errors = try Pipeline.lint(bench.source())
        #expect((1000...1002).contains(errors.count), "\(errors.count)")
    }

    @Test(
        arguments: [
            ("params", "there are 5000 parameter files, the limit is 200"),
            ("include", "more than 200 files are included, or deeper than 16"),
        ])
    func thousandsOfFilesAreNotLookedFor(_ key: String, _ message: String) throws {
        let names = (0..<5000).map { "p\($0).yaml" }.joined(separator: ", ")
        let bench = try Bench("version: 1\nname: p\n\(key): [\(names)]\nstages: { a: { run: x } }\n")
        #expect(try Pipeline.lint(bench.source()).map(\.message) == [message])
    }

    @Test func aMissingPipelineIsTold() throws {
        let bench = try Bench()
        #expect {
            try bench.load()
        } throws: {
            ($0 as? MLOpsError)?.description == "the pipeline `pipeline.yaml` does not exist"
        }
    }

    /// Nobody reads a tebibyte within the limit.
    @Test(.timeLimit(.minutes(1))) func aHugePipelineIsRefusedUnread() throws {
        let bench = try Bench("version: 1\n")
        let handle = try #require(FileHandle(forWritingAtPath: bench.folder("pipeline.yaml")))
        try handle.truncate(atOffset: 1 << 40)
        #expect {
            try bench.load()
        } throws: {
            "\($0)" == "`pipeline.yaml` is 1.0 TiB long, the limit is 1.0 MiB"
        }
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
