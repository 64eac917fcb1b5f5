internal import Basics
public import Tensors

/// All of a run's state: weights, optimizer, averages, best epoch, schedule, random states and the place in the order of
/// examples. A run that resumes from it ends bit for bit as one that was never interrupted.
///
/// It is tensors and texts, so that a safetensors file can hold it.
public struct TrainingCheckpoint: Sendable {
    /// `model.PATH`, `optimizer.NAME`, `average.INDEX` and `best.PATH`.
    public let tensors: [String: Tensor]
    /// `training`: where the run is, as JSON.
    public let metadata: [String: String]

    /// What a file gave.
    ///
    /// - Throws: if the texts are not those of a checkpoint.
    public init(tensors: [String: Tensor], metadata: [String: String]) throws {
        self.tensors = tensors
        self.metadata = metadata
        _ = try position()
    }

    init(_ position: TrainingPosition, _ parts: [String: [String: Tensor]]) throws {
        var tensors: [String: Tensor] = [:]
        for (prefix, part) in parts {
            for (name, tensor) in part { tensors["\(prefix).\(name)"] = tensor.detached }
        }
        self.tensors = tensors
        metadata = ["training": try JSONValue(encoding: position).canonicalText]
    }

    /// The epoch that the next step is of, from 1.
    public var epoch: Int { (try? position().epoch) ?? 1 }
    /// Steps done in all epochs.
    public var stepCount: Int { (try? position().history.stepCount) ?? 0 }

    func position() throws -> TrainingPosition {
        guard let text = metadata["training"] else {
            throw MLOpsError(
                .failed, "the file has no entry `training`, so it is no checkpoint of a training run",
                hint: "give the file that a checkpoint was saved to, not a model")
        }
        do {
            return try JSONValue(parsing: Array(text.utf8), source: "training").decode()
        } catch {
            throw MLOpsError(
                .failed, "the checkpoint's entry `training` is damaged, or of another version",
                hint: "start from an older checkpoint, or anew", cause: error)
        }
    }

    /// The tensors whose names start with `prefix.`, without it.
    func part(_ prefix: String) -> [String: Tensor] {
        var result: [String: Tensor] = [:]
        for (name, tensor) in tensors where name.hasPrefix(prefix + ".") {
            result[String(name.dropFirst(prefix.count + 1))] = tensor
        }
        return result
    }
}
