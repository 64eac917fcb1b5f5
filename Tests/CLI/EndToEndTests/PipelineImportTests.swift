import Basics
import TestSupport
import Testing

/// `mlops pipeline import-dvc` and `schema`, as people call them.
@Suite struct PipelineImportTests {
    private static let stages = """
        stages:
          words:
            cmd: sh count.sh ${file} words.txt
            deps: [count.sh, "${file}"]
            params: [file]
            outs: [words.txt]

        """

    private func project(_ text: String) throws -> Project {
        let project = try Project()
        try project.folder.write("dvc.yaml", text)
        try project.folder.write("params.yaml", "file: data.txt\n")
        try project.folder.write("data.txt", "a b c\n")
        try project.folder.write("count.sh", "wc -w < $1 > $2\n")
        return project
    }

    @Test func anImportedPipelineRunsAndIsNotWrittenTwice() throws {
        let project = try project(PipelineImportTests.stages)
        let dry = try project.mlops("pipeline", "import-dvc", "--dry-run", "--to", "pipelines/p.yaml")
        try dry.expectSuccess()
        #expect(dry.output.contains("- sh\n") && !FileSystem.exists(project.folder("pipelines/p.yaml")), "\(dry.all)")
        try project.mlops("pipeline", "import-dvc", "--to", "pipelines/p.yaml").expectSuccess()
        try project.mlops("pipeline", "run", "pipelines/p.yaml").expectSuccess()
        #expect(try FileSystem.readText(project.folder("words.txt")).contains("3"))
        let again = try project.mlops("pipeline", "import-dvc", "--to", "pipelines/p.yaml")
        #expect(again.exitCode == 11 && again.error.contains("--force"), "\(again.all)")
    }

    @Test func whatIsMissingEndsWithThreeAndWhenNothingIsLeftWithOne() throws {
        let some = try project(PipelineImportTests.stages + "  far: { cmd: \"true\", deps: [s3://bucket/x] }\n")
        let partly = try some.mlops("pipeline", "import-dvc", "--to", "p.yaml")
        #expect(partly.exitCode == 3 && partly.output.contains("failed dvc.yaml:7:"), "\(partly.all)")
        let none = try project("stages: { a: { cmd: \"echo ${nothing}\" } }\n").mlops("pipeline", "import-dvc")
        #expect(none.exitCode == 1 && none.output.contains("`${nothing}` is in no `vars`"), "\(none.all)")
    }

    @Test func theSchemaIsPrintedWithinAndOutsideOfAProject() throws {
        let inside = try Project().mlops("pipeline", "schema")
        try inside.expectSuccess()
        #expect(try inside.json()["$defs"]?["stage"]?["properties"]?["matrix"] != nil)
        #expect(inside.output.contains("\"const\": \"train\""))
        let outside = try Program.mlops(["pipeline", "schema"], in: "/tmp")
        try outside.expectSuccess()
    }
}
