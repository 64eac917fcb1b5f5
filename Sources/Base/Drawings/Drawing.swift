/// Shapes one on top of the other, on white, in points from the upper left corner: given as SVG or as PNG.
package struct Drawing: Sendable {
    package typealias Point = (x: Double, y: Double)

    package enum Anchor: String, Sendable { case start, middle, end }

    package enum Shape: Sendable {
        case line(from: Point, to: Point, Colour, width: Double)
        /// Through all points in their order.
        case curve([Point], Colour, width: Double, isDashed: Bool)
        /// A white rim tells a disc from what it lies on.
        case disc(centre: Point, radius: Double, Colour, hasRim: Bool)
        /// - Parameter opacity: in 0...1.
        case box(corner: Point, width: Double, height: Double, Colour, opacity: Double)
        /// At the left, middle or right of its base line.
        case text(String, at: Point, size: Double, Anchor, Colour, isBold: Bool)
    }

    package var width: Double
    package var height: Double
    /// What people who cannot see it are told.
    package var title: String
    package private(set) var shapes: [Shape] = []

    package init(width: Double, height: Double, title: String) {
        self.width = width
        self.height = height
        self.title = title
    }

    package mutating func add(_ shape: Shape) { shapes.append(shape) }

    package mutating func addLine(_ from: Point, _ to: Point, _ colour: Colour, width: Double = 1) {
        add(.line(from: from, to: to, colour, width: width))
    }

    package mutating func addText(
        _ text: String, _ place: Point, size: Double = 12, _ anchor: Anchor = .middle, _ colour: Colour = .ink,
        isBold: Bool = false
    ) { add(.text(text, at: place, size: size, anchor, colour, isBold: isBold)) }

    package mutating func addBox(
        _ corner: Point, width: Double, height: Double, _ colour: Colour, opacity: Double = 1
    ) { add(.box(corner: corner, width: width, height: height, colour, opacity: opacity)) }
}

/// Red, green and blue, a byte each.
package struct Colour: Hashable, Sendable {
    package var red: UInt8
    package var green: UInt8
    package var blue: UInt8

    /// `0xRRGGBB`.
    package init(_ code: UInt32) {
        (red, green, blue) = (UInt8(code >> 16 & 255), UInt8(code >> 8 & 255), UInt8(code & 255))
    }

    package static let ink = Colour(0x24292F)
    package static let white = Colour(0xFFFFFF)
    package static let grid = Colour(0xDDDDDD)

    /// Colours that people who see few of them can tell apart (Okabe and Ito, 2008).
    package static let apart = [0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9, 0x000000].map { Colour($0) }

    /// One of `apart` for a number of a series or class.
    package static func number(_ index: Int) -> Colour { apart[index % apart.count] }

    /// `#rrggbb`.
    package var hex: String {
        "#" + [red, green, blue].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
