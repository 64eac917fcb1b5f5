import Basics
import Datasets
import Tensors
import TestSupport
import Testing

/// The fixtures that `make.py` wrote with Python's gzip module.
private func fixture(_ name: String) -> String {
    let tests = FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath)))
    return FileSystem.join(tests, "Fixtures/datasets/\(name)")
}

@Suite struct ImageDatasetTests {
    private func dataset(_ folder: TemporaryFolder, labels: String = "labels-idx1-ubyte.gz") throws -> DatasetFolder {
        for name in ["images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"] {
            try folder.write(name, try FileSystem.read(fixture(name)))
        }
        let split = DatasetDescription.Split(images: "images-idx3-ubyte.gz", labels: labels)
        try DatasetDescription(kind: .images, name: "stripes", splits: ["train": split, "test": split])
            .write(to: folder.path)
        return try DatasetFolder(folder.path)
    }

    @Test func pixelsAreNormalisedWithTheTrainingSplitsMeanAndDeviation() throws {
        let folder = try TemporaryFolder()
        let (encoding, examples) = try DatasetEncoding.fitting(try dataset(folder))
        #expect(examples.shape == [1, 4, 5])
        #expect(encoding.classes == ["0", "1", "2"])
        let values = examples.floats(at: Array(0..<12))
        let mean = values.reduce(0, +) / 240
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 240
        #expect(abs(mean) < 1e-5 && abs(variance - 1) < 1e-4)
        #expect(examples.batch(at: [3, 1]).shape == [2, 1, 4, 5])
        #expect(examples.subset([5, 2]).floats(at: [1]) == examples.floats(at: [2]))
    }

    @Test func onlyChosenPicturesDecideTheNormalisation() throws {
        let folder = try TemporaryFolder()
        let all = try dataset(folder)
        let chosen = [0, 3, 4, 9]
        let (encoding, examples) = try DatasetEncoding.fitting(all) { labels in
            #expect(labels.count == 12)
            return chosen
        }
        #expect(examples.count == 12)
        func moments(_ values: [Float]) -> (mean: Float, variance: Float) {
            let mean = values.reduce(0, +) / Float(values.count)
            return (mean, values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(values.count))
        }
        let own = moments(examples.floats(at: chosen))
        #expect(abs(own.mean) < 1e-5 && abs(own.variance - 1) < 1e-4)
        #expect(abs(moments(examples.floats(at: Array(0..<12))).mean) > 1e-3)
        #expect(try encoding.input != DatasetEncoding.fitting(all).encoding.input)
    }

    @Test func picturesWithoutAsManyLabelsAreDamaged() throws {
        let folder = try TemporaryFolder()
        try folder.write("short-ubyte", [0, 0, 8, 1, 0, 0, 0, 2, 1, 1])
        let error = try #require(throws: MLOpsError.self) {
            try DatasetEncoding.fitting(try dataset(folder, labels: "short-ubyte"))
        }
        #expect(error.message.contains("12 examples") && error.message.contains("2 labels"))
        #expect(error.kind == .damaged)
    }
}
