import ArtifactRegistry
import Basics
import Testing

@Suite struct ArtifactNameTests {
    @Test(arguments: ["models/census", "datasets/a", "models/team/census", "reports/2026-11.q4_x", "models/9lives"])
    func readsWhatItWrites(_ text: String) throws {
        let name = try ArtifactName(text)
        #expect(name.description == text)
        #expect(try JSONValue(encoding: name).decode(as: ArtifactName.self) == name)
    }

    @Test func splitsAtTheFirstSlash() throws {
        let name = try ArtifactName("models/team/census")
        #expect(name.kind == "models")
        #expect(name.name == "team/census")
    }

    @Test(arguments: [
        "", "models", "models/", "/models/x", "models//x", "models/x/", "Models/x", "models/X", "models/é",
        "models/a b",
        "models/.x", "models/..", "models/../x", "../x", "models/x/../../y", "models/-x", "models/x\\y",
        "models/%2e%2e",
        "models/x;y", "models/x#y", "models/x?y", "models/x\u{0}", "models/x\n", "models/1.json", "models/x.yaml",
        "model-s/x", "m0dels/x", "models/x@v1", "file:///x", "C:/x", "models/.git", "models/.mlops",
        "models/" + String(repeating: "x", count: 200),
    ])
    func refusesWhatCouldBeAnythingElse(_ text: String) {
        let error = #expect(throws: MLOpsError.self) { try ArtifactName(text) }
        #expect(error?.kind == .usage)
        #expect(error?.message.contains("\n") == false)
        #expect(error?.hint != nil)
    }

    @Test func suggestsLowerCase() {
        let error = #expect(throws: MLOpsError.self) { try ArtifactName("models/Census") }
        #expect(error?.hint == "did you mean `models/census`?")
    }

    @Test(arguments: [
        ("models/x", ArtifactReference.Selector.latest), ("models/x@latest", .latest), ("models/x@v3", .version(3)),
        ("models/x@3", .version(3)), ("models/a/b@production", .alias("production")),
        ("models/x@vnext", .alias("vnext")),
    ])
    func readsReferences(_ text: String, _ selector: ArtifactReference.Selector) throws {
        #expect(try ArtifactReference(text).selector == selector)
    }

    @Test(arguments: [
        "models/x@", "models/x@v0", "models/x@0", "models/x@A", "models/x@a@b", "models/x@-1", "models/x@a/b",
    ])
    func refusesOtherReferences(_ text: String) {
        #expect(throws: MLOpsError.self) { try ArtifactReference(text) }
    }

    @Test(arguments: ["latest", "v1", "12", "", "Production", "a b"])
    func refusesAliasesThatReadAsSomethingElse(_ alias: String) {
        #expect(throws: MLOpsError.self) { try checkedAlias(alias) }
    }
}
