import Basics
import Drawings
import Foundation
import TestSupport
import Testing

@Suite struct DrawingTests {
    private static let chart = Chart(
        title: "train.<loss>", xTitle: "epoch", yTitle: "loss", rightTitle: "accuracy",
        series: [
            .init(name: "<a>", points: [(1, 0.5), (2, 0.25), (3, 0.125)]),
            .init(name: "b", points: [(1, 0.1), (2, 0.6), (3, 0.9)], isOnRight: true),
        ])

    @Test func aChartIsAPictureThatStandsForItself() throws {
        let path = FileSystem.absolute("\(#filePath)/../../../Fixtures/drawings/chart.svg")
        let text = DrawingTests.chart.svg
        if ProcessInfo.processInfo.environment["RECORD_SNAPSHOTS"] == "1" {
            try FileSystem.replace(path, with: Array(text.utf8))
        }
        #expect(String(decoding: try FileSystem.read(path), as: UTF8.self) == text)
        #expect(text.contains("train.&lt;loss&gt;") && !text.contains("<loss>"))
        #expect(Chart.ticks(0...10, count: 5) == [0, 2, 4, 6, 8, 10])
    }

    @Test func aLogarithmicAxisNamesPowersAndLeavesOutWhatHasNone() {
        let chart = Chart(
            title: "t", xTitle: "x", series: [.init(name: "a", points: [(1, 1e-3), (2, 0), (3, 1), (4, .nan)])],
            isLogarithmic: true)
        #expect(chart.svg.contains(">0.001<") && chart.svg.contains(">0.01<"))
        #expect(chart.svg.split(separator: "<circle").count == 3)
        let none = Chart(title: "t", xTitle: "x", series: [.init(name: "a", points: [])])
        #expect(none.svg.hasSuffix("</svg>\n") && none.png.count > 500)
    }

    private func rows(_ drawing: Drawing) -> [[UInt8]] {
        let raster = drawing.raster
        #expect(raster.width == Int(drawing.width * 2) && raster.height == Int(drawing.height * 2))
        let length = raster.width * 3
        return (0..<raster.height).map { Array(raster.rgb[($0 * length)..<(($0 + 1) * length)]) }
    }

    @Test func shapesArePaintedWhereTheyLie() throws {
        var drawing = Drawing(width: 40, height: 30, title: "t")
        drawing.addBox((2, 3), width: 5, height: 4, Colour(0xFF0000))
        drawing.addBox((10, 3), width: 5, height: 4, Colour(0x000000), opacity: 0.5)
        drawing.add(.disc(centre: (30, 10), radius: 4, Colour(0x00FF00), hasRim: true))
        drawing.add(.curve([(2, 25), (38, 25)], Colour(0x0000FF), width: 2, isDashed: false))
        drawing.addText("I", (20, 20))
        // What sticks out is cut off.
        drawing.addLine((-10, 28), (100, 29), .grid)
        drawing.add(.disc(centre: (90, -80), radius: 4, .ink, hasRim: true))
        drawing.addText("far away", (-300, 1e9))
        let rows = rows(drawing)
        #expect(rows.count == 60)
        func pixel(_ x: Double, _ y: Double) -> [UInt8] {
            let start = Int(x * 2) * 3
            return Array(rows[Int(y * 2)][start..<(start + 3)])
        }
        #expect(pixel(4, 5) == [255, 0, 0] && pixel(8, 5) == [255, 255, 255])
        #expect(pixel(12, 5) == [128, 128, 128] || pixel(12, 5) == [127, 127, 127])
        #expect(pixel(30, 10) == [0, 255, 0] && pixel(30, 15) == [255, 255, 255])
        #expect(pixel(20, 25) == [0, 0, 255])
        #expect(rows[30..<40].contains { $0.contains(0x24) })
    }

    @Test func aChartHasTheColoursOfItsSeries() throws {
        let rows = rows(DrawingTests.chart.drawing)
        for colour in [Colour.number(0), .number(1)] {
            let wanted = [colour.red, colour.green, colour.blue]
            let isThere = rows.contains { row in
                stride(from: 0, to: row.count, by: 3).contains { Array(row[$0..<($0 + 3)]) == wanted }
            }
            #expect(isThere, "\(colour.hex)")
        }
        // Flat pictures become small files.
        #expect(DrawingTests.chart.png.count < 100_000)
    }
}
