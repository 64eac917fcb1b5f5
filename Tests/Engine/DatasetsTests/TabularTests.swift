import Basics
import Datasets
import TestSupport
import Testing

/// A small dataset in the manner of UCI Adult: spaces, `?`, a comment line and dotted labels in the test file.
private func adult(
    _ folder: TemporaryFolder, change: (inout DatasetDescription) -> Void = { _ in }
) throws -> DatasetFolder {
    try folder.write(
        "a.data", "30, Private, Male, <=50K\n50, ?, Female, >50K\n, Gov, Male, <=50K\n40, Private, Male, >50K\n\n")
    try folder.write("a.test", "|1x3 Cross validator\n60, Navy, Female, <=50K.\n40, ?, ?, >50K.\n")
    var description = DatasetDescription(
        kind: .tabular, name: "little adult",
        splits: ["train": .init(files: ["a.data"]), "test": .init(files: ["a.test"])])
    description.csv = CSVFormat(skipsSpaces: true, commentPrefix: "|")
    description.columns = [
        .init(name: "age", type: .numeric), .init(name: "work", type: .categorical),
        .init(name: "sex", type: .categorical),
        .init(name: "income", type: .categorical),
    ]
    description.label = .init(column: "income", positive: ">50K", stripSuffix: ".")
    description.sensitive = ["sex"]
    description.missing = "?"
    change(&description)
    try description.write(to: folder.path)
    return try DatasetFolder(folder.path)
}

