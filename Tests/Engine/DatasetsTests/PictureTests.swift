import Basics
@testable import Datasets
import TensorFiles
import Tensors
import TestSupport
import Testing

/// The fixtures that `make_arrays.py` wrote with Pillow and torch.
private func fixture(_ name: String) -> String {
    let tests = FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath)))
    return FileSystem.join(tests, "Fixtures/datasets/\(name)")
}

private func largestDifference(_ left: [UInt8], _ right: [UInt8]) -> Int {
    zip(left, right).map { abs(Int($0) - Int($1)) }.max() ?? 0
}

@Suite struct PictureReaderTests {
    @Test(arguments: [
        "bits.png", "grey.png", "grey16.png", "grey-alpha.png", "palette.png", "palette-alpha.png", "rgb.png",
        "rgb16.png",
        "rgba.png", "interlaced.png", "grey.jpg", "rgb.jpg", "progressive.jpeg",
    ])
    func everyKindIsWhatPillowSees(_ name: String) throws {
        let picture = try PictureReader.read(fixture("pictures/\(name)"))
        let expected = try ArrayFile.read(fixture("pictures.npz#\(name)"))
        #expect([picture.height, picture.width] + (picture.channels == 3 ? [3] : []) == expected.shape)
        #expect(largestDifference(picture.pixels, expected.bytes) == 0)
    }

    @Test func cmykBecomesColour() throws {
        let picture = try PictureReader.read(fixture("pictures/cmyk.jpg"))
        let expected = try ArrayFile.read(fixture("pictures.npz#cmyk.jpg"))
        #expect(picture.channels == 3 && largestDifference(picture.pixels, expected.bytes) <= 2)
    }

    @Test func greyAndOtherSizesAreWhatPillowMakes() throws {
        let picture = try PictureReader.read(fixture("pictures/rgb.png"))
        let grey = try ArrayFile.read(fixture("pictures.npz#grey of rgb"))
        #expect(picture.converted(channels: 1).pixels == grey.bytes)
        for (width, height) in [(8, 6), (5, 9), (40, 31), (16, 3)] {
            let expected = try ArrayFile.read(fixture("pictures.npz#\(width)x\(height)"))
            let found = picture.resized(width: width, height: height)
            #expect(largestDifference(found.pixels, expected.bytes) <= 1, "\(width)×\(height)")
        }
    }

    @Test func cutFilesAreDamagedAndFlippedBytesCrashNothing() throws {
        for name in ["rgb.png", "interlaced.png", "palette.png", "rgb.jpg", "progressive.jpeg", "cmyk.jpg"] {
            let whole = try FileSystem.read(fixture("pictures/\(name)"))
            for position in stride(from: 0, to: whole.count - 2, by: 3) {
                let error = try #require(throws: MLOpsError.self, "\(name) cut to \(position)") {
                    try PictureReader.decode(Array(whole[..<position]), path: name)
                }
                #expect(error.message.contains(name))
                var bytes = whole
                bytes[position] ^= 0x41
                _ = try? PictureReader.decode(bytes, path: name)
            }
        }
    }

    @Test func aPictureOfTooManyPixelsIsRefusedBeforeItIsDecoded() throws {
        var bytes = try FileSystem.read(fixture("pictures/rgb.png"))
        // 65535×65535 pixels; the check sum of the changed header is made anew.
        bytes.replaceSubrange(16..<24, with: [0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF])
        var sum: UInt32 = 0xFFFF_FFFF
        for byte in bytes[12..<29] {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 1 ? 0xEDB8_8320 : 0) }
        }
        bytes.replaceSubrange(29..<33, with: (0..<4).map { UInt8(truncatingIfNeeded: ~sum >> (24 - 8 * $0)) })
        let error = try #require(throws: MLOpsError.self) { try PictureReader.decode(bytes, path: "bomb.png") }
        #expect(error.message.contains("it has 65535×65535 pixels, expected 1 to 67108864"))
    }

    @Test func anotherFormatIsNamed() throws {
        let error = try #require(throws: MLOpsError.self) {
            try PictureReader.decode(Array("GIF89a..".utf8), path: "x.gif")
        }
        #expect(error.message == "`x.gif` is neither PNG nor JPEG: it starts with `4749463839612e2e`")
    }
}

@Suite struct PictureBufferTests {
    /// `change` of the fixture's picture, whose numbers a network sees with another mean and deviation for each channel.
    private func changed(_ change: (PictureBuffer) -> Void) throws -> [Float] {
        let normalisation = PixelNormalisation(means: [0.4, 0.5, 0.3], deviations: [0.2, 0.25, 0.5])
        let shape = [3, 12, 16]
        var values = try ArrayFile.read(fixture("augmentation.npz#picture")).floats()
        normalisation.normalise(&values, shape: shape)
        var scratch = values
        values.withUnsafeMutableBufferPointer { values in
            scratch.withUnsafeMutableBufferPointer { scratch in
                change(PictureBuffer(shape: shape, normalisation: normalisation, values: values, scratch: scratch))
            }
        }
        return values.enumerated().map { index, value in
            value * Float(normalisation.deviation(index / 192)) + Float(normalisation.mean(index / 192))
        }
    }

