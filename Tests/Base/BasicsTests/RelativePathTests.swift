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

    @Test func aRefusalNeverPrintsControlCharacters() {
        #expect { try RelativePath("\u{1B}[2J") } throws: { !"\($0)".unicodeScalars.contains("\u{1B}") }
    }
}