@Suite struct TabularTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func theEncodingIsFittedOnTheTrainingSplitAlone() throws {
        let dataset = try adult(folder)
        let (encoding, training) = try DatasetEncoding.fitting(dataset)
        #expect(encoding.classes == ["<=50K", ">50K"])
        #expect(training.labels == [0, 1, 0, 1])
        #expect(training.groups["sex"] == ["Male", "Female", "Male", "Male"])
        // Columns: age, work=Gov, work=Private, work=?, sex=Female, sex=Male; mean 40, deviation √(200/3).
        let step = Float(10 / (200.0 / 3).squareRoot())
        let rows: [Float] = [-step, 0, 1, 0, 0, 1, step, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1]
        #expect(training.floats(at: [0, 1, 2]) == rows)
        let test = try encoding.examples(of: dataset, split: "test")
        #expect(test.labels == [0, 1])
        // `Navy` is unknown: all zeros. A missing sex was never seen in training: zeros, and group `?`.
        let testRows: [Float] = [2 * step, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0]
        #expect(test.floats(at: [0, 1]) == testRows)
        #expect(test.groups["sex"] == ["Female", "?"])
    }

    @Test func whatIsNotChosenHasNoSayInTheEncoding() throws {
        let dataset = try adult(folder)
        var seen: [Int] = []
        let (encoding, training) = try DatasetEncoding.fitting(dataset) { labels in
            seen = labels
            return [0, 3]
        }
        #expect(seen == [0, 1, 0, 1])
        guard case .tabular(let encoder) = encoding.input else {
            Issue.record("a table is tabular")
            return
        }
        // Neither the age of 50 nor `Gov`, `Female` or a missing work is known.
        #expect(encoder.fields[0].mean == 35 && encoder.fields[0].deviation == 5)
        #expect(encoder.featureNames == ["age", "work=Private", "sex=Male"])
        #expect(encoding.classes == ["<=50K", ">50K"])
        #expect(training.floats(at: [0, 1, 2, 3]) == [-1, 1, 1, 3, 0, 0, 0, 0, 1, 1, 1, 1])
    }

    @Test func aRecordIsEncodedAsItsRowWas() throws {
        let dataset = try adult(folder)
        let (encoding, training) = try DatasetEncoding.fitting(dataset)
        guard case .tabular(let encoder) = encoding.input else {
            Issue.record("a table is tabular")
            return
        }
        #expect(encoder.featureNames == ["age", "work=Gov", "work=Private", "work=?", "sex=Female", "sex=Male"])
        let record: [String: JSONValue] = ["age": "30", "work": "Private", "sex": "Male", "extra": 1]
        #expect(try encoder.encode(record) == training.floats(at: [0]))
        #expect(try encoder.encode(["age": nil, "work": "?", "sex": ""]) == [0, 0, 0, 1, 0, 0])
        let absent = try #require(throws: MLOpsError.self) { try encoder.encode(["age": 1, "sex": "Male"]) }
        #expect(absent.message == "the record has no column `work`")
        let text = try #require(throws: MLOpsError.self) {
            try encoder.encode(["age": "old", "work": "Gov", "sex": "Male"])
        }
        #expect(text.message == "column `age` holds `\"old\"`, expected a number")
        let huge = try encoder.encode(["age": 1e300, "work": "Gov", "sex": "Male"])
        #expect(huge.allSatisfy { $0.isFinite })
    }

    @Test func anEncodingSurvivesJSON() throws {
        let (encoding, _) = try DatasetEncoding.fitting(try adult(folder))
        let copy: DatasetEncoding = try JSONValue(encoding: encoding).decode()
        #expect(copy == encoding)
    }

    @Test func aLabelThatIsNoClassNamesTheSuffixOption() throws {
        let dataset = try adult(folder) { $0.label?.stripSuffix = nil }
        let (encoding, _) = try DatasetEncoding.fitting(dataset)
        let error = try #require(throws: MLOpsError.self) { try encoding.examples(of: dataset, split: "test") }
        #expect(error.message.contains("label `<=50K.`"))
        #expect(error.hint?.contains("strip_suffix") == true)
    }

    @Test func textInANumericColumnIsFoundByLine() throws {
        let dataset = try adult(folder) { $0.columns?[1].type = .numeric }
        let error = try #require(throws: MLOpsError.self) { try DatasetEncoding.fitting(dataset) }
        #expect(error.description == "\(folder("a.data")):1: column `work` holds `Private`, expected a number")
    }

    @Test(arguments: [
        ("{\"kind\":\"tabular\"", "not valid JSON"),
        ("{\"format\":1,\"kind\":\"tabuler\",\"name\":\"x\",\"splits\":{}}", "`kind`"),
        ("{\"format\":1,\"kind\":\"images\",\"splits\":{}}", "`name` is missing"),
        ("{\"format\":1,\"kind\":\"images\",\"name\":\"x\",\"splits\":{},\"colums\":[]}", "unknown key `colums`"),
        ("{\"format\":9,\"kind\":\"images\",\"name\":\"x\",\"splits\":{}}", "format 9 is not known"),
        (
            "{\"format\":1,\"kind\":\"images\",\"name\":\"x\",\"splits\":{\"train\":{\"images\":\"../x\",\"labels\":\"y\"}}}",
            "leaves the repository"
        ),
    ])
    func aWrongDescriptionIsRefused(_ text: String, _ words: String) throws {
        try folder.write("dataset.json", text)
        let error = try #require(throws: MLOpsError.self) { try DatasetFolder(folder.path) }
        #expect(error.message.contains(words))
        #expect(error.kind == .usage)
    }

    @Test func aFolderWithoutDescriptionOrSplitSaysSo() throws {
        let empty = try TemporaryFolder()
        let error = try #require(throws: MLOpsError.self) { try DatasetFolder(empty.path) }
        #expect(error.kind == .notFound && error.message.contains("dataset.json"))
        let missing = try #require(throws: MLOpsError.self) { try adult(folder).table("tests") }
        #expect(missing.hint == "did you mean `test`?")
    }
}

@Suite struct SplitsTests {
    private let labels = (0..<1000).map { $0 % 10 == 0 ? 1 : 0 }

    @Test func aStratifiedSplitKeepsTheClassesSharesAndEveryExample() {
        let split = Splits.stratified(labels: labels, fraction: 0.2, seed: 7)
        #expect((split.kept + split.heldOut).sorted() == Array(0..<1000))
        #expect(split.heldOut.count == 200)
        #expect(split.heldOut.count { labels[$0] == 1 } == 20)
    }

    @Test func theSeedAloneDecides() {
        func heldOut(_ seed: UInt64) -> [Int] { Splits.stratified(labels: labels, fraction: 0.3, seed: seed).heldOut }
        #expect(heldOut(1) == heldOut(1))
        #expect(heldOut(1) != heldOut(2))
        #expect(Splits.sample(labels: labels, count: 100, seed: 3).count == 100)
        #expect(Splits.sample(labels: labels, count: 5000, seed: 3) == Array(0..<1000))
    }
}