    @Test(arguments: [30, -75, 180])
    func turnsAreThoseOfTorch(_ degrees: Int) throws {
        let expected = try ArrayFile.read(fixture("augmentation.npz#rotate \(degrees)")).floats()
        let found = try changed { $0.rotate(by: Double(degrees) * Double.pi / 180) }
        let difference = zip(found, expected).map { abs($0 - $1) }.max() ?? 1
        #expect(difference < 2e-5)
    }

    @Test(arguments: ["brighten", "contrast", "saturate"], ["0.6", "1.5"])
    func coloursAreThoseOfPillow(_ name: String, _ factor: String) throws {
        let expected = try ArrayFile.read(fixture("augmentation.npz#\(name) \(factor)")).floats()
        let strength = try #require(Float(factor))
        let found = try changed { picture in
            switch name {
            case "brighten": picture.brighten(by: strength)
            case "contrast": picture.contrast(by: strength)
            default: picture.saturate(by: strength)
            }
        }
        // Pillow rounds to bytes, and the greys that it blends with, too.
        let difference = zip(found, expected).map { abs($0 - $1) }.max() ?? 1
        #expect(difference < 1.6 / 255)
    }
}

@Suite struct PictureFolderTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func add(_ name: String, _ picture: String) throws {
        try FileSystem.createDirectories(FileSystem.parent(of: folder(name)))
        try folder.write(name, try FileSystem.read(fixture("pictures/\(picture)")))
    }

    private func dataset(_ change: (inout DatasetDescription) -> Void = { _ in }) throws -> DatasetFolder {
        var description = DatasetDescription(
            kind: .images, name: "few", splits: ["train": .init(folder: "train"), "test": .init(folder: "test")])
        change(&description)
        try description.write(to: folder.path)
        return try DatasetFolder(folder.path)
    }

    private func fill() throws {
        try add("train/dog/1.png", "rgb.png")
        try add("train/dog/2.JPG", "rgb.jpg")
        try add("train/cat/b.png", "rgba.png")
        try add("train/cat/a.jpeg", "progressive.jpeg")
        try folder.write("train/cat/notes.txt", "not a picture")
        try add("test/dog/9.png", "grey.png")
    }

    @Test func classesAreTheFoldersAndBothSplitsHaveOneShape() throws {
        try fill()
        let dataset = try dataset()
        let (encoding, training) = try DatasetEncoding.fitting(dataset)
        #expect(encoding.classes == ["cat", "dog"] && encoding.input.shape == [3, 12, 16])
        #expect(training.labels == [0, 0, 1, 1])
        guard case .pixels(let pixels, let normalisation) = training.features else {
            Issue.record("pictures stay bytes")
            return
        }
        let expected = try ArrayFile.read(fixture("pictures.npz#rgb.png")).bytes
        let planes = (0..<3).flatMap { channel in (0..<192).map { expected[$0 * 3 + channel] } }
        #expect(Array(pixels[(2 * 576)..<(3 * 576)]) == planes)
        #expect(normalisation.means.count == 3)
        let means = training.floats(at: [0, 1, 2, 3]).enumerated().reduce(into: [Float](repeating: 0, count: 3)) {
            $0[$1.offset / 192 % 3] += $1.element / 768
        }
        #expect(means.allSatisfy { abs($0) < 1e-4 })
        // A grey picture has three equal channels for a network of colour.
        let test = try encoding.examples(of: dataset, split: "test")
        #expect(test.labels == [1] && test.shape == [3, 12, 16])
        let copy: DatasetEncoding = try JSONValue(encoding: encoding).decode()
        #expect(copy == encoding)
    }

    @Test func picturesAreBroughtToTheSizeOfTheDescription() throws {
        try fill()
        let dataset = try dataset {
            $0.size = [6, 8]
            $0.channels = 1
        }
        #expect(try DatasetEncoding.fitting(dataset).training.shape == [1, 6, 8])
    }

    @Test func faultsNameThePictureOrTheFolder() throws {
        try fill()
        try folder.write("train/dog/3.png", Array(try FileSystem.read(fixture("pictures/rgb.png")).prefix(300)))
        let cut = try #require(throws: MLOpsError.self) { try DatasetEncoding.fitting(try dataset()) }
        #expect(cut.kind == .damaged && cut.message.contains("dog/3.png") && cut.message.contains("cut short"))
        try add("train/dog/3.png", "rgb.png")
        try add("test/cow/1.png", "rgb.png")
        let (encoding, _) = try DatasetEncoding.fitting(try dataset())
        let cow = try #require(throws: MLOpsError.self) { try encoding.examples(of: try dataset(), split: "test") }
        #expect(cow.message.contains("folder `cow`") && cow.message.contains("none of the classes"))
        try FileSystem.createDirectories(folder("train/eel"))
        let eel = try #require(throws: MLOpsError.self) { try DatasetEncoding.fitting(try dataset()) }
        #expect(eel.message.contains("train/eel` holds no pictures"))
    }
}
