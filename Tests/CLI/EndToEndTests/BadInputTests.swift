import Basics
import TestSupport
import Testing

/// One message, a place where there is one, a hint, the right exit code, and nothing half-written.
@Suite struct BadInputTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var files: [String: String] = [:]
        var arguments: [String] = ["pipeline", "run", "p.yaml"]
        var exitCode: Int32 = 64
        /// What the message must say.
        var says: [String]
    }

    private static let dataset = """
        {"format":1,"kind":"tabular","name":"d","splits":{"train":{"files":["t.csv"]},"test":{"files":["t.csv"]}},
        "csv":{"header":true},"columns":[{"name":"x","type":"numeric"},{"name":"y","type":"categorical"}],
        "label":{"column":"y","positive":"1"}}
        """

    private static let importSpec = """
        version: 1
        name: p
        stages:
          import:
            uses: import
            with: { from: raw, to: data/d, as: datasets/d }
        """

    static let cases = [
        Case(
            testDescription: "unknown YAML key",
            files: ["p.yaml": "version: 1\nname: p\nstages:\n  a:\n    run: 'true'\n    timeuot: 3s\n"],
            says: ["p.yaml:6:5", "timeuot", "did you mean `timeout`?"]),
        Case(
            testDescription: "wrong type",
            files: ["p.yaml": "version: 1\nname: p\nstages:\n  a:\n    run: 'true'\n    outs: 3\n"],
            says: ["p.yaml:6:11", "expected a list of paths", "the number `3`"]),
        Case(
            testDescription: "unknown key of a step",
            files: [
                "p.yaml":
                    "version: 1\nname: p\nstages:\n  a:\n    uses: train\n    with: { recipie: x, data: d, model: m }\n"
            ],
            says: ["p.yaml:6:", "recipie", "recipe"]),
        Case(
            testDescription: "unknown recipe",
            files: [
                "p.yaml":
                    "version: 1\nname: p\nstages:\n  a:\n    uses: train\n    with: { recipe: tabular/mpl, data: d, model: m }\n"
            ],
            says: ["p.yaml:", "tabular/mpl", "tabular/mlp"]),
        Case(
            testDescription: "cycle",
            files: [
                "p.yaml": """
                version: 1
                name: p
                stages:
                  a: { run: "true", needs: [b] }
                  b: { run: "true", needs: [a] }
                """
            ], says: ["p.yaml:", "a", "b", "cycle"]),
        Case(testDescription: "missing pipeline", exitCode: 1, says: ["p.yaml", "does not exist"]),
        Case(
            testDescription: "missing dependency",
            files: ["p.yaml": "version: 1\nname: p\nstages:\n  a:\n    run: 'true'\n    deps: [nowhere.csv]\n"],
            exitCode: 1,
            says: ["nowhere.csv"]),
        Case(
            testDescription: "path that leaves the project",
            files: ["p.yaml": "version: 1\nname: p\nstages:\n  a:\n    run: 'true'\n    outs: [../../etc/x]\n"],
            says: ["p.yaml:6:", "../../etc/x", "leaves the repository"]),
        Case(
            testDescription: "path that leaves the project, on the command line", arguments: ["add", "../outside"],
            says: ["outside"]),
        Case(testDescription: "missing data", arguments: ["add", "nothing.csv"], exitCode: 1, says: ["nothing.csv"]),
        Case(
            testDescription: "malformed CSV row",
            files: ["p.yaml": importSpec, "raw/dataset.json": dataset, "raw/t.csv": "x,y\n1,0\n2,1\n3\n"],
            says: ["t.csv:4", "expected 2"]),
        Case(
            testDescription: "text in a numeric column",
            files: ["p.yaml": importSpec, "raw/dataset.json": dataset, "raw/t.csv": "x,y\n1,0\ntwo,1\n"],
            says: ["t.csv:3", "column `x`", "two"]),
        Case(
            testDescription: "truncated safetensors",
            files: [
                "p.yaml": """
                version: 1
                name: p
                stages:
                  test:
                    uses: test
                    with: { model: m.safetensors, data: raw }
                    metrics: [m.json]
                """, "raw/dataset.json": dataset, "raw/t.csv": "x,y\n1,0\n2,1\n",
                "m.safetensors": "\u{40}\0\0\0\0\0\0\0{\"w\":{\"dtype\":\"F32\",\"shape\":[4],",
            ], exitCode: 12, says: ["m.safetensors"]),
        Case(
            testDescription: "unknown verb", arguments: ["psuh"],
            says: ["there is no verb `psuh`", "did you mean `mlops push`?"]),
        Case(testDescription: "unknown flag", arguments: ["status", "--jsn"], says: ["--jsn"]),
        Case(testDescription: "bad artifact name", arguments: ["registry", "show", "Census"], says: ["Census"]),
        Case(
            testDescription: "unknown artifact", arguments: ["registry", "show", "models/none"], exitCode: 1,
            says: ["models/none"]),
        Case(testDescription: "no remote", arguments: ["push"], exitCode: 1, says: ["no remote", "mlops remote add"]),
        Case(
            testDescription: "unknown parameter",
            files: ["p.yaml": "version: 1\nname: p\nstages:\n  a:\n    run: 'true'\n"],
            arguments: ["pipeline", "run", "p.yaml", "--set", "nowhere=1"], says: ["nowhere"]),
    ]

    @Test(arguments: cases)
    func isToldInOneMessageAndLeavesNothingBehind(_ bad: Case) throws {
        let project = try Project()
        for (name, text) in bad.files { try project.folder.write(name, text) }
        let before = try project.files
        let result = try Program.mlops(bad.arguments, in: project.path)
        #expect(result.exitCode == bad.exitCode, "\(result.all)")
        let errors = result.error.split(separator: "\n").filter { $0.hasPrefix("error: ") }
        #expect(errors.count == 1, "\(result.all)")
        for words in bad.says { #expect(result.error.contains(words), "expected `\(words)`: \(result.all)") }
        #expect(result.error.contains("hint: "), "\(result.all)")
        #expect(try project.files == before, "nothing is left behind")

        let json = try Program.mlops(bad.arguments + ["--json"], in: project.path)
        let object = json.error.split(separator: "\n").last.map { Array($0.utf8) } ?? []
        #expect(try JSONValue(parsing: object, source: "stderr")["error"]?["exit_code"] == .int(Int64(bad.exitCode)))
    }
}
