import Basics
import TestSupport
import Testing

@testable import Pipelines

/// The corpus of hostile names as paths of a pipeline.
@Suite struct HostileSpecTests {
    @Test func pathsOfASpecStayInTheProject() throws {
        let folder = try TemporaryFolder()
        for name in HostileName.all {
            let text = JSONValue.string(name.text).canonicalText
            for key in ["outs", "metrics", "deps"] {
                try folder.write("p.yaml", "version: 1\nname: p\nstages:\n  a:\n    run: x\n    \(key): [\(text)]\n")
                do {
                    let pipeline = try Pipeline.load(PipelineSource(root: folder.path, file: folder("p.yaml")))
                    #expect(
                        name.kind == .odd || key == "deps" || name.text == "a/",
                        "\(key) \(name): \(pipeline.stages.count)")
                } catch {
                    #expect(!hasRawControls("\(error)"), "\(key) \(name)")
                }
            }
            try folder.write("p.yaml", "version: 1\nname: p\nparams: [\(text)]\nstages:\n  a: { run: x }\n")
            _ = try? Pipeline.load(PipelineSource(root: folder.path, file: folder("p.yaml")))
        }
    }
}
