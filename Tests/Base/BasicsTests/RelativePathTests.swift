import Basics
import Testing

@Suite struct RelativePathTests {
    @Test(arguments: [
        "", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", "./a", "a//b", "a/", "a/./b", "a\0b", "a\nb",
        "\u{1B}[2J",
        ".git/config", "a/.git", ".GIT/hooks", ".mlops/index.sqlite", "sub/.mlops", String(repeating: "x", count: 256),
    ])
    func refusesEveryWayOut(_ text: String) {
        #expect(throws: MLOpsError.self) { try RelativePath(text) }
    }

    @Test(arguments: ["a", "a/b", ".gitignore", "..a", "a..", "données/été.csv", "C:", "a b", "%2e%2e", "a;b#c"])
    func takesOrdinaryNames(_ text: String) throws { #expect(try RelativePath(text).description == text) }

    /// A joiner or an accent at the start of a name makes one character with the slash before it.
    @Test func slashesCountWhateverFollowsThem() throws {
        for text in [
            "a/\u{200D}.git", "a/\u{301}x/../y", "/\u{301}x", "a/\u{200D}b/" + String(repeating: "x", count: 256),
        ] {
            #expect(throws: MLOpsError.self, "\(text)") { try RelativePath(text) }
        }
        let path = try RelativePath("a/\u{301}x/\u{200D}y")
        #expect(
            path.parts.map { Array($0.utf8) } == [Array("a".utf8), Array("\u{301}x".utf8), Array("\u{200D}y".utf8)])
        #expect(Array(path.lastPart.utf8) == Array("\u{200D}y".utf8))
        #expect(FileSystem.parent(of: "a/\u{301}x") == "a" && FileSystem.parent(of: "/\u{301}x") == "/")
        #expect(Array(FileSystem.name(of: "a/\u{301}x").utf8) == Array("\u{301}x".utf8))
        #expect(FileSystem.name(of: "a/b/") == "b" && FileSystem.name(of: "/") == "/")
        #expect(FileSystem.absolute("\u{301}x/../y", from: "/a") == "/a/y")
    }

    @Test func aRefusalNeverPrintsControlCharacters() {
        #expect { try RelativePath("\u{1B}[2J") } throws: { !"\($0)".unicodeScalars.contains("\u{1B}") }
    }
}
