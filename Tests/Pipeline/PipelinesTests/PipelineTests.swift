import Basics
import TestSupport
import Testing

@testable import Pipelines

struct PipelineTests {
    private let spec = """
        version: 1
        name: digits
        params: [params.yaml, more.json]
        stages:
          test: { run: [python, test.py], deps: [build/model], metrics: [build/test.json] }
          train:
            uses: train
            with: { recipe: "${params.recipe}", epochs: ${params.train.epochs}, lr: ${params.train.lr}, layers: ${params.layers} }
            deps: [data/]
            outs: [build/model]
            env: { SEED: ${params.seed}, BRANCH: "on-${git.branch}", NAME: ${env.GREETING}, GONE: }
            timeout: ${params.limit}
          gate: { uses: gate, with: { rules: [ { metric: test.accuracy, min: 0.9 } ] } }
        """

    private func load(set overrides: [String] = []) throws -> Pipeline {
        let bench = try Bench(spec)
        try bench.folder.write(
            "params.yaml", "recipe: tabular/mlp\ntrain: { epochs: 3, lr: 1.0e-3 }\nlayers: [8, 4]\nseed: 1.10\n")
        try bench.folder.write("more.json", "{\"limit\": \"10m\", \"train\": {\"momentum\": 0.9}}")
        return try bench.load(set: overrides)
    }

    @Test func referencesKeepTheirTypes() throws {
        let train = try load().stage("train")
        #expect(
            train.with == ["recipe": "tabular/mlp", "epochs": 3, "lr": 0.001, "layers": [8, 4]])
        #expect(train.timeout == .seconds(600))
        #expect(train.deps.map(\.path) == ["data"])
        #expect(
            train.environment.map { "\($0.name)=\($0.value ?? "-")" } == [
                "SEED=1.10", "BRANCH=on-main", "NAME=hello", "GONE=-",
            ])
        #expect(
            train.usedParameters.keys.sorted() == ["layers", "limit", "recipe", "seed", "train.epochs", "train.lr"])
    }

    @Test func overridesAreTypedAsYAMLAndTextsStayTexts() throws {
        let pipeline = try load(set: [
            "train.epochs=7", "layers=[1]", "recipe=vision/lenet5", "limit=90", "params.seed=2",
        ])
        let train = try pipeline.stage("train")
        #expect(train.with["epochs"] == 7)
        #expect(train.with["layers"] == [1])
        #expect(train.with["recipe"] == "vision/lenet5")
        #expect(train.timeout == .seconds(90))
        #expect(pipeline.parameters["limit"] == "90")
        #expect(pipeline.parameters["seed"] == 2)
        #expect(pipeline.parameters["train"] == ["epochs": 7, "lr": 0.001, "momentum": 0.9])
    }

    @Test func defaultsAreFilledIn() throws {
        let bench = try Bench(
            "version: 1\nname: p\nstages: { a: { uses: train, with: { recipe: tabular/mlp, lr: 1 } } }\n")
        #expect(try bench.load().stage("a").with == ["recipe": "tabular/mlp", "epochs": 3, "lr": 1])
    }

    @Test func aDoubledDollarIsTheTextItself() throws {
        let bench = try Bench("version: 1\nname: p\nstages: { a: { run: [sh, -c, \"echo $HOME $${HOME} $1 $\"] } }\n")
        #expect(try bench.load().stage("a").action == .command(["sh", "-c", "echo $HOME ${HOME} $1 $"]))
    }

    @Test func stagesAreOrderedByWhatTheyReadAndNeed() throws {
        let graph = try load().graph
        #expect(graph.order.map { graph.names[$0] } == ["train", "test", "gate"])
        #expect(
            graph.text == """
                train
                test  ← train (build/model)
                gate  ← test

                """)
        #expect(
            graph.mermaid == """
                flowchart TD
                    s1["train"]
                    s0["test"]
                    s2["gate"]
                    s1 -->|"build/model"| s0
                    s0 --> s2

                """)
        #expect(graph.ancestors(of: 2) == [0, 1])
    }

    @Test func foldersAndWhatLiesInThemConnectStages() throws {
        let bench = try Bench(
            """
            version: 1
            name: p
            stages:
              reads-file: { run: x, deps: [build/a/x.csv] }
              reads-folder: { run: x, deps: [out] }
              writes-folder: { run: x, outs: [build/a] }
              writes-files: { run: x, outs: [out/1, out/2], metrics: [out/m.json] }
              apart: { run: x, deps: [build/ab] }
            """)
        let graph = try bench.load().graph
        #expect(
            graph.edges.map { "\(graph.names[$0.from])→\(graph.names[$0.to])" }
                == ["writes-folder→reads-file", "writes-files→reads-folder"])
        #expect(
            graph.order.map { graph.names[$0] }
                == ["writes-folder", "reads-file", "writes-files", "reads-folder", "apart"])
    }

    @Test func anUnknownStageIsAnsweredWithTheNearest() throws {
        let pipeline = try load()
        #expect {
            try pipeline.stage("trian")
        } throws: {
            ($0 as? MLOpsError)?.hint == "did you mean `train`?"
        }
    }

    @Test(.timeLimit(.minutes(1))) func aPipelineOfTenThousandStagesLoads() throws {
        let stages = (0..<10_000).map { "  s\($0): { run: [tr], deps: [b/\($0)], outs: [b/\($0 + 1)] }" }
        let bench = try Bench("version: 1\nname: p\nstages:\n" + stages.joined(separator: "\n"))
        #expect(try bench.load().graph.order == Array(0..<10_000))
    }
}
