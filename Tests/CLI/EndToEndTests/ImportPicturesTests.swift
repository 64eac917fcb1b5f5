import Basics
import TestSupport
import Testing

/// `uses: import` of a folder of pictures.
@Suite struct ImportPicturesTests {
    private func picture(_ name: String) throws -> [UInt8] {
        try FileSystem.read(FileSystem.absolute("\(#filePath)/../../../Fixtures/datasets/pictures/\(name)"))
    }

    @Test func picturesAreReadThroughCopiedAndImportedAgainWhenOneChanges() throws {
        let project = try Project()
        let outside = try TemporaryFolder()
        for (path, name) in [
            ("train/cat/1.png", "rgb.png"), ("train/cat/2.jpg", "rgb.jpg"), ("train/dog/1.png", "palette.png"),
        ] {
            try FileSystem.createDirectories(FileSystem.parent(of: outside(path)))
            try outside.write(path, try picture(name))
        }
        try outside.write(
            "dataset.json",
            "{\"format\":1,\"kind\":\"images\",\"name\":\"pets\",\"splits\":{\"train\":{\"folder\":\"train\"}}}")
        try project.folder.write(
            "p.yaml",
            """
            version: 1
            name: p
            stages:
              import:
                uses: import
                with: { from: \(outside.path), to: data/pets, as: datasets/pets }
                metrics: [m.json]
            """)
        try project.mlops("pipeline", "run", "p.yaml").expectSuccess()
        #expect(try FileSystem.read(project.folder("data/pets/train/dog/1.png")) == (try picture("palette.png")))
        let metrics = try JSONValue(parsing: try project.folder.read("m.json"), source: "m.json")
        #expect(metrics["features"] == .int(3 * 12 * 16))
        #expect(metrics["splits"]?["train"]?["classes"] == ["cat": 2, "dog": 1])
        let again = try project.mlops("pipeline", "run", "p.yaml")
        #expect(again.output.contains("0 ran, 1 cached"), "\(again.all)")
        try outside.write("train/dog/2.png", try picture("interlaced.png"))
        let changed = try project.mlops("pipeline", "run", "p.yaml")
        #expect(changed.output.contains("1 ran"), "\(changed.all)")
        #expect(FileSystem.exists(project.folder("data/pets/train/dog/2.png")))
        try outside.write("train/dog/3.png", Array(try picture("rgb.png").prefix(200)))
        let cut = try project.mlops("pipeline", "run", "p.yaml")
        #expect(cut.exitCode != 0 && cut.error.contains("dog/3.png` cannot be read: it is cut short"), "\(cut.all)")
    }
}
