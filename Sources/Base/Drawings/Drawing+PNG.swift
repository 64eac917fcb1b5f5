internal import Foundation

extension Drawing {
    /// The same as pixels, two by two a point, edges smoothed.
    package var png: [UInt8] {
        let raster = raster
        return PNG.encoded(rgb: raster.rgb, width: raster.width, height: raster.height)
    }

    /// The pixels of the PNG, three bytes each, row by row.
    package var raster: (width: Int, height: Int, rgb: [UInt8]) {
        var canvas = Canvas(width: width, height: height)
        for shape in shapes { canvas.draw(shape) }
        return (canvas.width, canvas.height, canvas.pixels)
    }
}

/// Pixels that shapes are painted on.
private struct Canvas {
    static let scale = 2.0

    let width: Int
    let height: Int
    var pixels: [UInt8]

    init(width: Double, height: Double) {
        self.width = Int((width * Canvas.scale).rounded(.up))
        self.height = Int((height * Canvas.scale).rounded(.up))
        pixels = [UInt8](repeating: 255, count: self.width * self.height * 3)
    }

    mutating func draw(_ shape: Drawing.Shape) {
        let scale = Canvas.scale
        func scaled(_ point: Drawing.Point) -> Drawing.Point { (point.x * scale, point.y * scale) }
        switch shape {
        case .line(let from, let to, let colour, let width):
            stroke(scaled(from), scaled(to), colour, radius: width * scale / 2)
        case .curve(let points, let colour, let width, let isDashed):
            // Dashes go on from piece to piece.
            var travelled = 0.0
            for (from, to) in zip(points.map(scaled), points.dropFirst().map(scaled)) {
                stroke(from, to, colour, radius: width * scale / 2, dash: isDashed ? travelled : nil)
                travelled += hypot(to.x - from.x, to.y - from.y)
            }
        case .disc(let centre, let radius, let colour, let hasRim):
            let centre = scaled(centre)
            if hasRim { fill(disc: centre, radius * scale + 1, .white) }
            fill(disc: centre, radius * scale, colour)
        case .box(let corner, let width, let height, let colour, let opacity):
            fill(corner: scaled(corner), width * scale, height * scale, colour, opacity)
        case .text(let text, let place, let size, let anchor, let colour, let isBold):
            write(text, scaled(place), cell: max(1, (size * scale / 11).rounded()), anchor, colour, isBold)
        }
    }

    /// Paints as much of a pixel as `share` says.
    private mutating func blend(_ x: Int, _ y: Int, _ colour: Colour, _ share: Double) {
        guard share > 0, (0..<width).contains(x), (0..<height).contains(y) else { return }
        let start = (y * width + x) * 3
        for (k, value) in [colour.red, colour.green, colour.blue].enumerated() {
            let present = Double(pixels[start + k])
            pixels[start + k] = UInt8((present + (Double(value) - present) * min(share, 1)).rounded())
        }
    }

    /// Calls `share` with the middle of each pixel of a rectangle.
    private mutating func paint(
        _ colour: Colour, from low: Drawing.Point, to high: Drawing.Point, _ share: (Drawing.Point) -> Double
    ) {
        // What lies outside is cut off before it becomes a whole number.
        func places(_ low: Double, _ high: Double, _ count: Int) -> Range<Int> {
            let end = Int(max(0, min(high + 2, Double(count))))
            return min(Int(max(0, min(low, Double(count)))), end)..<end
        }
        for y in places(low.y, high.y, height) {
            for x in places(low.x, high.x, width) {
                blend(x, y, colour, share((Double(x) + 0.5, Double(y) + 0.5)))
            }
        }
    }

    /// - Parameter dash: how far along the curve the piece begins; nil for one without gaps.
    private mutating func stroke(
        _ from: Drawing.Point, _ to: Drawing.Point, _ colour: Colour, radius: Double, dash: Double? = nil
    ) {
        let (dx, dy) = (to.x - from.x, to.y - from.y)
        let length = hypot(dx, dy)
        let reach = radius + 1
        paint(
            colour, from: (min(from.x, to.x) - reach, min(from.y, to.y) - reach),
            to: (max(from.x, to.x) + reach, max(from.y, to.y) + reach)
        ) { place in
            let (px, py) = (place.x - from.x, place.y - from.y)
            let along = length > 0 ? min(max((px * dx + py * dy) / length, 0), length) : 0
            if let dash, (dash + along).truncatingRemainder(dividingBy: 16) > 10 { return 0 }
            let (nearX, nearY) = length > 0 ? (dx / length * along, dy / length * along) : (0, 0)
            return min(1, max(0, radius + 0.5 - hypot(px - nearX, py - nearY)))
        }
    }

    private mutating func fill(disc centre: Drawing.Point, _ radius: Double, _ colour: Colour) {
        let reach = radius + 1
        paint(colour, from: (centre.x - reach, centre.y - reach), to: (centre.x + reach, centre.y + reach)) {
            min(1, max(0, radius + 0.5 - hypot($0.x - centre.x, $0.y - centre.y)))
        }
    }

    private mutating func fill(
        corner: Drawing.Point, _ width: Double, _ height: Double, _ colour: Colour, _ opacity: Double
    ) {
        func covered(_ middle: Double, _ low: Double, _ size: Double) -> Double {
            max(0, min(middle + 0.5, low + size) - max(middle - 0.5, low))
        }
        paint(colour, from: corner, to: (corner.x + width, corner.y + height)) {
            covered($0.x, corner.x, width) * covered($0.y, corner.y, height) * opacity
        }
    }

    /// - Parameter cell: the side of one cell of a letter, in pixels.
    private mutating func write(
        _ text: String, _ place: Drawing.Point, cell: Double, _ anchor: Drawing.Anchor, _ colour: Colour,
        _ isBold: Bool
    ) {
        let advance = 6 * cell
        let length = Double(text.count) * advance - cell
        var left = place.x - (anchor == .start ? 0 : anchor == .middle ? length / 2 : length)
        // Letters begin on whole pixels, so that their edges stay sharp.
        left.round()
        let top = (place.y - 7 * cell).rounded()
        for (position, character) in text.enumerated() {
            for (row, bits) in Glyphs.rows(of: character).enumerated() {
                for column in 0..<5 where bits >> (4 - column) & 1 == 1 {
                    let corner = (left + Double(position) * advance + Double(column) * cell, top + Double(row) * cell)
                    fill(corner: corner, cell + (isBold ? 1 : 0), cell, colour, 1)
                }
            }
        }
    }
}
