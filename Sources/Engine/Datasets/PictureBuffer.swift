internal import Basics
internal import Glibc

/// One normalised picture in memory, `[channels, height, width]`, and the changes that augmentation makes to it.
struct PictureBuffer {
    let channels: Int
    let height: Int
    let width: Int
    /// Pixel 0 of each channel as the network sees it.
    let black: [Float]
    /// What 1 on the scale 0...1 is in the network's numbers.
    private let deviations: [Float]
    private let means: [Float]
    var values: UnsafeMutableBufferPointer<Float>
    /// As large as `values`.
    private let scratch: UnsafeMutableBufferPointer<Float>

    init(
        shape: [Int], normalisation: PixelNormalisation, values: UnsafeMutableBufferPointer<Float>,
        scratch: UnsafeMutableBufferPointer<Float>
    ) {
        (channels, height, width) = (shape[0], shape[1], shape[2])
        means = (0..<shape[0]).map { Float(normalisation.mean($0)) }
        deviations = (0..<shape[0]).map { Float(normalisation.deviation($0)) }
        black = (0..<shape[0]).map { Float((0 - normalisation.mean($0)) / normalisation.deviation($0)) }
        self.values = values
        self.scratch = scratch
    }

    private var plane: Int { height * width }

    /// The window whose upper left corner is `(top, left)` of the picture, which may lie outside; black there.
    func shift(top: Int, left: Int) {
        keep()
        for channel in 0..<channels {
            for y in 0..<height {
                let row = channel * plane + y * width
                let source = y + top
                for x in 0..<width {
                    let isInside = (0..<height).contains(source) && (0..<width).contains(x + left)
                    values[row + x] = isInside ? scratch[channel * plane + source * width + x + left] : black[channel]
                }
            }
        }
    }

    /// Mirrors left and right.
    func flip() {
        for row in 0..<(channels * height) {
            var (left, right) = (row * width, (row + 1) * width - 1)
            while left < right {
                values.swapAt(left, right)
                left += 1
                right -= 1
            }
        }
    }

    /// Turns by `radians`, counter-clockwise as seen, about the centre; bilinear, black outside.
    func rotate(by radians: Double) {
        keep()
        let (sine, cosine) = (sin(radians), cos(radians))
        let (centreY, centreX) = (Double(height - 1) / 2, Double(width - 1) / 2)
        for y in 0..<height {
            for x in 0..<width {
                let (dy, dx) = (Double(y) - centreY, Double(x) - centreX)
                let sourceX = Float(cosine * dx - sine * dy + centreX)
                let sourceY = Float(sine * dx + cosine * dy + centreY)
                for channel in 0..<channels {
                    values[channel * plane + y * width + x] = sample(channel, y: sourceY, x: sourceX)
                }
            }
        }
    }

    /// The kept picture between its pixels.
    private func sample(_ channel: Int, y: Float, x: Float) -> Float {
        let (floorY, floorX) = (y.rounded(.down), x.rounded(.down))
        let (shareY, shareX) = (y - floorY, x - floorX)
        func pixel(_ y: Int, _ x: Int) -> Float {
            guard (0..<height).contains(y), (0..<width).contains(x) else { return black[channel] }
            return scratch[channel * plane + y * width + x]
        }
        let (top, left) = (Int(floorY), Int(floorX))
        let above = pixel(top, left) * (1 - shareX) + pixel(top, left + 1) * shareX
        let below = pixel(top + 1, left) * (1 - shareX) + pixel(top + 1, left + 1) * shareX
        return above * (1 - shareY) + below * shareY
    }

    /// Multiplies brightness.
    func brighten(by factor: Float) {
        change { _, value, _ in value * factor }
    }

    /// Blends with the mean grey of the picture.
    func contrast(by factor: Float) {
        var sum = 0.0
        for position in 0..<plane { sum += Double(grey(at: position)) }
        let mean = Float(sum / Double(plane))
        change { _, value, _ in value * factor + mean * (1 - factor) }
    }

    /// Blends each pixel with its grey.
    func saturate(by factor: Float) {
        change { _, value, grey in value * factor + grey * (1 - factor) }
    }

    /// Each value on the scale 0...1 through `transform` (channel, value, the pixel's grey), kept in 0...1.
    private func change(_ transform: (Int, Float, Float) -> Float) {
        for position in 0..<plane {
            let grey = grey(at: position)
            for channel in 0..<channels {
                let index = channel * plane + position
                let value = values[index] * deviations[channel] + means[channel]
                let changed = min(max(transform(channel, value, grey), 0), 1)
                values[index] = (changed - means[channel]) / deviations[channel]
            }
        }
    }

    /// A pixel's grey on the scale 0...1: the luma of ITU-R BT.601 for three channels, else their mean.
    private func grey(at position: Int) -> Float {
        func value(_ channel: Int) -> Float {
            values[channel * plane + position] * deviations[channel] + means[channel]
        }
        if channels == 3 { return 0.299 * value(0) + 0.587 * value(1) + 0.114 * value(2) }
        return (0..<channels).reduce(0) { $0 + value($1) } / Float(channels)
    }

    /// Sets the rectangle to 0, the mean.
    func erase(rows: Range<Int>, columns: Range<Int>) {
        for channel in 0..<channels {
            for y in rows {
                for x in columns { values[channel * plane + y * width + x] = 0 }
            }
        }
    }

    private func keep() {
        guard let source = values.baseAddress else { return }
        scratch.baseAddress?.update(from: source, count: values.count)
    }
}
