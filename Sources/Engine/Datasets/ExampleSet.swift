package import Basics
package import Tensors

/// Examples ready for a network: features of one shape, labels as class indices, and the groups that each belongs to.
package struct ExampleSet: Sendable {
    package enum Features: Sendable {
        /// Row-major numbers.
        case floats([Float])
        /// Pixels 0...255, `[channels, height, width]` each, which the network sees as `(pixel / 255 − mean) / deviation`: they
        /// stay bytes in memory and become numbers while a batch is made.
        case pixels([UInt8], normalisation: PixelNormalisation)
    }

    /// The shape of one example: `[features]` or `[channels, height, width]`.
    package var shape: [Int]
    package var features: Features
    /// Each in `0 ..< classes`.
    package var labels: [Int]
    /// By sensitive column, the group of each example; `?` where it is missing.
    package var groups: [String: [String]]

    package init(shape: [Int], features: Features, labels: [Int], groups: [String: [String]] = [:]) {
        self.shape = shape
        self.features = features
        self.labels = labels
        self.groups = groups
    }

    package var count: Int { labels.count }

    /// The numbers of one example.
    package var exampleSize: Int { shape.reduce(1, *) }

    /// The features of the examples at `indices` as the network wants them, one after the other.
    package func floats(at indices: some RandomAccessCollection<Int>) -> [Float] {
        let size = exampleSize
        return [Float](unsafeUninitializedCapacity: indices.count * size) { output, count in
            gather(indices, into: output)
            count = indices.count * size
        }
    }

    /// Writes the features of the examples at `indices` to `output`, one after the other.
    func gather(_ indices: some RandomAccessCollection<Int>, into output: UnsafeMutableBufferPointer<Float>) {
        let size = exampleSize
        switch features {
        case .floats(let values):
            values.withUnsafeBufferPointer { values in
                guard let input = values.baseAddress, let output = output.baseAddress else { return }
                for (row, index) in indices.enumerated() {
                    (output + row * size).update(from: input + index * size, count: size)
                }
            }
        case .pixels(let pixels, let normalisation):
            let tables = PixelTables(normalisation, channels: shape.count == 3 ? shape[0] : 1)
            pixels.withUnsafeBufferPointer { pixels in
                for (row, index) in indices.enumerated() {
                    tables.apply(pixels, at: index * size, size: size, to: output, at: row * size)
                }
            }
        }
    }

    /// The features of the examples at `indices`: `[count] + shape`, f32. Each number is written once.
    package func batch(at indices: some RandomAccessCollection<Int>) -> Tensor {
        Tensor(shape: [indices.count] + shape, dtype: .f32) { target in
            let count = indices.count * exampleSize
            gather(
                indices,
                into: UnsafeMutableBufferPointer(
                    start: target.bindMemory(to: Float.self, capacity: count), count: count))
        }
    }

    /// The labels of the examples at `indices`: `[count]`, i64.
    package func batchLabels(at indices: some RandomAccessCollection<Int>) -> Tensor {
        Tensor(indices.map { Int64(labels[$0]) })
    }

    /// The examples at `indices`, in that order.
    package func subset(_ indices: [Int]) -> ExampleSet {
        let size = exampleSize
        let chosen: Features =
            switch features {
            case .floats: .floats(floats(at: indices))
            case .pixels(let pixels, let normalisation):
                .pixels(
                    [UInt8](unsafeUninitializedCapacity: indices.count * size) { output, count in
                        pixels.withUnsafeBufferPointer { pixels in
                            guard let input = pixels.baseAddress, let output = output.baseAddress else { return }
                            for (row, index) in indices.enumerated() {
                                (output + row * size).update(from: input + index * size, count: size)
                            }
                        }
                        count = indices.count * size
                    }, normalisation: normalisation)
            }
        return ExampleSet(
            shape: shape, features: chosen, labels: indices.map { labels[$0] },
            groups: groups.mapValues { group in indices.map { group[$0] } })
    }

    /// Of shape, numbers and labels: what tells whether two sets teach the same.
    package var digest: Digest {
        var hasher = DigestHasher()
        hasher.update(Array("\(shape)".utf8))
        switch features {
        case .floats(let values): values.withUnsafeBytes { hasher.update($0) }
        case .pixels(let pixels, let normalisation):
            hasher.update(pixels)
            hasher.update(Array("\(normalisation)".utf8))
        }
        labels.withUnsafeBytes { hasher.update($0) }
        return hasher.finalize()
    }
}
