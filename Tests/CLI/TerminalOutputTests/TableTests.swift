import Testing

@testable import TerminalOutput

@Suite struct TableTests {
    @Test func columnsLineUpWhateverTheScript() {
        var table = Table([.init("name"), .init("size", .right), .init("note")])
        table.add("digits", "12 B", "")
        table.add("数字", "3.4 MiB", "wide")
        table.add("cafe\u{301}", "1 B", "joined")
        #expect(
            table.text(.plain) == """
                NAME       SIZE  NOTE
                digits     12 B
                数字    3.4 MiB  wide
                cafe\u{301}        1 B  joined

                """)
    }

    @Test func aNarrowTerminalCutsTextAndKeepsNumbers() {
        var table = Table([.init("path", truncation: .middle), .init("bytes", .right)])
        table.add("data/train/images/000001.png", "123456789")
        let lines = table.text(TextStyle(width: 30)).split(separator: "\n")
        #expect(lines[1] == "data/trai…00001.png  123456789")
        #expect(lines.allSatisfy { displayWidth(String($0)) <= 30 })
        #expect(table.text(.plain).contains("data/train/images/000001.png"))
    }

    @Test func colourDoesNotShiftColumns() {
        var table = Table(titles: ["gate", "limit"])
        table.add(.init("passed", .good), "0.85")
        table.add(.init("no", .bad), "0.90")
        let styled = table.text(TextStyle(usesColor: true))
        #expect(styled.contains("\u{1B}[32mpassed\u{1B}[0m  0.85"))
        #expect(styled.contains("\u{1B}[31;1mno\u{1B}[0m      0.90"))
        #expect(!table.text(.plain).contains("\u{1B}"))
    }

    @Test func aTableWithoutRowsPrintsNothing() {
        #expect(Table(titles: ["a", "b"]).text(.plain) == "")
    }

    @Test func hostileNamesCannotMoveTheCursor() {
        var table = Table(titles: ["name"])
        table.add("a\u{1B}[2Jb\nc")
        #expect(table.text(.plain) == "NAME\na\\u{1b}[2Jb\\u{a}c\n")
    }

    @Test func factsStandUnderEachOther() {
        var facts = FactList([("digest", "sha256:12"), ("size", "3 B")])
        facts.add("branch", ifKnown: nil)
        #expect(facts.text(.plain) == "digest  sha256:12\nsize    3 B\n")
    }

    @Test func widthsFollowUnicode() {
        #expect(displayWidth("abc") == 3)
        #expect(displayWidth("日本") == 4)
        #expect(displayWidth("é") == 1)
        #expect(displayWidth("e\u{301}") == 1)
        #expect(displayWidth("👩‍👩‍👧") == 2)
        #expect(displayWidth("❤️") == 2)
        #expect(displayWidth("µ…░█") == 4)
    }

    @Test func cutTextsShowThatTheyAreCut() {
        #expect(truncated("a long sentence", to: 7) == "a long…")
        #expect(truncated("short", to: 7) == "short")
        #expect(truncated("日本語", to: 4) == "日…")
        #expect(truncated("abcdefghij", to: 5, .middle) == "ab…ij")
        #expect(truncated("abc", to: 1) == "…")
        #expect(truncated("abc", to: 0) == "")
    }
}
