import Basics
import TestSupport
import Testing

/// Replays the inputs that `Scripts/fuzz-readers` kept.
@Suite struct CorpusTests {
    private static let folder = FileSystem.join(
        FileSystem.parent(of: FileSystem.parent(of: FileSystem.parent(of: #filePath))), "Fixtures/fuzz")

    @Test(arguments: FuzzedReaders.all.keys.sorted())
    func eachKeptInputGivesAValueOrOneError(_ name: String) throws {
        let reader = try #require(FuzzedReaders.all[name])
        let folder = FileSystem.join(CorpusTests.folder, name)
        let inputs = try FileSystem.list(folder)
        #expect(inputs.count > 3)
        var refused = 0
        for input in inputs {
            let path = FileSystem.join(folder, input)
            do {
                try reader(try FileSystem.read(path), path)
            } catch let error as MLOpsError {
                #expect(!error.message.isEmpty, "\(input)")
                refused += 1
            }
        }
        // Otherwise all of them fail for a reason that has nothing to do with the bytes, or the reader is not asked.
        #expect(0 < refused && refused < inputs.count, "\(refused) of \(inputs.count)")
    }
}
