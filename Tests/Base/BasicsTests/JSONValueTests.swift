import Basics
import Testing

@Suite struct JSONValueTests {
    @Test func canonicalTextSortsKeysByBytesAndUsesNoSpaces() {
        let value: JSONValue = ["b": [1, 2.5, true, nil], "a": ["é": "x", "Z": -0.1]]
        #expect(value.canonicalText == #"{"a":{"Z":-0.1,"é":"x"},"b":[1,2.5,true,null]}"#)
    }

    @Test func controlCharactersAndQuotesAreEscaped() {
        #expect(JSONValue.string("a\"\\\n\t\u{1}").canonicalText == #""a\"\\\n\t\u0001""#)
    }

    @Test func readsBackEveryInteger() throws {
        for number in [Int64.min, -1, 0, 1 << 60, .max] {
            let text = JSONValue.int(number).canonicalBytes
            #expect(try JSONValue(parsing: text, source: "x") == .int(number))
        }
    }

    @Test(arguments: [0.1, 1e300, -2.5e-10, 123456.789, 1e21])
    func readsBackEveryDouble(_ number: Double) throws {
        #expect(try JSONValue(parsing: JSONValue.double(number).canonicalBytes, source: "x").number == number)
    }

    @Test func wholeDoublesAreWrittenWithoutAPoint() { #expect(JSONValue.double(3).canonicalText == "3") }

    @Test(arguments: ["", "{", "{\"a\":}", "nan", "[1", "{} x"])
    func refusesWhatIsNotJSON(_ text: String) {
        #expect(throws: MLOpsError.self) { try JSONValue(parsing: Array(text.utf8), source: "file.json") }
    }

    @Test func notANumberSurvivesEncodingAsText() throws {
        let encoded = try JSONValue(encoding: ["loss": Double.nan])
        #expect(encoded["loss"] == "NaN")
        let decoded: [String: Double] = try encoded.decode()
        #expect(decoded["loss"]?.isNaN == true)
    }

    @Test func aSealedObjectTellsWhetherItsMembersAreThose() throws {
        let object: JSONValue = ["a": 1, "b": ["c": 0.5]]
        #expect(object.isIntact == nil && JSONValue.int(1).isIntact == nil)
        #expect(JSONValue.int(1).sealed == .int(1))
        let sealed = object.sealed
        #expect(sealed.isIntact == true && sealed.sealed == sealed)
        let read = try JSONValue(parsing: Array(sealed.prettyText.utf8), source: "x")
        #expect(read.isIntact == true && read["a"] == 1)
        var members = try #require(sealed.object)
        members["a"] = 2
        #expect(JSONValue.object(members).isIntact == false)
        members["a"] = nil
        #expect(JSONValue.object(members).isIntact == false)
    }
}
