import Basics
import Testing

@Suite struct JSONParserTests {
    private func parse(_ text: String) throws -> JSONValue {
        try JSONValue(parsing: Array(text.utf8), source: "x.json")
    }

    @Test func readsEveryKindOfValue() throws {
        let text = #" { "a" : [ 1 , -2.5e-3 , true , false , null , "x" ] , "b" : { } , "c" : [ ] } "#
        #expect(try parse(text) == ["a": [1, -0.0025, true, false, nil, "x"], "b": [:], "c": []])
    }

    @Test func keepsAllBitsOfIntegersAndReadsWholeNumbersAsThem() throws {
        #expect(try parse("9223372036854775807") == .int(.max))
        #expect(try parse("-9223372036854775808") == .int(.min))
        #expect(try parse("9223372036854775808") == .double(9_223_372_036_854_775_808))
        #expect(try parse("1.0") == 1)
        #expect(try parse("1e3") == 1000)
        #expect(try parse("0.1") == .double(0.1))
        #expect(try parse("5e-324") == .double(.leastNonzeroMagnitude))
    }

    @Test func readsEscapes() throws {
        #expect(try parse(#""\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00ü""#) == .string("\"\\/\u{8}\u{c}\n\r\tAé😀ü"))
    }

    @Test func readsBackWhatItWrites() throws {
        let value: JSONValue = ["\u{1}\"\\ü\u{1F600}": [0.1, 1e300, -7, ["": nil]], "b": true]
        #expect(try parse(value.canonicalText) == value)
        #expect(try parse(value.prettyText) == value)
    }

    @Test(arguments: [
        ("", 1, 1), ("{", 1, 2), ("[1,]", 1, 4), ("[1 2]", 1, 4), ("{\"a\"}", 1, 5), ("{\"a\":1,}", 1, 8),
        ("{a:1}", 1, 2),
        ("tru", 1, 1), ("nullx", 1, 5), ("01", 1, 3), ("-", 1, 2), ("1.", 1, 3), ("1e", 1, 3), (".5", 1, 1),
        ("+1", 1, 1),
        ("NaN", 1, 1), ("[1e400]", 1, 2), ("\"a", 1, 3), ("\"\\x\"", 1, 4), ("\"\\ud800\"", 1, 8), ("\"\n\"", 1, 2),
        ("{\n \"a\": 1,\n \"a\": 2}", 3, 2), ("1 2", 1, 3), ("// c\n1", 1, 1), ("'a'", 1, 1),
    ])
    func saysWhereItIsWrong(_ text: String, _ line: Int, _ column: Int) {
        let error = #expect(throws: MLOpsError.self) { try parse(text) }
        #expect(error?.kind == .usage)
        #expect(
            error?.location == SourceLocation(path: "x.json", line: line, column: column), "\(error?.message ?? "")")
    }

    @Test func refusesBrokenUTF8AndDeepNesting() throws {
        #expect(throws: MLOpsError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22], source: "x") }
        #expect(throws: MLOpsError.self) { try parse(String(repeating: "[", count: 100_000)) }
        _ = try parse(String(repeating: "[", count: 500) + String(repeating: "]", count: 500))
    }
}
