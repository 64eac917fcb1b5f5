internal import Basics

/// The mean and standard deviation of each channel of the pictures that are learnt from.
///
/// A picture of bytes counts on the scale 0...1, one of numbers on its own scale.
package struct PixelNormalisation: Codable, Hashable, Sendable {
    /// One a channel, or one for all.
    package var means: [Double]
    package var deviations: [Double]

    package init(means: [Double], deviations: [Double]) {
        precondition(!means.isEmpty && means.count == deviations.count, "\(means) and \(deviations) differ in count")
        self.means = means
        self.deviations = deviations
    }

    package init(mean: Double, deviation: Double) { self.init(means: [mean], deviations: [deviation]) }

    /// Fits to bytes of pictures of `shape` `[channels, height, width]`; the deviation of a constant channel is 1.
    ///
    /// - Parameter pictures: which of them count; nil means all.
    package init(fitting pixels: [UInt8], shape: [Int], pictures: [Int]? = nil) {
        let (channels, plane) = (shape[0], shape[1] * shape[2])
        var histograms = [Int](repeating: 0, count: channels * 256)
        histograms.withUnsafeMutableBufferPointer { histograms in
            pixels.withUnsafeBufferPointer { pixels in
                for picture in pictures ?? Array(0..<pixels.count / max(1, channels * plane)) {
                    for channel in 0..<channels {
                        let start = (picture * channels + channel) * plane
                        for k in start..<(start + plane) { histograms[channel * 256 + Int(pixels[k])] += 1 }
                    }
                }
            }
        }
        let moments = (0..<channels).map { PixelNormalisation.moments(histograms[($0 * 256)..<(($0 + 1) * 256)]) }
        self.init(means: moments.map(\.mean), deviations: moments.map(\.deviation))
    }

    private static func moments(_ histogram: ArraySlice<Int>) -> (mean: Double, deviation: Double) {
        let bins = histogram.enumerated()
        let count = Double(max(histogram.reduce(0, +), 1))
        let mean = bins.reduce(0.0) { $0 + Double($1.element) * Double($1.offset) / 255 } / count
        let variance =
            bins.reduce(0.0) { sum, bin in
                let distance = Double(bin.offset) / 255 - mean
                return sum + Double(bin.element) * distance * distance
            } / count
        return (mean, variance > 0 ? variance.squareRoot() : 1)
    }

    /// Fits to numbers of pictures of `shape` `[channels, height, width]`; the deviation of a constant channel is 1.
    ///
    /// - Parameter pictures: which of them count; nil means all.
    package init(fitting values: [Float], shape: [Int], pictures: [Int]? = nil) {
        let (channels, plane) = (shape[0], shape[1] * shape[2])
        let pictures = pictures ?? Array(0..<values.count / max(1, channels * plane))
        let count = Double(max(pictures.count * plane, 1))
        /// The mean over all pictures of what `value` makes of the numbers of a channel.
        func mean(_ channel: Int, _ value: (Double) -> Double) -> Double {
            values.withUnsafeBufferPointer { values in
                var sum = 0.0
                for picture in pictures {
                    let start = (picture * channels + channel) * plane
                    for k in start..<(start + plane) { sum += value(Double(values[k])) }
                }
                return sum / count
            }
        }
        let means = (0..<channels).map { mean($0) { $0 } }
        let variances = means.enumerated().map { channel, centre in mean(channel) { ($0 - centre) * ($0 - centre) } }
        self.init(means: means, deviations: variances.map { $0 > 0 ? $0.squareRoot() : 1 })
    }

    private enum CodingKeys: String, CodingKey { case mean, deviation }

    /// A number for all channels, or a list.
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func list(_ key: CodingKeys) throws -> [Double] {
            if let one = try? values.decode(Double.self, forKey: key) { return [one] }
            return try values.decode([Double].self, forKey: key)
        }
        means = try list(.mean)
        deviations = try list(.deviation)
        guard !means.isEmpty, means.count == deviations.count, deviations.allSatisfy({ $0 > 0 && $0.isFinite }),
            means.allSatisfy(\.isFinite)
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .deviation, in: values,
                debugDescription: "\(means.count) means and \(deviations.count) deviations, expected as many, positive")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        if means.count == 1 {
            try values.encode(means[0], forKey: .mean)
            try values.encode(deviations[0], forKey: .deviation)
        } else {
            try values.encode(means, forKey: .mean)
            try values.encode(deviations, forKey: .deviation)
        }
    }

    /// What a network sees for each of the 256 values of a pixel of the first channel.
    package var table: [Float] { table(channel: 0) }

    /// What a network sees for each of the 256 values of a pixel.
    package func table(channel: Int) -> [Float] {
        let (mean, deviation) = (mean(channel), deviation(channel))
        return (0..<256).map { Float((Double($0) / 255 - mean) / deviation) }
    }

    package func mean(_ channel: Int) -> Double { means[means.count == 1 ? 0 : channel] }
    package func deviation(_ channel: Int) -> Double { deviations[deviations.count == 1 ? 0 : channel] }

    /// What a network sees of `pixels`, pictures of `shape` `[channels, height, width]` one after the other.
    package func normalise(_ pixels: [UInt8], shape: [Int]) -> [Float] {
        let tables = PixelTables(self, channels: shape[0])
        return [Float](unsafeUninitializedCapacity: pixels.count) { output, count in
            pixels.withUnsafeBufferPointer { pixels in
                let size = max(shape.reduce(1, *), 1)
                for start in stride(from: 0, to: pixels.count - size + 1, by: size) {
                    tables.apply(pixels, at: start, size: size, to: output, at: start)
                }
            }
            count = pixels.count
        }
    }

    /// Brings numbers of pictures of `shape` to mean 0 and deviation 1 a channel.
    package func normalise(_ values: inout [Float], shape: [Int]) {
        let plane = max(shape.dropFirst().reduce(1, *), 1)
        values.withUnsafeMutableBufferPointer { values in
            for k in values.indices {
                let channel = k / plane % shape[0]
                values[k] = Float((Double(values[k]) - mean(channel)) / deviation(channel))
            }
        }
    }
}

/// The tables of all channels, one after the other: bytes to numbers at one load each.
struct PixelTables: Sendable {
    private let values: [Float]
    private let channels: Int

    init(_ normalisation: PixelNormalisation, channels: Int) {
        self.channels = channels
        values = (0..<channels).flatMap { normalisation.table(channel: $0) }
    }

    /// One picture of `size` bytes.
    func apply(
        _ pixels: UnsafeBufferPointer<UInt8>, at start: Int, size: Int, to output: UnsafeMutableBufferPointer<Float>,
        at outputStart: Int
    ) {
        let plane = size / channels
        values.withUnsafeBufferPointer { values in
            guard let table = values.baseAddress, let input = pixels.baseAddress, let out = output.baseAddress else {
                return
            }
            for channel in 0..<channels {
                let table = table + channel * 256
                let input = input + start + channel * plane
                let out = out + outputStart + channel * plane
                for k in 0..<plane { out[k] = table[Int(input[k])] }
            }
        }
    }
}
