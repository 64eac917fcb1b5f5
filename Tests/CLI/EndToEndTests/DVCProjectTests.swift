import Basics
import Foundation
import TestSupport
import Testing

/// Whole projects of DVC, in the shapes that its public examples have, taken over and run.
///
/// Their scripts are stand-ins that write each output from the digest of what they read, so that a stage that ran too early, or
/// on something else, ends with other bytes.
@Suite struct DVCProjectTests {
    struct Sample: CustomStringConvertible, Sendable {
        var name: String
        var spec: String
        var parameters: String
        /// By path of the script: outputs (folders end in `/`), and what it reads.
        var scripts: [String: (outs: [String], deps: [String])]
        var files: [String: String]
        /// The stages in an order that one process at a time can run them in.
        var order: [String]
        /// By stage the outputs that its record names.
        var outs: [String: [String]]

        var description: String { name }
    }

    /// A chain with parameters by key, folders between the stages, and descriptions of artifacts that have no counterpart.
    private static let text = Sample(
        name: "text",
        spec: """
            artifacts:
              posts: { path: data/posts.xml, type: dataset, desc: "Questions, unparsed" }
              classifier: { path: model.bin, type: model, labels: [nlp] }
            stages:
              prepare:
                cmd: sh src/prepare.sh data/posts.xml
                deps:
                - data/posts.xml
                - src/prepare.sh
                params:
                - prepare.seed
                - prepare.split
                outs:
                - data/prepared
              featurize:
                cmd: sh src/featurize.sh data/prepared data/features
                deps: [data/prepared, src/featurize.sh]
                params: [featurize.ngrams]
                outs: [data/features]
              train:
                cmd: sh src/train.sh data/features model.bin
                deps: [data/features, src/train.sh]
                params: [train.trees, train.seed]
                outs: [model.bin]
            """,
        parameters: """
            prepare: { split: 0.20, seed: 20240131 }
            featurize: { ngrams: 2 }
            train: { seed: 20240131, trees: 50 }

            """,
        scripts: [
            "src/prepare.sh": (["data/prepared/"], ["data/posts.xml"]),
            "src/featurize.sh": (["data/features/"], ["data/prepared"]),
            "src/train.sh": (["model.bin"], ["data/features"]),
        ],
        files: ["data/posts.xml": "<posts/>\n"], order: ["prepare", "featurize", "train"],
        outs: ["prepare": ["data/prepared"], "featurize": ["data/features"], "train": ["model.bin"]])

    /// Metrics, plots and parameters above the stages, several outputs a stage, and a command of several lines and programs.
    private static let pictures = Sample(
        name: "pictures",
        spec: """
            params:
            - results/train/params.yaml
            metrics:
            - results/train/metrics.json
            plots:
            - results/train/curves:
                x: step
            stages:
              split:
                cmd: sh src/split.sh
                deps: [data/pool, src/split.sh]
                params: [base, split]
                outs: [data/test, data/train]
              train:
                cmd: sh src/train.sh
                deps: [data/train, src/train.sh]
                params: [base, train]
                outs: [models/model.bin, results/train]
              evaluate:
                cmd: sh src/evaluate.sh
                deps: [data/test, models/model.bin, src/evaluate.sh]
                params: [base]
                outs: [results/evaluate]
              package:
                cmd: cp models/model.bin deploy/code/model.bin && cd deploy && tar -cf
                  model.tar code/ && cd .. && mv deploy/model.tar .  && rm deploy/code/model.bin
                deps:
                - models/model.bin
                outs:
                - model.tar
            """,
        parameters: "base: { seed: 42 }\nsplit:\n  regions:\n  - NORTH\ntrain:\n  tune: { epochs: 8, lr: 0.01 }\n",
        scripts: [
            "src/split.sh": (["data/test/", "data/train/"], ["data/pool"]),
            "src/train.sh": (["models/model.bin", "results/train/"], ["data/train"]),
            "src/evaluate.sh": (["results/evaluate/"], ["data/test", "models/model.bin"]),
        ],
        files: ["data/pool/a.png": "a", "data/pool/b.png": "b", "deploy/code/serve.py": "pass\n"],
        order: ["split", "train", "evaluate", "package"],
        outs: [
            "split": ["data/test", "data/train"], "train": ["models/model.bin", "results/train"],
            "evaluate": ["results/evaluate"], "package": ["model.tar"],
        ])

    /// Paths made of parameters (one ends in a slash), outputs that are not kept, metrics and plots with looks, a stage that
    /// always runs, and a loop.
    private static let customers = Sample(
        name: "customers",
        spec: """
            stages:
              split: 
                cmd: sh stages/split.sh --config=params.yaml
                deps:
                  - stages/split.sh
                  - ${base.data_dir}/${base.data_name}
                params:
                  - base
                outs:
                  - data/x.bin
                  - data/y.bin
              train:
                foreach: ${train.kinds}
                do:
                  cmd: sh stages/train.sh ${item}
                  deps: [stages/train.sh, data/x.bin]
                  params: [train.depth]
                  outs:
                    - ${base.model_dir}/${item}.bin
                    - ${base.model_dir}/${item}.meta:
                        cache: false
              eval:
                cmd: sh stages/eval.sh --config=params.yaml
                deps:
                  - stages/eval.sh
                  - data/y.bin
                  - ${base.model_dir}/forest.bin
                  - ${base.model_dir}/linear.bin
                outs:
                  - importance.csv:
                      cache: false
                metrics:
                  - metrics.json:
                      cache: false
                plots:
                  - plots/roc.json:
                      cache: false
                      x: fpr
                      y: tpr
            """,
        parameters: """
            base:
              data_dir: data
              data_name: customers.csv
              model_dir: model/
              columns:
              - Score
              - Age
            train: { kinds: [forest, linear], depth: 20 }

            """,
        scripts: [
            "stages/split.sh": (["data/x.bin", "data/y.bin"], ["data/customers.csv"]),
            "stages/train.sh": (["model/$1.bin", "model/$1.meta"], ["data/x.bin"]),
            "stages/eval.sh": (
                ["importance.csv", "metrics.json", "plots/roc.json"],
                ["data/y.bin", "model/forest.bin", "model/linear.bin"]
            ),
        ],
        files: ["data/customers.csv": "a,b\n1,2\n"], order: ["split", "train@forest", "train@linear", "eval"],
        outs: [
            "split": ["data/x.bin", "data/y.bin"], "train@forest": ["model/forest.bin", "model/forest.meta"],
            "train@linear": ["model/linear.bin", "model/linear.meta"],
            "eval": ["importance.csv", "metrics.json", "plots/roc.json"],
        ])

