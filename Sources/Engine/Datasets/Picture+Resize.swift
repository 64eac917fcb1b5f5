extension Picture {
    /// The picture with 1 or 3 channels: grey three times, or the luma of ITU-R BT.601.
    package func converted(channels wanted: Int) -> Picture {
        if wanted == channels { return self }
        var output = Picture(width: width, height: height, channels: wanted, pixels: [])
        if wanted == 3 {
            output.pixels = pixels.flatMap { [$0, $0, $0] }
        } else {
            output.pixels = stride(from: 0, to: pixels.count, by: 3).map { start in
                let (red, green, blue) = (Int(pixels[start]), Int(pixels[start + 1]), Int(pixels[start + 2]))
                return UInt8((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16)
            }
        }
        return output
    }

    /// The picture in another size, whatever the ratio of its sides: bilinear where it grows, where it shrinks the mean over the
    /// pixels that fall together, weighted by a triangle.
    package func resized(width newWidth: Int, height newHeight: Int) -> Picture {
        if newWidth == width && newHeight == height { return self }
        let columns = ResizeWeights(from: width, to: newWidth)
        let rows = ResizeWeights(from: height, to: newHeight)
        let stride = width * channels
        var output = [UInt8](repeating: 0, count: newHeight * newWidth * channels)
        // One new row at a time, first in the old width, so that no size needs more memory than the pictures.
        var line = [Float](repeating: 0, count: stride)
        for y in 0..<newHeight {
            for k in 0..<stride { line[k] = 0 }
            for (row, weight) in rows.weights[y].enumerated() {
                let start = (rows.first[y] + row) * stride
                for k in 0..<stride { line[k] += weight * Float(pixels[start + k]) }
            }
            for x in 0..<newWidth {
                for channel in 0..<channels {
                    var sum: Float = 0
                    for (k, weight) in columns.weights[x].enumerated() {
                        sum += weight * line[(columns.first[x] + k) * channels + channel]
                    }
                    output[(y * newWidth + x) * channels + channel] = UInt8(min(max(sum.rounded(), 0), 255))
                }
            }
        }
        return Picture(width: newWidth, height: newHeight, channels: channels, pixels: output)
    }
}

/// Which old pixels make each new one along an axis, and with what weights that sum to 1.
private struct ResizeWeights {
    var first: [Int] = []
    var weights: [[Float]] = []

    init(from old: Int, to new: Int) {
        let scale = Double(old) / Double(new)
        let support = max(scale, 1)
        for index in 0..<new {
            let centre = (Double(index) + 0.5) * scale
            let start = max(Int(centre - support + 0.5), 0)
            let end = max(min(Int(centre + support + 0.5), old), start + 1)
            let raw = (start..<end).map { max(0, 1 - abs((Double($0) + 0.5 - centre) / support)) }
            let sum = raw.reduce(0, +)
            first.append(start)
            weights.append(raw.map { Float($0 / sum) })
        }
    }
}
