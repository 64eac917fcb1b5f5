internal import Basics
public import Tensors

/// Images `[N, C, H, W]` made larger by repeating each pixel (nearest neighbour).
public final class Upsample: Module {
    public let factor: Int

    public init(factor: Int) {
        precondition(factor > 0, "images cannot grow by the factor \(factor)")
        self.factor = factor
    }

    public override func forward(_ x: Tensor) throws -> Tensor {
        guard x.rank == 4 else {
            throw MLOpsError(
                .failed, "`upsample`: shape \(x.shape) has \(x.rank) axes, not 4",
                hint: "images are [N, C, height, width]")
        }
        let (planes, height, width) = (x.shape[0] * x.shape[1], x.shape[2], x.shape[3])
        return try x.reshaped([planes, height, 1, width, 1])
            .broadcast(to: [planes, height, factor, width, factor])
            .reshaped([x.shape[0], x.shape[1], height * factor, width * factor])
    }
}