    /// A script that writes `outs` from what `deps` hold and the parameters.
    private static func script(_ outs: [String], _ deps: [String]) -> String {
        let sum = "find \(deps.joined(separator: " ")) params.yaml -type f | sort | xargs cat | sha256sum | cut -c 1-16"
        var lines = ["set -e", "sum=$(\(sum))"]
        for out in outs {
            if out.hasSuffix("/") {
                lines.append("mkdir -p \(out); echo \"$sum \(out)\" > \(out)a; echo \"$sum b\" > \(out)b")
            } else if out.hasSuffix(".json") {
                lines.append("mkdir -p $(dirname \(out))")
                lines.append("echo \"{\\\"sum\\\": \\\"$sum\\\", \\\"rows\\\": 2}\" > \(out)")
            } else {
                lines.append("mkdir -p $(dirname \(out)); echo \"$sum \(out)\" > \(out)")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func project(_ sample: Sample) throws -> Project {
        let project = try Project()
        try project.folder.write("dvc.yaml", sample.spec)
        try project.folder.write("params.yaml", sample.parameters)
        for (path, script) in sample.scripts {
            try project.folder.write(path, DVCProjectTests.script(script.outs, script.deps))
        }
        for (path, text) in sample.files { try project.folder.write(path, text) }
        try project.commit("A project of DVC")
        return project
    }

    @Test(arguments: [DVCProjectTests.text, DVCProjectTests.pictures, DVCProjectTests.customers])
    func aProjectIsTakenOverAndRuns(_ sample: Sample) throws {
        let project = try project(sample)
        let imported = try project.mlops("pipeline", "import-dvc", "--to", "pipelines/p.yaml")
        #expect(imported.exitCode == 0 && !imported.output.contains("failed"), "\(imported.all)")
        let run = try project.mlops("pipeline", "run", "pipelines/p.yaml", "--jobs", "1", "--json", "--strict")
        #expect(run.exitCode == 0, "\(run.all)")
        let events = try run.output.split(separator: "\n").map {
            try JSONValue(parsing: Array($0.utf8), source: "event")
        }
        let started = events.filter { $0["event"] == "stageStarted" }.compactMap { $0["stage"]?.string }
        #expect(started == sample.order)
        let record = try project.mlops("run", "show", "latest", "--json").json()
        var outs: [String: [String]] = [:]
        for stage in record["stages"]?.array ?? [] {
            let paths = (stage["outs"]?.array ?? []).compactMap { $0["path"]?.string }
            outs[stage["name"]?.string ?? ""] = paths.sorted()
        }
        #expect(outs == sample.outs)

        // The scripts by themselves, one after the other, as whoever knows the order would start them.
        let byHand = try TemporaryFolder()
        for (path, text) in sample.files { try byHand.write(path, text) }
        try byHand.write("params.yaml", sample.parameters)
        for name in sample.order {
            let item = name.split(separator: "@").dropFirst().first.map(String.init) ?? ""
            let base = name.split(separator: "@")[0]
            guard let path = sample.scripts.keys.first(where: { $0.hasSuffix("/\(base).sh") }),
                let script = sample.scripts[path]
            else { continue }
            try byHand.write(path, DVCProjectTests.script(script.outs, script.deps))
            try Program.run("sh", [path, item], in: byHand.path).expectSuccess()
            for out in script.outs.map({ $0.replacing("$1", with: item) }) {
                let files = out.hasSuffix("/") ? [out + "a", out + "b"] : [out]
                for file in files { #expect(try byHand.read(file) == project.folder.read(file), "\(file)") }
            }
        }
        let again = try project.mlops("pipeline", "run", "pipelines/p.yaml")
        #expect(again.output.contains("0 ran, \(sample.order.count) cached"), "\(again.all)")
    }

    @Test func aChangedParameterRunsWhatDVCWouldRun() throws {
        let project = try project(DVCProjectTests.text)
        try project.mlops("pipeline", "import-dvc", "--to", "pipelines/p.yaml").expectSuccess()
        try project.mlops("pipeline", "run", "pipelines/p.yaml").expectSuccess()
        let changed = DVCProjectTests.text.parameters.replacing("trees: 50", with: "trees: 60")
        try project.folder.write("params.yaml", changed)
        let run = try project.mlops("pipeline", "run", "pipelines/p.yaml", "--explain")
        #expect(run.output.contains("1 ran, 2 cached"), "\(run.all)")
        #expect(run.error.contains("train.trees"), "\(run.all)")
    }
}
