import Basics
import Foundation
import Interchange
import TensorFiles
import TestSupport
import Tensors
import Testing

/// Files under the packages `safetensors` and `tensorboard`; skipped like `ONNXPeerTests`.
@Suite(.enabled(if: PeerPython.path != nil, "Scripts/peer-tools could not install the peers"))
struct FilePeerTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// The script reads ours, compares the numbers, and writes the same with the package: byte for byte the same file.
    @Test func safetensorsOfEveryDtypeAreThoseOfThePackage() throws {
        let values: [Float] = [1.5, -2.25, 0, 65504, -0.0, .infinity]
        var tensors: [String: Tensor] = [:]
        for dtype in DType.allCases {
            let isFloat = dtype.isFloat
            let numbers = isFloat ? Tensor(values) : Tensor([Int64(1), 0, 1, 1, 0, 1])
            tensors["t.\(dtype.rawValue)"] = try numbers.cast(to: dtype).reshaped([2, 3])
        }
        tensors["empty"] = .zeros([0, 4], dtype: .bf16)
        tensors["scalar"] = Tensor(0.1)
        tensors["quoted \"name\" é\n"] = Tensor([UInt8(255)])
        // A view is written as what it shows.
        tensors["view"] = try Tensor((0..<6).map { Float($0) }, shape: [2, 3]).transposed(0, 1)
        try SafetensorsFile.write(tensors, metadata: ["format": "pt"], to: folder("ours.safetensors"))
        try PeerPython.run("check_safetensors.py", folder.path)
        let theirs = try SafetensorsFile(path: folder("theirs.safetensors"))
        for (name, tensor) in tensors {
            #expect(try theirs.tensor(name).isIdentical(to: tensor.contiguous()), "\(name)")
        }
        #expect(try folder.read("theirs.safetensors") == folder.read("ours.safetensors"))
    }

    @Test func tensorBoardReadsScalarsHistogramsAndPictures() throws {
        let writer = try TensorBoardWriter(folder: folder.path, start: Timestamp(milliseconds: 1_700_000_000_500))
        for step in 1...3 {
            let time = Timestamp(milliseconds: 1_700_000_000_500 + Int64(step) * 1000)
            try writer.add(["loss/train": 1 / Double(step)], step: Int64(step), at: time)
            let values = (0..<100).map { Float($0 * step) / 10 - 2 }
            try writer.add(histogram: values + [.nan, .infinity], tag: "weights/0", step: Int64(step), at: time)
        }
        try writer.add(
            picture: [0x89, 0x50, 0x4E, 0x47], width: 3, height: 2, channels: 1, tag: "filters", step: 3,
            at: Timestamp(milliseconds: 1_700_000_003_500))
        try PeerPython.run("check_tensorboard.py", folder.path)
    }
}
