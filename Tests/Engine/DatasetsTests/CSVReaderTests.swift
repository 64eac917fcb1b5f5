import Basics
import Datasets
import TestSupport
import Testing

@Suite struct CSVReaderTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func rows(
        _ text: String, _ format: CSVFormat = CSVFormat(), columns: [String]? = ["a", "b"]
    ) throws -> [[String]] {
        let reader = try CSVReader(path: try folder.write("x.csv", text), format: format, columns: columns)
        var rows: [[String]] = []
        while let row = try reader.next() { rows.append(row.fields) }
        return rows
    }

    private func fault(
        _ text: String, _ format: CSVFormat = CSVFormat(), columns: [String]? = ["a", "b"]
    ) throws -> MLOpsError {
        try #require(throws: MLOpsError.self) { _ = try rows(text, format, columns: columns) }
    }

    @Test func quotesDelimitersAndLineBreaksInsideAFieldAreText() throws {
        let found = try rows("1,\"a \"\"b\"\", c\"\r\n2,\"two\nlines\"\r\n\"\",\n")
        let expected = [["1", "a \"b\", c"], ["2", "two\nlines"], ["", ""]]
        #expect(found == expected)
    }

    @Test func theLastLineNeedsNoLineBreakAndBlankLinesDoNotCount() throws {
        #expect(try rows("\n1,2\n\r\n\n3,4") == [["1", "2"], ["3", "4"]])
        #expect(try rows("").isEmpty)
    }

    @Test func aByteOrderMarkIsNoText() throws {
        #expect(try rows("\u{FEFF}1,2\n") == [["1", "2"]])
    }

    @Test func commentsAndSpacesAfterTheDelimiterAreSkippedOnRequest() throws {
        let format = CSVFormat(skipsSpaces: true, commentPrefix: "|")
        let found = try rows("|1x3 Cross validator\n25, Private\n 3,  \"x\"\n", format)
        #expect(found == [["25", "Private"], ["3", "x"]])
        #expect(try rows("1, 2\n") == [["1", " 2"]])
    }

    @Test func aRowWithTooFewOrTooManyFieldsNamesItsLineAndBothCounts() throws {
        let short = try fault("1,2\n\"a\nb\",2\n3\n")
        #expect(short.description == "\(folder("x.csv")):4: expected 2 fields, found 1")
        #expect(short.kind == .usage)
        #expect(try fault("1,2,3\n").message == "expected 2 fields, found 3")
    }

    @Test func brokenQuotesNameTheLineWhereTheyOpen() throws {
        #expect(
            try fault("1,2\n3,\"open\n4,5\n").description.contains("x.csv:2: the quote that opens here is never closed")
        )
        #expect(try fault("1,\"a\"b\n").description.contains("x.csv:1: text after a closing quote"))
    }

    @Test func aHeaderGivesTheNamesAndMustNotRepeatThem() throws {
        let path = try folder.write("h.csv", "x;y\n1;2\n")
        let reader = try CSVReader(path: path, format: CSVFormat(delimiter: ";", hasHeader: true))
        #expect(reader.columns == ["x", "y"])
        #expect(try reader.next()?.fields == ["1", "2"])
        #expect(try fault("x,x\n", CSVFormat(hasHeader: true), columns: nil).message.contains("`x` twice"))
        #expect(
            try fault("x,z\n1,2\n", CSVFormat(hasHeader: true)).message == "column 1 of the header is `x`, expected `a`"
        )
    }

    @Test func textInANumericColumnNamesTheColumn() throws {
        let path = try folder.write("n.csv", "1e3,abc\n1e400,0x10\n")
        let reader = try CSVReader(path: path, format: CSVFormat(), columns: ["a", "b"])
        let first = try #require(try reader.next())
        #expect(try first.number(0, column: "a") == 1000)
        let error = try #require(throws: MLOpsError.self) { try first.number(1, column: "b") }
        #expect(error.description == "\(path):1: column `b` holds `abc`, expected a number")
        let second = try #require(try reader.next())
        #expect(throws: MLOpsError.self) { try second.number(0, column: "a") }
        #expect(throws: MLOpsError.self) { try second.number(1, column: "b") }
    }

    @Test func aRecordWithoutEndIsRefusedBeforeItFillsTheMemory() throws {
        #expect(try fault(String(repeating: "x", count: 2 << 20)).message.contains("longer than 1.0 MiB"))
    }

    @Test func textThatIsNotUTF8NamesItsLineAndField() throws {
        let path = try folder.write("latin.csv", Array("1,é\n".utf8) + [0x32, 0x2C, 0x63, 0xE9, 0x0A])
        let reader = try CSVReader(path: path, format: CSVFormat(), columns: ["a", "b"])
        #expect(try reader.next()?.fields == ["1", "é"])
        let error = try #require(throws: MLOpsError.self) { try reader.next() }
        #expect(error.description.contains("latin.csv:2: field 2 holds `c\u{FFFD}`, which is not UTF-8"))
    }

    @Test func thousandsOfColumnsAreRead() throws {
        let names = (0..<20000).map { "c\($0)" }
        let text = names.joined(separator: ",") + "\n" + names.indices.map(String.init).joined(separator: ",") + "\n"
        let found = try rows(text, CSVFormat(hasHeader: true), columns: nil)
        #expect(found == [names.indices.map(String.init)])
    }

    @Test func anImpossibleDelimiterIsRefused() throws {
        #expect(try fault("1,2", CSVFormat(delimiter: "||")).message.contains("not one ASCII character"))
    }

    @Test func recordsThatCrossTheReadersBufferStayWhole() throws {
        let lines = (0..<20000).map { "\($0),\"value \($0)\"" }
        let rows = try rows(lines.joined(separator: "\r\n"))
        #expect(rows.count == 20000)
        #expect(rows[19999] == ["19999", "value 19999"])
        #expect(rows.allSatisfy { $0[1] == "value \($0[0])" })
    }
}
