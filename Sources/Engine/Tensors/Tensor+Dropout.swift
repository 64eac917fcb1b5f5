public import Basics

extension Tensor {
    /// Each element set to 0 with `probability`, the rest scaled so that the mean stays (Srivastava et al., 2014).
    public func dropout(_ probability: Double, using generator: inout Philox) throws -> Tensor {
        try requireAnyFloat("dropout", self)
        guard (0...1).contains(probability) else {
            throw MLOpsError(.failed, "`dropout`: probability \(probability) is not in 0 ... 1")
        }
        if probability == 0 { return self }
        let mask = Tensor.dropoutMask(
            like: self, probability: probability, scale: probability == 1 ? 0 : 1 / (1 - probability),
            using: &generator)
        return try self * mask
    }
}
