internal import Basics

extension Drawing {
    /// A picture that stands for itself: no scripts, no fonts, no links.
    package var svg: String {
        let size = "width=\"\(Drawing.number(width))\" height=\"\(Drawing.number(height))\""
        let head = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" \(size) "
                + "viewBox=\"0 0 \(Drawing.number(width)) \(Drawing.number(height))\" font-family=\"sans-serif\" role=\"img\">",
            "<title>\(Drawing.escaped(title))</title>", "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>",
        ]
        return (head + shapes.map(Drawing.element) + ["</svg>", ""]).joined(separator: "\n")
    }

    private static func element(_ shape: Shape) -> String {
        switch shape {
        case .line(let from, let to, let colour, let width):
            return
                "<line x1=\"\(number(from.x))\" y1=\"\(number(from.y))\" x2=\"\(number(to.x))\" y2=\"\(number(to.y))\" "
                + "stroke=\"\(colour.hex)\"\(width == 1 ? "" : " stroke-width=\"\(number(width))\"")/>"
        case .curve(let points, let colour, let width, let isDashed):
            let path = points.map { "\(number($0.x)),\(number($0.y))" }.joined(separator: " ")
            return
                "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(colour.hex)\" stroke-width=\"\(number(width))\""
                + "\(isDashed ? " stroke-dasharray=\"5 3\"" : "")/>"
        case .disc(let centre, let radius, let colour, let hasRim):
            return "<circle cx=\"\(number(centre.x))\" cy=\"\(number(centre.y))\" r=\"\(number(radius))\" "
                + "fill=\"\(colour.hex)\"\(hasRim ? " stroke=\"#ffffff\"" : "")/>"
        case .box(let corner, let width, let height, let colour, let opacity):
            let faint = opacity == 1 ? "" : " fill-opacity=\"\(Format.number(opacity))\""
            return "<rect x=\"\(number(corner.x))\" y=\"\(number(corner.y))\" width=\"\(number(width))\" "
                + "height=\"\(number(height))\" fill=\"\(colour.hex)\"\(faint)/>"
        case .text(let text, let place, let size, let anchor, let colour, let isBold):
            return "<text x=\"\(number(place.x))\" y=\"\(number(place.y))\" font-size=\"\(number(size))\" "
                + "text-anchor=\"\(anchor.rawValue)\" fill=\"\(colour.hex)\"\(isBold ? " font-weight=\"bold\"" : "")>"
                + "\(escaped(text))</text>"
        }
    }

    /// To a tenth of a point.
    private static func number(_ value: Double) -> String { Format.number((value * 10).rounded() / 10) }

    /// For text and attributes of XML, without what a terminal would take for an order.
    private static func escaped(_ text: String) -> String {
        printable(text).reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
    }
}
