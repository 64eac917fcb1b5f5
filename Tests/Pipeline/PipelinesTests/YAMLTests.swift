import Basics
import Foundation
import TestSupport
import Testing

@testable import Pipelines

struct YAMLTests {
    private func json(_ text: String) throws -> JSONValue { try YAML.parse(text, file: "f.yaml").toJSON() }

    private func message(_ text: String) -> String {
        do {
            _ = try YAML.parse(text, file: "f.yaml")
            return "no error"
        } catch {
            return "\(error)"
        }
    }

    @Test(
        arguments: [
            ("no", .string("no")), ("on", .string("on")), ("yes", .string("yes")), ("Off", .string("Off")),
            ("y", .string("y")), ("null", .null), ("~", .null), ("", .null), ("NULL", .null), ("nUll", .string("nUll")),
            ("true", .bool(true)), ("False", .bool(false)), ("tRue", .string("tRue")), ("12", .int(12)),
            ("+12", .int(12)),
            ("-0", .int(0)), ("012", .int(12)), ("0o17", .int(15)), ("0x1F", .int(31)), ("0b11", .string("0b11")),
            ("1_000", .string("1_000")), ("1e3", .double(1000)), ("1.", .double(1)), (".5", .double(0.5)),
            ("-1.5e-3", .double(-0.0015)), ("1.2.3", .string("1.2.3")), ("12:30:45", .string("12:30:45")),
            ("2001-12-14", .string("2001-12-14")), (".inf", .double(.infinity)), ("-.INF", .double(-.infinity)),
            (".", .string(".")), ("-", .array([.null])), ("+", .string("+")), ("e5", .string("e5")),
            ("1e", .string("1e")),
            ("\"12\"", .string("12")), ("'true'", .string("true")), ("0o8", .string("0o8")), ("0x", .string("0x")),
            ("9223372036854775807", .int(.max)), ("-9223372036854775808", .int(.min)),
        ] as [(String, JSONValue)])
    func scalarsFollowTheCoreSchemaOfYAML12(_ text: String, _ value: JSONValue) throws {
        #expect(try json(text) == value)
    }

    @Test func notANumberIsADouble() throws {
        #expect(try json(".nan").number?.isNaN == true)
    }

    @Test func mapsKeepTheirOrderAndEveryValueItsPlace() throws {
        let node = try YAML.parse("b: 1\na:\n  - x\n  - {c: [é, 2]}\n", file: "dir/f.yaml")
        let map = try node.map()
        #expect(map.keys == ["b", "a"])
        let list = try #require(map["a"]).list()
        #expect(list[0].location.description == "dir/f.yaml:3:5")
        let inner = try #require(try list[1].map()["c"]).list()
        #expect(inner[1].location.description == "dir/f.yaml:4:13")
        #expect(inner[1].text == "2")
    }

    @Test func blockStringsAndQuotesAreRead() throws {
        let text = "a: |\n  x\n   y\nb: >-\n  x\n  y\nc: \"\\u00e9\\n\"\nd: 'it''s'\n"
        #expect(try json(text) == ["a": "x\n y\n", "b": "x y", "c": "é\n", "d": "it's"])
    }

