import Basics
import TestSupport
import Testing

@testable import Pipelines

/// What `matrix`, `foreach`, `if`, `include`, `needs` and the keys that engines read make of a spec.
@Suite struct SpecLanguageTests {
    private func load(_ stages: String, params: String = "seeds: [1, 2]\n") throws -> Pipeline {
        let bench = try Bench(
            "version: 1\nname: p\nparams: [params.yaml]\nresources: { licence: 2 }\nstages:\n" + stages)
        try bench.folder.write("params.yaml", params)
        return try bench.load()
    }

    @Test(arguments: ["models", "models/"]) func aFolderThatIsAParameterMayEndInASlash(_ folder: String) throws {
        let stage = """
              a:
                run: x
                deps: ["${params.folder}/x"]
                outs: ["${params.folder}/a", { path: "${params.folder}//b/", cache: false }]

            """
        let pipeline = try load(stage, params: "folder: \(folder)\n")
        #expect(pipeline.stages[0].deps.map(\.path) == ["models/x"])
        #expect(pipeline.stages[0].outs.map(\.path) == ["models/a", "models/b"])
        for outside in ["/models", "..", "a/../.."] {
            #expect(throws: MLOpsError.self, "\(outside)") { try load(stage, params: "folder: \(outside)\n") }
        }
    }

    // MARK: Variants

