package import Tensors

/// Examples ready for a network: features of one shape, labels as class indices, and the groups that each belongs to.
package struct ExampleSet: Sendable {
    package enum Features: Sendable {
        /// Row-major numbers.
        case floats([Float])
        /// Pixels 0...255, each seen by the network as `(pixel / 255 − mean) / deviation`.
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
            gather(indices, size: size, into: output)
            count = indices.count * size
        }
    }

    private func gather(
        _ indices: some RandomAccessCollection<Int>, size: Int, into output: UnsafeMutableBufferPointer<Float>
    ) {
        switch features {
        case .floats(let values):
            values.withUnsafeBufferPointer { values in
                for (row, index) in indices.enumerated() {
                    for k in 0..<size { output[row * size + k] = values[index * size + k] }
                }
            }
        case .pixels(let pixels, let normalisation):
            let table = normalisation.table
            pixels.withUnsafeBufferPointer { pixels in
                for (row, index) in indices.enumerated() {
                    for k in 0..<size { output[row * size + k] = table[Int(pixels[index * size + k])] }
                }
            }
        }
    }

    /// The features of the examples at `indices`: `[count] + shape`, f32.
    package func batch(at indices: some RandomAccessCollection<Int>) -> Tensor {
        Tensor(floats(at: indices), shape: [indices.count] + shape)
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
                        for (row, index) in indices.enumerated() {
                            for k in 0..<size { output[row * size + k] = pixels[index * size + k] }
                        }
                        count = indices.count * size
                    }, normalisation: normalisation)
            }
        return ExampleSet(
            shape: shape, features: chosen, labels: indices.map { labels[$0] },
            groups: groups.mapValues { group in indices.map { group[$0] } })
    }
}

/// The mean and standard deviation of a training split's pixels on the scale 0...1.
package struct PixelNormalisation: Codable, Hashable, Sendable {
    package var mean: Double
    package var deviation: Double

    package init(mean: Double, deviation: Double) {
        self.mean = mean
        self.deviation = deviation
    }

    /// Fits to `pixels`; the deviation of a constant picture is 1.
    package init(fitting pixels: [UInt8]) {
        var histogram = [Int](repeating: 0, count: 256)
        for pixel in pixels { histogram[Int(pixel)] += 1 }
        let count = Double(max(pixels.count, 1))
        let mean = histogram.enumerated().reduce(0.0) { $0 + Double($1.element) * Double($1.offset) / 255 } / count
        let variance =
            histogram.enumerated().reduce(0.0) { sum, bin in
                let distance = Double(bin.offset) / 255 - mean
                return sum + Double(bin.element) * distance * distance
            } / count
        self.init(mean: mean, deviation: variance > 0 ? variance.squareRoot() : 1)
    }

    /// What the network sees for each of the 256 values of a pixel.
    package var table: [Float] { (0..<256).map { Float((Double($0) / 255 - mean) / deviation) } }
}
