import Basics
import TestSupport
import Testing

/// The two pipelines that the repository runs itself, on the real data.
@Suite(.serialized) struct ExampleTests {
    /// A project with the repository's pipelines and data.
    static func project() throws -> Project {
        let project = try Project()
        let root = FileSystem.absolute("\(#filePath)/../../../..")
        try Program.run("cp", ["-r", "\(root)/pipelines", "\(root)/data", project.path], in: project.path)
            .expectSuccess()
        try project.folder.write(".gitignore", "/.mlops/\n/build/\n/models/\n/data/census/\n/data/fashion-mnist/\n")
        try project.commit("Pipelines and data")
        return project
    }

    private func metric(_ path: String, in project: Project, _ keys: String...) throws -> Double {
        var value = try JSONValue(parsing: try project.folder.read(path), source: path)
        for key in keys { value = value[key] ?? .null }
        return try #require(value.number, "\(path) \(keys)")
    }

    @Test func censusIsTrainedAuditedAndPromoted() throws {
        let project = try ExampleTests.project()
        let run = try project.mlops("pipeline", "run", "pipelines/census.yaml")
        try run.expectSuccess()
        #expect(try metric("build/census/test.json", in: project, "accuracy") >= 0.85)
        #expect(try metric("build/census/test.json", in: project, "auc") >= 0.90)
        #expect(abs(try metric("build/census/quantize.json", in: project, "accuracy_drop")) <= 0.005)
        let shown = try project.mlops("registry", "show", "models/census@production")
        #expect(shown.output.contains("models/census@v1") && shown.output.contains("gate"), "\(shown.all)")
        let card = try FileSystem.readText(project.folder("models/census/README.md"))
        #expect(card.hasPrefix("---\n") && card.contains("Female") && card.contains("cc-by-4.0"))

        let again = try project.mlops("pipeline", "run", "pipelines/census.yaml")
        #expect(again.output.contains("0 ran, 11 cached"), "\(again.all)")

        let refused = try project.mlops("pipeline", "run", "pipelines/census.yaml", "--set", "gate.accuracy=0.99")
        #expect(refused.exitCode == 4, "\(refused.all)")
        for word in ["test.accuracy", "0.99"] { #expect(refused.error.contains(word), "\(refused.all)") }
        let report = try JSONValue(parsing: try project.folder.read("build/census/gate.json"), source: "gate.json")
        #expect(report["passed"] == false)
        #expect(try project.mlops("registry", "list", "--json").json()["artifacts"]?.array?.first?["versions"] == 1)
    }

    @Test func fashionIsTrainedAndQuantized() throws {
        let project = try ExampleTests.project()
        try project.mlops("pipeline", "run", "pipelines/fashion.yaml").expectSuccess()
        #expect(try metric("build/fashion/test.json", in: project, "accuracy") >= 0.89)
        #expect(abs(try metric("build/fashion/quantize.json", in: project, "accuracy_drop")) <= 0.01)
    }
}