    @Test func aMatrixMakesAStageOfEachCombinationWithItsTypes() throws {
        let pipeline = try load(
            """
              train:
                matrix: { seed: "${params.seeds}", model: [cnn, "a b/c"] }
                uses: train
                with: { recipe: tabular/mlp, epochs: "${matrix.seed}" }
                outs: ["build/${matrix.model}-${matrix.seed}"]
            """)
        #expect(
            pipeline.stages.map(\.name) == [
                "train@seed=1,model=cnn", "train@seed=1,model=a_b_c", "train@seed=2,model=cnn",
                "train@seed=2,model=a_b_c",
            ])
        #expect(pipeline.stages[2].with["epochs"] == .int(2))
        #expect(pipeline.stages[1].outs.map(\.path) == ["build/a b/c-1"])
        #expect(pipeline.stages.allSatisfy { $0.group == "train" })
        #expect(try pipeline.stageIndices("train") == [0, 1, 2, 3])
        #expect(try pipeline.stageIndices("train@seed=2,model=cnn") == [2])
    }

    @Test func includeAndExcludeOfAMatrixAreThoseOfGitHub() throws {
        let pipeline = try load(
            """
              a:
                matrix:
                  fruit: [apple, pear]
                  animal: [cat, dog]
                  exclude: [ { fruit: pear, animal: dog } ]
                  include:
                    - { color: green }
                    - { color: pink, animal: cat }
                    - { fruit: apple, shape: circle }
                    - { fruit: banana }
                    - { fruit: banana, animal: cat }
                run: [echo, "${matrix.fruit}", "${matrix.animal:-none}", "${matrix.color:-none}", "${matrix.shape:-none}"]
            """)
        let words = pipeline.stages.map { stage -> String in
            guard case .command(let words) = stage.action else { return "" }
            return words.dropFirst().joined(separator: " ")
        }
        #expect(
            words == [
                "apple cat pink circle", "apple dog green circle", "pear cat pink none", "banana none none none",
                "banana cat none none",
            ])
        #expect(pipeline.stages[0].name == "a@fruit=apple,animal=cat")
        #expect(pipeline.stages[4].name == "a@fruit=banana,animal=cat")
    }

    @Test func foreachMakesAStageOfEachItem() throws {
        let pipeline = try load(
            """
              a: { foreach: [us, de], run: [echo, "${item}"] }
              b: { foreach: { small: { n: 1 }, large: { n: 9 } }, run: [echo, "${key}", "${item.n}"] }
              c: { foreach: [ { n: 1 }, { n: 2 } ], run: [echo, "${item.n}"], needs: [a, b@large] }
            """)
        #expect(pipeline.stages.map(\.name) == ["a@us", "a@de", "b@small", "b@large", "c@0", "c@1"])
        #expect(pipeline.stages[3].action == .command(["echo", "large", "9"]))
        #expect(pipeline.graph.upstream[4] == [0, 1, 3])
    }

    @Test func needsFindOutputsAndWhatLiesInAndAroundThem() throws {
        let pipeline = try load(
            """
              a: { run: x, outs: [build/a] }
              b: { run: x, outs: [build/b/m.json] }
              c: { run: x, needs: [build/a/part, build/b] }
            """)
        #expect(pipeline.graph.upstream[2] == [0, 1])
    }

    // MARK: Conditions

    @Test(
        arguments: [
            ("${git.branch} == \"main\"", true), ("${git.branch} != 'main'", false),
            ("${params.n} >= 3 && ${params.n} < 4.5", true), ("!(${params.flag})", false),
            ("${params.flag} || ${params.n} == 0", true), ("${env.NOT_SET} == null", true),
            ("${env.NOT_SET:-yes} == 'yes'", true), ("${env.GREETING} == \"hello\"", true),
            ("!${params.flag} || !!${params.flag}", true), ("null != 1", true), ("'a' < 'b'", true), ("true", true),
            ("0x10 == 16", true), ("${params.flag} == true && ${git.dirty} == false", true),
            ("false && ${params.n} == 'text'", false),
        ])
    func aConditionIsEvaluated(_ text: String, _ holds: Bool) throws {
        let quoted = JSONValue.string(text).canonicalText
        let pipeline = try load("  a: { run: x, if: \(quoted) }\n", params: "n: 3\nflag: true\n")
        #expect(pipeline.stages[0].condition?.holds == holds)
    }

    @Test func deepAndLongConditionsAreRefused() throws {
        for text in [
            String(repeating: "(", count: 1000), String(repeating: "!", count: 1000),
            String(repeating: "x", count: 3000),
        ] {
            #expect(throws: MLOpsError.self) { try load("  a: { run: x, if: \"\(text)\" }\n") }
        }
    }

    @Test func aStageWhoseConditionIsFalseIsSkippedWithWhatWaitsForIt() async throws {
        let bench = try Bench(
            """
            version: 1
            name: p
            stages:
              a: { if: "${git.branch} == 'dev'", run: [echo, "${env.NOT_SET}"], outs: [build/a] }
              b: { run: [sh, -c, "true"], deps: [build/a] }
              c: { if: false, run: [sh, -c, "true"], needs: [b] }
              d: { run: [sh, -c, "true"] }
            """)
        let report = try await bench.run()
        #expect(report.outcome == .succeeded)
        #expect(report.stages.map(\.state) == [.skipped, .skipped, .skipped, .succeeded])
        #expect(
            report.stages[0].reasons.first?.text
                == "its `if` is false: ${git.branch} == 'dev'; ${git.branch} is \"main\"")
        #expect(report.stages[1].reasons.first?.text == "`a` was skipped")
        let status = try await bench.runner().status()
        #expect(status.stages.map(\.state) == [.skipped, .skipped, .skipped, .upToDate])
        #expect(status.isUpToDate)
    }

    // MARK: Includes

    @Test func includedFilesAreReadOnceAndTheirStagesAdded() throws {
        let bench = try Bench(
            "version: 1\nname: p\nparams: [params.yaml]\ninclude: [a.yaml, b.yaml]\nstages: { z: { run: x, deps: [out] } }\n"
        )
        try bench.folder.write("params.yaml", "n: 1\n")
        try bench.folder.write(
            "a.yaml",
            "version: 1\nname: a\nparams: [params.yaml]\nexecutor: slurm\ninclude: [c.yaml]\n"
                + "stages: { a: { run: [x, \"${params.n}\"] } }\n")
        try bench.folder.write("b.yaml", "version: 1\ninclude: [c.yaml]\nresources: { gpus: 2 }\n")
        try bench.folder.write("c.yaml", "version: 1\nstages: { c: { run: x, outs: [out] } }\n")
        let pipeline = try bench.load()
        #expect(pipeline.stages.map(\.name) == ["c", "a", "z"])
        #expect(pipeline.stages.map(\.executor.name) == [.local, .slurm, .local])
        #expect(pipeline.graph.upstream[2] == [0])
        #expect(pipeline.includes == ["a.yaml", "c.yaml", "b.yaml"])
        #expect(pipeline.limits.gpus == 2)
        let before = pipeline.specDigest
        try bench.folder.write("c.yaml", "version: 1\nstages: { c: { run: y, outs: [out] } }\n")
        #expect(try bench.load().specDigest != before)
    }

    // MARK: Keys for engines

    @Test func theKeysThatEnginesReadAreCarried() throws {
        let pipeline = try load(
            """
              a:
                run: x
                desc: does it
                outs: [ { path: build/a, cache: false }, { path: build/b, persist: true } ]
                retries: { max: 2, on: [timeout, signal, 75], delay: 500ms, backoff: 3 }
                resources: { cpus: 0.5, memory: 4GiB, gpus: 1, licence: 2 }
                executor: { slurm: { partition: gpu, options: [--exclusive] } }
                image: python:3.12
                secrets: [HF_TOKEN]
                always: true
                frozen: true
              b: { run: x, retries: "${params.n}", always_changed: true }
            """, params: "n: 3\n")
        let (a, b) = (pipeline.stages[0], pipeline.stages[1])
        #expect(a.outs.map(\.isCached) == [false, true])
        #expect(a.outs.map(\.persists) == [false, true])
        #expect(a.retries.max == 2 && a.retries.causes == [.timeout, .signal, .exit(75)])
        #expect(a.retries.wait(before: 3) == .seconds(4.5))
        #expect(a.resources == Resources(cpus: 0.5, memory: ByteCount(4 << 30), gpus: 1, custom: ["licence": 2]))
        #expect(a.executor == Executor(.slurm, options: ["partition": "gpu", "options": ["--exclusive"]]))
        #expect(a.image == "python:3.12" && a.secrets.map(\.name) == ["HF_TOKEN"])
        #expect(a.isAlways && a.isFrozen && a.summary == "does it")
        #expect(b.retries.max == 3 && b.isAlwaysChanged && b.executor == .local)
    }

    @Test func defaultsOfReferencesKeepTheirTypes() throws {
        let pipeline = try load(
            "  a: { uses: train, with: { recipe: tabular/mlp, epochs: ${params.none:-7}, lr: ${params.lr:-0.5} } }\n"
                + "  b: { run: [x, \"${env.NOT_SET:-a b}\", \"${env.NOT_SET:-}\"] }\n", params: "lr: 0.25\n")
        #expect(pipeline.stages[0].with["epochs"] == .int(7))
        #expect(pipeline.stages[0].with["lr"] == .double(0.25))
        #expect(pipeline.stages[1].action == .command(["x", "a b", ""]))
    }

    @Test func referencesCannotFillTheMemory() throws {
        let long = String(repeating: "x", count: 200_000)
        let items = (0..<1000).map(String.init).joined(separator: ", ")
        #expect {
            try load("  a: { foreach: [\(items)], run: [echo, \"${params.long}\"] }\n", params: "long: \(long)\n")
        } throws: { "\($0)".contains("stand for more than 64.0 MiB") }
    }
}
