internal import Basics

/// What a classifier of two numbers says over the plane, with the examples that it learned from.
package struct DecisionBoundary: Sendable {
    /// The names of the two numbers.
    package var axes: (String, String)
    package var classes: [String]
    /// Examples and their classes.
    package var points: [(x: Double, y: Double, label: Int)]
    /// Guesses over a grid of `side` × `side` cells, the first row on top.
    package var cells: [Int]
    package let side: Int
    package let horizontal: ClosedRange<Double>
    package let vertical: ClosedRange<Double>

    private static let colours: [(UInt8, UInt8, UInt8)] = [
        (31, 111, 235), (209, 36, 47), (26, 127, 55), (154, 103, 0), (130, 80, 223), (87, 96, 106),
    ]

    /// Asks `guess` for every cell at once.
    ///
    /// - Parameter guess: the classes of points that lie one after the other as x and y.
    package init(
        axes: (String, String), classes: [String], points: [(x: Double, y: Double, label: Int)], side: Int = 160,
        guess: ([(x: Double, y: Double)]) throws -> [Int]
    ) rethrows {
        func range(_ values: [Double]) -> ClosedRange<Double> {
            let low = values.min() ?? 0
            let high = values.max() ?? 1
            let margin = max((high - low) * 0.1, 1e-3)
            return (low - margin)...(high + margin)
        }
        self.axes = axes
        self.classes = classes
        self.points = points
        self.side = side
        horizontal = range(points.map(\.x))
        vertical = range(points.map(\.y))
        var places: [(x: Double, y: Double)] = []
        for row in 0..<side {
            for column in 0..<side {
                let x = (Double(column) + 0.5) / Double(side)
                let y = 1 - (Double(row) + 0.5) / Double(side)
                places.append(
                    (
                        horizontal.lowerBound + x * (horizontal.upperBound - horizontal.lowerBound),
                        vertical.lowerBound + y * (vertical.upperBound - vertical.lowerBound)
                    ))
            }
        }
        cells = try guess(places)
    }

    /// Where a point lies, in cells from the left and from the top.
    private func place(_ point: (x: Double, y: Double, label: Int)) -> (x: Double, y: Double) {
        let size = Double(side)
        return (
            (point.x - horizontal.lowerBound) / (horizontal.upperBound - horizontal.lowerBound) * size,
            (1 - (point.y - vertical.lowerBound) / (vertical.upperBound - vertical.lowerBound)) * size
        )
    }

    private func colour(_ label: Int) -> (UInt8, UInt8, UInt8) {
        DecisionBoundary.colours[label % DecisionBoundary.colours.count]
    }

    /// A PNG of 3 × 3 pixels a cell.
    package var png: [UInt8] {
        let scale = 3
        let width = side * scale
        var pixels = [UInt8](repeating: 255, count: width * width * 3)
        func set(_ x: Int, _ y: Int, _ colour: (UInt8, UInt8, UInt8), light: Bool) {
            guard (0..<width).contains(x), (0..<width).contains(y) else { return }
            let start = (y * width + x) * 3
            for (k, value) in [colour.0, colour.1, colour.2].enumerated() {
                pixels[start + k] = light ? 255 - (255 - value) / 4 : value
            }
        }
        for y in 0..<width {
            for x in 0..<width { set(x, y, colour(cells[y / scale * side + x / scale]), light: true) }
        }
        for point in points {
            let (x, y) = place(point)
            for dx in -3...3 {
                for dy in -3...3 where dx * dx + dy * dy <= 9 {
                    let isRim = dx * dx + dy * dy > 5
                    set(
                        Int(x * Double(scale)) + dx, Int(y * Double(scale)) + dy,
                        isRim ? (255, 255, 255) : colour(point.label), light: false)
                }
            }
        }
        return PNG.encoded(rgb: pixels, width: width, height: width)
    }

    /// The same as SVG: runs of equal cells as rectangles, with the names of axes and classes.
    package var svg: String {
        let cell = 2.5
        let start = (x: 40.0, y: 40.0)
        let size = Double(side) * cell
        func hex(_ label: Int) -> String {
            let parts = [colour(label).0, colour(label).1, colour(label).2]
            return "#" + parts.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        var text = SVG.head(size + 60, size + 90)
        for row in 0..<side {
            var column = 0
            while column < side {
                let guess = cells[row * side + column]
                var end = column
                while end < side, cells[row * side + end] == guess { end += 1 }
                text +=
                    "<rect x=\"\(SVG.number(start.x + Double(column) * cell))\" "
                    + "y=\"\(SVG.number(start.y + Double(row) * cell))\" width=\"\(SVG.number(Double(end - column) * cell))\" "
                    + "height=\"\(SVG.number(cell))\" fill=\"\(hex(guess))\" fill-opacity=\"0.25\"/>\n"
                column = end
            }
        }
        for point in points {
            let (x, y) = place(point)
            text +=
                "<circle cx=\"\(SVG.number(start.x + x * cell))\" cy=\"\(SVG.number(start.y + y * cell))\" r=\"3\" "
                + "fill=\"\(hex(point.label))\" stroke=\"#ffffff\"/>\n"
        }
        text += SVG.text(axes.0, start.x + size / 2, start.y + size + 18, size: 12)
        text += SVG.text(axes.1, start.x, start.y - 8, size: 12, anchor: "start")
        for (index, name) in classes.enumerated() {
            let x = start.x + Double(index) * 120
            text +=
                "<circle cx=\"\(SVG.number(x + 4))\" cy=\"\(SVG.number(start.y + size + 36))\" r=\"4\" fill=\"\(hex(index))\"/>\n"
            text += SVG.text(name, x + 12, start.y + size + 40, size: 11, anchor: "start")
        }
        return text + "</svg>\n"
    }
}

/// Writes PNG files (ISO 15948), rows filtered by nothing and stored without compression.
enum PNG {
    static func encoded(rgb: [UInt8], width: Int, height: Int) -> [UInt8] {
        precondition(rgb.count == width * height * 3, "\(rgb.count) bytes are no picture of \(width) × \(height)")
        var rows: [UInt8] = []
        for y in 0..<height { rows += [0] + rgb[(y * width * 3)..<((y + 1) * width * 3)] }
        let header = bytes(UInt32(width)) + bytes(UInt32(height)) + [8, 2, 0, 0, 0]
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", header)
            + chunk("IDAT", stored(rows)) + chunk("IEND", [])
    }

    /// A zlib stream of stored blocks.
    private static func stored(_ data: [UInt8]) -> [UInt8] {
        var result: [UInt8] = [0x78, 0x01]
        for start in stride(from: 0, to: data.count, by: 65535) {
            let end = min(start + 65535, data.count)
            let length = UInt16(end - start)
            result += [end == data.count ? 1 : 0, UInt8(length & 255), UInt8(length >> 8)]
            result += [UInt8(~length & 255), UInt8(~length >> 8)] + data[start..<end]
        }
        var (a, b): (UInt32, UInt32) = (1, 0)
        for byte in data {
            a = (a + UInt32(byte)) % 65521
            b = (b + a) % 65521
        }
        return result + bytes(b << 16 | a)
    }

    private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
        let body = Array(type.utf8) + data
        return bytes(UInt32(data.count)) + body + bytes(checksum(body))
    }

    private static func bytes(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }

    /// CRC-32 of PNG, gzip and zip.
    private static func checksum(_ data: [UInt8]) -> UInt32 {
        ~data.reduce(~0) { sum, byte in table[Int((sum ^ UInt32(byte)) & 255)] ^ (sum >> 8) }
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }
}
