import Basics
import Datasets
import TensorFiles
import TestSupport
import Testing

/// The fixtures that `make_arrays.py` wrote with numpy.
private func fixture(_ name: String) -> String {
    let tests = FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath)))
    return FileSystem.join(tests, "Fixtures/datasets/npy/\(name)")
}

@Suite struct ArrayDatasetTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        for name in ["colour.npz", "table.npz"] { try folder.write(name, try FileSystem.read(fixture(name))) }
    }

    private func dataset(
        _ kind: DatasetDescription.Kind, _ split: DatasetDescription.Split,
        _ change: (inout DatasetDescription) -> Void = { _ in }
    ) throws -> DatasetFolder {
        var description = DatasetDescription(kind: kind, name: "few", splits: ["train": split])
        change(&description)
        try description.write(to: folder.path)
        return try DatasetFolder(folder.path)
    }

    private func fault(_ x: String, _ y: String) throws -> MLOpsError {
        let dataset = try dataset(.tabular, .init(features: "table.npz#\(x)", labels: "table.npz#\(y)"))
        return try #require(throws: MLOpsError.self) { try DatasetEncoding.fitting(dataset) }
    }

    @Test func colourPicturesAreTheSameInEitherLayout() throws {
        let last = try DatasetEncoding.fitting(
            try dataset(.images, .init(images: "colour.npz#x", labels: "colour.npz#y")))
        let first = try DatasetEncoding.fitting(
            try dataset(.images, .init(images: "colour.npz#planes", labels: "colour.npz#y")))
        #expect(last.training.shape == [3, 5, 7] && first.training.shape == [3, 5, 7])
        #expect(last.training.floats(at: Array(0..<6)) == first.training.floats(at: Array(0..<6)))
        #expect(last.encoding == first.encoding && last.encoding.classes == ["0", "1", "2"])
        #expect(last.training.labels == [0, 1, 2, 0, 1, 2])
        // Told the other way, the axes are other ones.
        let told = try dataset(.images, .init(images: "colour.npz#x", labels: "colour.npz#y")) { $0.layout = .chw }
        #expect(try DatasetEncoding.fitting(told).training.shape == [5, 7, 3])
        let either = try dataset(.images, .init(images: "colour.npz#either", labels: "colour.npz#y"))
        let error = try #require(throws: MLOpsError.self) { try DatasetEncoding.fitting(either) }
        #expect(error.message.contains("of shape [6, 4, 7, 3], may be read in two ways"))
    }

    @Test func anArrayOfNumbersIsATable() throws {
        let (encoding, training) = try DatasetEncoding.fitting(
            try dataset(.tabular, .init(features: "table.npz#x", labels: "table.npz#y")) { $0.classes = ["no", "yes"] })
        #expect(encoding.classes == ["no", "yes"] && training.labels == [0, 1, 1, 0])
        guard case .tabular(let encoder) = encoding.input else {
            Issue.record("numbers are a table")
            return
        }
        #expect(encoder.featureNames == ["x0", "x1"])
        // Column 0: mean 3, variance 3.5; column 1: mean 20, the missing value is the mean.
        let step = Float(1 / 3.5.squareRoot())
        let found = training.floats(at: [0, 1, 2, 3])
        let expected: [Float] = [-2 * step, -1.2247449, -step, 0, 0, 1.2247449, 3 * step, 0]
        for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-6) }
    }

    @Test func valuesThatAreNoDataNameTheirPlace() throws {
        #expect(try fault("wild", "y").message.contains("row 1, column 1 of `\(folder("table.npz"))#wild` is inf"))
        #expect(
            try fault("x", "negative").message.contains("label 1 of `\(folder("table.npz"))#negative` is -1, expected"))
        #expect(try fault("x", "huge").message.contains("is 1099511627776, expected a class number in 0...65535"))
        #expect(try fault("x", "floats").message.contains("holds elements of type f64, expected integers"))
        #expect(try fault("x", "x").message.contains("has shape [4, 2], expected [count]"))
        let pictures = try dataset(.images, .init(images: "table.npz#wild", labels: "table.npz#y"))
        let flat = try #require(throws: MLOpsError.self) { try DatasetEncoding.fitting(pictures) }
        #expect(flat.message.contains("has shape [4, 2], expected [count, height, width]"))
    }

    @Test func aSplitIsNamedInOneWay() throws {
        for split in [
            DatasetDescription.Split(features: "a", labels: "b"), .init(files: ["a"]),
        ] {
            let error = try #require(throws: MLOpsError.self) { try dataset(.images, split) }
            #expect(error.message.contains("split `train` needs `folder`, or `images` and `labels`, for kind `images`"))
        }
        let path = try folder.write(
            "dataset.json",
            "{\"format\":1,\"kind\":\"images\",\"name\":\"x\",\"splits\":{\"train\":{\"foldre\":\"a\"}}}")
        let error = try #require(throws: MLOpsError.self) { try DatasetDescription(file: path) }
        #expect(error.message.contains("unknown key `splits.train.foldre`"))
        #expect(error.hint == "did you mean `splits.train.folder`?")
    }
}