    @Test func interpolationsNeedNoQuotesInsideBraces() throws {
        let text = "with: { a: ${params.train.lr}, b: [x-${git.branch}-y, $${z.z}] }\nrun: echo ${HOME:-x}\n"
        #expect(
            try json(text) == [
                "with": ["a": "${params.train.lr}", "b": ["x-${git.branch}-y", "$${z.z}"]], "run": "echo ${HOME:-x}",
            ])
        #expect(try YAML.parse("a: { b: ${c.d}, e: f }", file: "f").map().map("a")?["e"]?.location.column == 20)
    }

    @Test(arguments: [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: the key `a` stands twice in this map"),
        ("a: !!python/object x\n", "f.yaml:1:4: the tag `tag:yaml.org,2002:python/object` is not allowed"),
        ("a: !x {}\n", "f.yaml:1:4: the tag `!x` is not allowed"),
        ("a: ! x\n", "f.yaml:1:4: the tag `!` is not allowed"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "f.yaml:3:3: merge keys (`<<`) are not supported"),
        ("a: *b\n", "f.yaml:1:4: the alias `*b` has no anchor before it"),
        ("a: &a [*a]\n", "f.yaml:1:8: the alias `*a` has no anchor before it"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here"),
        ("%YAML 1.1\n---\na: 1\n", "f.yaml:1:1: `%` directives are not supported"),
        ("[a]: 1\n", "f.yaml:1:1: a list cannot be a key"),
        ("? {a: 1}\n: 2\n", "f.yaml:1:3: a map cannot be a key"),
        ("a: 123456789012345678901\n", "f.yaml:1:4: the number `123456789012345678901` does not fit into 64 bits"),
        ("a: x\u{0}y\n", "f.yaml:1:5: control character U+0000 is not allowed"),
        ("é: \u{7f}\n", "f.yaml:1:4: control character U+007F is not allowed"),
        ("a: \u{E000}\n", "f.yaml:1:4: the private character U+E000 is not allowed"),
    ])
    func whatIsNotInTheSubsetIsRefusedWithItsPlace(_ text: String, _ expected: String) {
        #expect(message(text) == expected)
    }

    @Test(
        arguments: [
            ("a:\n\tb: 1\n", "indent with spaces; line 2 begins with a tab"),
            ("a: b: c\n", "put a text that contains `: ` in quotes"),
            ("a: [1, 2\nb: 3\n", nil), ("a: 'x\n", nil), ("a: 1\n  b: 2\n", "put a text that contains `: ` in quotes"),
        ] as [(String, String?)])
    func brokenSyntaxHasAPlaceAndWhereItCanAHint(_ text: String, _ hint: String?) {
        #expect(throws: MLOpsError.self) {
            do {
                _ = try YAML.parse(text, file: "f.yaml")
            } catch let error as MLOpsError {
                #expect(error.kind == .usage)
                #expect(error.location != nil)
                if let hint { #expect(error.hint == hint) }
                throw error
            }
        }
    }

    @Test func brokenUTF8IsRefusedWithItsPlace() {
        for bytes: [UInt8] in [
            [0xFF], [0xC0, 0x80], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x80],
        ] {
            #expect {
                try YAML.parse(Array("a: ".utf8) + bytes, file: "f.yaml")
            } throws: {
                ($0 as? MLOpsError)?.location?.description == "f.yaml:1:4"
            }
        }
    }

    @Test func aByteOrderMarkIsSkipped() throws {
        #expect(try YAML.parse([0xEF, 0xBB, 0xBF] + Array("a: 1".utf8), file: "f").toJSON() == ["a": 1])
    }

    // MARK: Limits

    /// The processor's time of this thread: what others do on the machine does not count.
    private func threadSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    @Test func bombsAreRefusedQuickly() throws {
        var laughs = "l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
        for level in 1..<10 {
            let aliases = Array(repeating: "*l\(level - 1)", count: 10).joined(separator: ", ")
            laughs += "l\(level): &l\(level) [\(aliases)]\n"
        }
        let bombs: [(String, String)] = [
            (laughs, "the document holds more than 100000 values, counting what aliases repeat"),
            (
                "a: &a x\nb: [\(Array(repeating: "*a", count: 200).joined(separator: ", "))]\n",
                "there are more than 100 aliases"
            ),
            (String(repeating: "[", count: 500_000), "lists and maps are nested deeper than 64"),
            (String(repeating: "- ", count: 500_000), "lists and maps are nested deeper than 64"),
            (String(repeating: "{a: ", count: 200_000), "lists and maps are nested deeper than 64"),
            (
                String(repeating: "- x\n", count: 200_000),
                "the document holds more than 100000 values, counting what aliases repeat"
            ),
            (
                "[" + String(repeating: "x,", count: 400_000) + "]",
                "the document holds more than 100000 values, counting what aliases repeat"
            ),
        ]
        for (bomb, expected) in bombs {
            let start = threadSeconds()
            #expect(message(bomb).hasSuffix(expected))
            #expect(threadSeconds() - start < 0.2, "\(expected)")
        }
    }

    @Test func tenThousandAnchorsAreReadQuickly() throws {
        let text = (0..<10_000).map { "k\($0): &a\($0) v" }.joined(separator: "\n")
        let start = threadSeconds()
        #expect(try YAML.parse(text, file: "f").map().entries.count == 10_000)
        #expect(threadSeconds() - start < 0.2)
    }

    @Test func anAliasWithinTheLimitsStandsForItsValue() throws {
        #expect(try json("a: &x {b: 1}\nc: *x\n") == ["a": ["b": 1], "c": ["b": 1]])
    }

    /// Nobody reads a tebibyte within the limit.
    @Test(.timeLimit(.minutes(1))) func aHugeFileIsRefusedWithoutReadingIt() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("big.yaml", "a: 1\n")
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.truncate(atOffset: 1 << 40)
        try handle.close()
        #expect {
            try YAML.read(path, name: "big.yaml")
        } throws: {
            "\($0)" == "`big.yaml` is 1.0 TiB long, the limit is 1.0 MiB"
        }
    }

    // MARK: Decoding

    @Test func decodingShowsWhatWasGivenAndExpected() throws {
        let map = try YAML.parse("a: 1\nb: x\nc: [1]\nd: {}\ne: 2.5\nf:\n", file: "f.yaml").map()
        func message(_ body: () throws -> Void) -> String {
            do { try body() } catch { return "\(error)" }
            return "no error"
        }
        #expect(message { _ = try map.string("a") } == "f.yaml:1:4: expected a text, found the number `1`")
        #expect(message { _ = try map.int("b") } == "f.yaml:2:4: expected a whole number, found the text `x`")
        #expect(message { _ = try map.bool("c") } == "f.yaml:3:4: expected `true` or `false`, found a list")
        #expect(message { _ = try map.strings("d") } == "f.yaml:4:4: expected a list, found a map")
        #expect(message { _ = try map.int("e") } == "f.yaml:5:4: expected a whole number, found the number `2.5`")
        #expect(message { _ = try map.strings("c") } == "f.yaml:3:5: expected a text, found the number `1`")
        #expect(try map.double("a") == 1)
        #expect(try map.string("f") == nil)
        #expect(
            message { try map.rejectUnknownKeys(["a", "b", "c", "d", "ee", "f"], of: "this") }
                == "f.yaml:5:1: unknown key `e` in this")
    }

    // MARK: Writing

    @Test(arguments: [
        "plain", "two words", "", " lead", "trail ", "no", "YES", "null", "12", "1.5", "0x1F", "a: b", "a #b", "#x",
        "- x", "-x",
        "---", "*a", "&a", "!t", "%x", "@x", "`x`", "a:", "x\ny", "tab\there", "quote\"s", "it's", "é", "{a}", "[a]",
        "a, b",
        "sha256:00ff", "models/x@v1", "C:\\x", "\u{1}", "\u{2028}", "~", "<<", "?", "? x", ":", ".", "...", "=",
        "2026-01-31",
        "${params.x}", "|", ">", "1e3", "true",
    ])
    func anyTextIsReadBackAsItself(_ text: String) throws {
        let written = YAMLWriter.text(of: [
            "key": .string(text), "list": [.string(text)], "map": .map([(key: text, value: .int(1))]),
        ])
        #expect(try json(written) == ["key": .string(text), "list": [.string(text)], "map": .object([text: 1])])
    }

    @Test func pointersAreWrittenAsPeopleWriteThem() throws {
        let value: YAMLValue = [
            "path": "data/census", "digest": "sha256:ab", "byteCount": 12, "ratio": 0.5, "none": nil, "empty": [:],
            "list": [],
            "parents": [["artifact": "datasets/a", "version": 1], "x", [1, 2]], "git": ["dirty": false],
        ]
        #expect(
            YAMLWriter.text(of: value) == """
                path: data/census
                digest: sha256:ab
                byteCount: 12
                ratio: 0.5
                none: null
                empty: {}
                list: []
                parents:
                  - artifact: datasets/a
                    version: 1
                  - x
                  - - 1
                    - 2
                git:
                  dirty: false

                """)
        let node = try YAML.parse(YAMLWriter.text(of: value), file: "f")
        #expect(YAMLWriter.text(of: YAMLValue(node)) == YAMLWriter.text(of: value))
    }
}
