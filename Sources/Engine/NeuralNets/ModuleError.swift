internal import Basics
internal import Tensors

/// The errors of modules and their states.
enum ModuleError {
    static func misshapen(_ name: String, expected: Tensor, found: Tensor) -> MLOpsError {
        MLOpsError(
            .failed,
            "`\(name)` has shape \(expected.shape) of \(expected.dtype), the value given \(found.shape) of \(found.dtype)",
            hint: "build the model with the configuration that the values were made with")
    }

    /// The same error, told at which layer it happened.
    static func at(_ path: String, _ kind: String, _ error: any Error) -> any Error {
        guard var located = error as? MLOpsError, !located.message.hasPrefix("layer `") else { return error }
        located.message = "layer `\(path)` (\(kind)): " + located.message
        return located
    }
}
