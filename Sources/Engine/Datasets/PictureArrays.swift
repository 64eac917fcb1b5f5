internal import Basics
internal import TensorFiles
internal import Tensors

/// The pictures of a split, however they are stored.
package struct PictureSplit: Sendable {
    package enum Values: Sendable {
        case bytes([UInt8])
        case floats([Float])
    }

    /// `[channels, height, width]` of one.
    package var shape: [Int]
    package var values: Values
    package var labels: [Int]
    /// The classes' names, where the files have them.
    package var classes: [String]?

    package var count: Int { labels.count }
}

/// How the axes of a file of colour pictures follow the first one.
package enum PictureLayout: String, Codable, Sendable, CaseIterable { case chw, hwc }

/// Arrays of pictures and labels to a split.
enum PictureArrays {
    static func read(images: String, labels: String, layout: PictureLayout?) throws -> PictureSplit {
        let array = try ArrayFile.read(images)
        let labels = try Labels.read(labels, of: images, count: array.shape.first ?? 0)
        let (shape, isInterleaved) = try shape(of: array, layout: layout, path: images)
        guard array.element == .u8 || array.element == .bool else {
            var floats = array.floats()
            if let index = floats.firstIndex(where: { !$0.isFinite }) {
                throw MLOpsError(
                    .usage,
                    "picture \(index / shape.product) of `\(images)` holds \(floats[index]), expected finite numbers",
                    hint: "clean the data, or impute what is missing")
            }
            if isInterleaved { floats = planes(floats, shape: shape) }
            return PictureSplit(shape: shape, values: .floats(floats), labels: labels)
        }
        let bytes = isInterleaved ? planes(array.bytes, shape: shape) : array.bytes
        return PictureSplit(shape: shape, values: .bytes(bytes), labels: labels)
    }

    /// `[channels, height, width]`, and whether the channels come last in the file.
    private static func shape(
        of array: RawArray, layout: PictureLayout?, path: String
    ) throws -> (shape: [Int], isInterleaved: Bool) {
        let extents = array.shape
        guard extents.count == 3 || extents.count == 4, extents.allSatisfy({ $0 > 0 }) else {
            throw MLOpsError(
                .usage, "`\(path)` has shape \(extents), expected [count, height, width] and perhaps channels")
        }
        if extents.count == 3 { return ([1, extents[1], extents[2]], false) }
        let few = [1, 3, 4]
        let (isFirst, isLast) = (few.contains(extents[1]), few.contains(extents[3]))
        guard layout != nil || isFirst != isLast else {
            throw MLOpsError(
                .usage, "the axes of `\(path)`, of shape \(extents), may be read in two ways",
                hint: "set `layout` in `\(DatasetDescription.fileName)` to `chw` or `hwc`")
        }
        let isInterleaved = layout.map { $0 == .hwc } ?? isLast
        return isInterleaved
            ? ([extents[3], extents[1], extents[2]], true) : ([extents[1], extents[2], extents[3]], false)
    }

    /// Pictures with interleaved channels as planes of `shape`.
    private static func planes<Value: ExpressibleByIntegerLiteral>(_ values: [Value], shape: [Int]) -> [Value] {
        let (channels, plane) = (shape[0], shape[1] * shape[2])
        var output = [Value](repeating: 0, count: values.count)
        for start in stride(from: 0, to: values.count, by: channels * plane) {
            for position in 0..<plane {
                for channel in 0..<channels {
                    output[start + channel * plane + position] = values[start + position * channels + channel]
                }
            }
        }
        return output
    }
}

/// Class numbers from a file of an array.
enum Labels {
    /// No class has a larger number.
    static let maximum = 65535

    /// The labels in the file at `path` of the `count` examples in `examples`.
    ///
    /// - Throws: kind `.usage` for another shape, floats, or a number outside `0 ... 65535`; kind `.damaged` for another count.
    static func read(_ path: String, of examples: String, count: Int) throws -> [Int] {
        let array = try ArrayFile.read(path)
        guard array.shape.count == 1 else {
            throw MLOpsError(.usage, "`\(path)` has shape \(array.shape), expected [count]")
        }
        guard array.count == count else {
            throw MLOpsError(
                .damaged, "`\(examples)` holds \(count) examples, `\(path)` \(array.count) labels",
                hint: "fetch the two files again, of the same split")
        }
        let labels = try array.integers(source: path)
        if let index = labels.firstIndex(where: { !(0...Int64(maximum)).contains($0) }) {
            throw MLOpsError(
                .usage, "label \(index) of `\(path)` is \(labels[index]), expected a class number in 0...\(maximum)",
                hint: "number the classes from 0")
        }
        return labels.map { Int($0) }
    }
}
