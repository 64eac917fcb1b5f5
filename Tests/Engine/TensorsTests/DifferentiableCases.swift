import Basics
import Tensors

/// One differentiable operation with inputs to try it on; every gradient test is driven from `DifferentiableCase.all`.
struct DifferentiableCase: Sendable, CustomStringConvertible {
    let description: String
    let shapes: [[Int]]
    /// Whether inputs must be positive.
    var isPositive = false
    let function: @Sendable ([Tensor]) throws -> Tensor

    init(
        _ name: String, _ shapes: [Int]..., isPositive: Bool = false,
        _ function: @escaping @Sendable ([Tensor]) throws -> Tensor
    ) {
        description = name
        self.shapes = shapes
        self.isPositive = isPositive
        self.function = function
    }

    /// Inputs in f64, the same in every run.
    func inputs() -> [Tensor] {
        var generator = Philox(seed: 7, stream: description)
        return shapes.map { shape in
            isPositive
                ? Tensor.uniform(shape, in: 0.5..<2, dtype: .f64, using: &generator)
                : Tensor.normal(shape, dtype: .f64, using: &generator)
        }
    }

    static let all =
        elementwise + shapes + indexing + statistics + matrices + tape + products + reductions + windows
        + normalizations + losses

    private static let elementwise: [DifferentiableCase] = [
        .init("add", [3, 4], [3, 4]) { try $0[0] + $0[1] },
        .init("add, a row", [3, 4], [4]) { try $0[0] + $0[1] },
        .init("add, a scalar", [3, 4], []) { try $0[0] + $0[1] },
        .init("subtract, a column", [3, 4], [3, 1]) { try $0[0] - $0[1] },
        .init("multiply, both broadcast", [3, 1, 4], [2, 1]) { try $0[0] * $0[1] },
        .init("multiply by itself", [5]) { try $0[0] * $0[0] },
        .init("divide, channels", [2, 3, 2], [3, 1], isPositive: true) { try $0[0] / $0[1] },
        .init("scalar on the left", [5], isPositive: true) { try 2 / (1 - 0.2 * $0[0]) },
        .init("maximum", [3, 4], [3, 4]) { try $0[0].maximum($0[1]) },
        .init("minimum", [3, 4], [4]) { try $0[0].minimum($0[1]) },
        .init("exp", [5]) { try $0[0].exp() },
        .init("log", [5], isPositive: true) { try $0[0].log() },
        .init("sqrt", [5], isPositive: true) { try $0[0].sqrt() },
        .init("sin", [5]) { try $0[0].sin() },
        .init("cos", [5]) { try $0[0].cos() },
        .init("abs", [5]) { try $0[0].abs() },
        .init("square", [5]) { try $0[0].square() },
        .init("reciprocal", [5], isPositive: true) { try $0[0].reciprocal() },
        .init("power", [5], isPositive: true) { try $0[0].power(2.5) },
        .init("scaled", [5]) { try $0[0].scaled(by: -3) },
        .init("shifted", [5]) { try $0[0].shifted(by: 2) },
        .init("tanh", [5]) { try $0[0].tanh() },
        .init("sigmoid", [5]) { try $0[0].sigmoid() },
        .init("relu", [9]) { try $0[0].relu() },
        .init("leakyReLU", [9]) { try $0[0].leakyReLU(slope: 0.1) },
        .init("gelu", [5]) { try $0[0].gelu() },
        .init("gelu with tanh", [5]) { try $0[0].gelu(.tanh) },
        .init("softplus", [5]) { try $0[0].softplus() },
        .init("erf", [5]) { try $0[0].erf() },
        .init("log1p", [5], isPositive: true) { try $0[0].log1p() },
        .init("expm1", [5]) { try $0[0].expm1() },
        .init("clamp", [9]) { try $0[0].clamped(-0.4, 0.6) },
        .init("floor, ceil, round, trunc, sign", [5]) {
            try $0[0] * ($0[0].floor() + $0[0].ceil() + $0[0].round() + $0[0].trunc() + $0[0].sign())
        },
        .init("power of tensors", [3, 4], [4], isPositive: true) { try $0[0].power($0[1]) },
        .init("where", [3, 4], [4]) { try Tensor.where(.!($0[0] .> 0.3), $0[0], $0[1]) },
        .init("maskedFill", [3, 4]) { try $0[0].maskedFill($0[0] .< 0, 2) * $0[0] },
        .init("dropout", [20]) {
            var generator = Philox(seed: 3)
            return try $0[0].dropout(0.4, using: &generator)
        },
    ]

    private static let shapes: [DifferentiableCase] = [
        .init("reshape", [3, 4]) { try $0[0].reshaped([2, -1]) },
        .init("flatten", [2, 3, 2]) { try $0[0].flattened(from: 1) },
        .init("unsqueeze and squeeze", [2, 3]) { try $0[0].unsqueezed(1).squeezed(1).unsqueezed(-1) },
        .init("permute", [2, 3, 4]) { try $0[0].permuted([2, 0, 1]) },
        .init("transpose", [2, 3, 4]) { try $0[0].transposed() },
        .init("slice", [3, 5]) { try $0[0].slice(axis: 1, 1..<4) },
        .init("slice with step", [3, 7]) { try $0[0].slice(axis: 1, 1..<7, step: 2) },
        .init("select", [3, 4]) { try $0[0].selected(axis: 1, -2) },
        .init("windows", [2, 7]) { try $0[0].windows(axis: 1, size: 3, step: 2) },
        .init("windows, overlapping, of images", [2, 3, 4, 4]) {
            try $0[0].windows(axis: 2, size: 3).windows(axis: 3, size: 2)
        },
        .init("views of views", [3, 4, 2]) {
            try $0[0].permuted([2, 0, 1]).slice(axis: 2, 0..<4, step: 2).reshaped([2, 6]).transposed()
        },
        .init("channels last", [2, 3, 2, 2], [3, 1, 1]) {
            try ($0[0].channelsLast() * $0[1]).gelu().sigmoid() * $0[0]
        },
        .init("channels last, summed", [2, 3, 2, 2]) { try $0[0].channelsLast().square().sum(axes: [1, 3]) },
        .init("operands of other orders", [3, 4], [4, 3]) { try $0[0] * $0[1].transposed() + $0[1].transposed() },
        .init("pad", [3, 2]) { try $0[0].padded(axis: 0, before: 1, after: 2, value: 5) },
        .init("concat", [2, 3], [2, 1], [2, 2]) { try Tensor.concatenated($0, axis: 1) },
        .init("stack", [2, 3], [2, 3]) { try Tensor.stacked($0, axis: 1) },
        .init("broadcast", [3, 1]) { try $0[0].broadcast(to: [2, 3, 4]) },
        .init("gatherRows", [4, 3]) { try $0[0].gatherRows(Tensor([2, 0, 2, 3] as [Int64], shape: [2, 2])) },
        .init("cast", [4]) { try $0[0].cast(to: .f64) },
    ]

    private static let places = Tensor([0, 2, 1, 0, 3, 3, 0, 1] as [Int64], shape: [2, 4])

    private static let indexing: [DifferentiableCase] = [
        .init("gather", [4, 5]) { try $0[0].gather(axis: 0, places) },
        .init("gather in the middle", [2, 3, 2]) {
            try $0[0].gather(axis: 1, Tensor([2, 0, 0, 1, 2, 2, 1, 1] as [Int64], shape: [2, 2, 2]))
        },
        .init("scatterAdd", [4, 5], [2, 4]) { try $0[0].scatterAdd(axis: 0, places, $0[1]) },
        .init("scatter", [4, 4], [2, 4]) { try $0[0].scatter(axis: 0, places, $0[1].exp()) },
        .init("indexSelect", [3, 4]) { try $0[0].indexSelect(axis: 1, Tensor([3, 0, 3] as [Int64])) },
        .init("maskedSelect", [3, 4]) { try $0[0].maskedSelect($0[0] .> 0) },
        .init("sort", [3, 5]) { try $0[0].sorted(axis: 1).values },
        .init("topK", [5, 3]) { try $0[0].topK(2, axis: 0).values },
        .init("flip", [3, 2, 4]) { try $0[0].flipped(axes: [0, -1]) },
        .init("roll", [2, 5]) { try $0[0].rolled(by: 7, axis: 1) },
        .init("split", [2, 5]) { try $0[0].split([2, 0, 3], axis: 1)[2] },
        .init("pad, reflected", [3, 4]) { try $0[0].padded([(1, 2), (3, 0)], mode: .reflect) },
        .init("pad, replicated", [3, 4]) { try $0[0].padded([(1, 2), (3, 0)], mode: .replicate) },
        .init("pad, circular", [3, 4]) { try $0[0].padded([(1, 2), (3, 0)], mode: .circular) },
        .init("pad, constant", [3, 4]) { try $0[0].padded([(1, 0), (0, 2)], mode: .constant(3)) },
        .init("tile", [2, 3]) { try $0[0].tiled([2, 1, 2]) },
        .init("repeat", [2, 3]) { try $0[0].repeated(3, axis: 0) },
    ]

    private static let statistics: [DifferentiableCase] = [
        .init("cumulativeSum", [3, 4]) { try $0[0].cumulativeSum(axis: 1) },
        .init("cumulativeProduct", [4, 3]) { try $0[0].cumulativeProduct(axis: 0) },
        .init("cumulativeProduct with zeros", [3, 4]) {
            try ($0[0] * Tensor([1.0, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1], shape: [3, 4])).cumulativeProduct(axis: 1)
        },
        .init("product", [2, 3, 2]) { try $0[0].product(axes: [0, 2]) },
        .init("product with zeros", [2, 3]) {
            try ($0[0] * Tensor([1.0, 0, 1, 0, 1, 0], shape: [2, 3])).product(axes: [1], keepsAxes: true)
        },
        .init("max over axes", [2, 3, 4]) { try $0[0].max(axes: [0, 2]) },
        .init("min", [3, 4]) { try $0[0].min(axis: 0) },
        .init("min of all", [3, 4]) { try $0[0].min() },
        .init("standardDeviation", [4, 3]) { try $0[0].standardDeviation(axes: [0], correction: 1) },
        .init("norm", [3, 4]) { try $0[0].norm(axes: [1]) },
        .init("norm of order 3", [3, 4]) { try $0[0].norm(3, axes: [1]) },
        .init("norm of order 1", [3, 4]) { try $0[0].norm(1) },
        .init("largest magnitude", [3, 4]) { try $0[0].norm(.infinity, axes: [0], keepsAxes: true) },
        .init("logSumExp", [2, 3, 2]) { try $0[0].logSumExp(axes: [0, 1]) },
    ]

    private static let matrices: [DifferentiableCase] = [
        .init("diagonal", [3, 2, 4]) { try $0[0].diagonal(offset: 1, 0, 2) },
        .init("asDiagonal", [2, 3]) { try $0[0].asDiagonal() },
        .init("trace", [2, 3, 4]) { try $0[0].trace() },
        .init("upperTriangle", [3, 4]) { try $0[0].upperTriangle(offset: 1) },
        .init("lowerTriangle", [3, 4]) { try $0[0].lowerTriangle(offset: -1) },
        .init("outer", [3], [2]) { try $0[0].outer($0[1]) },
        .init("dot", [3], [3]) { try $0[0].dot($0[1]) },
        .init("einsum of heads", [2, 3, 2, 2], [2, 2, 2, 2]) { try Tensor.einsum("bqhd,bkhd->bhqk", $0) },
        .init("einsum of three", [3, 4], [4, 2], [2]) { try Tensor.einsum("ij,jk,k->i", $0) },
        .init("einsum with ellipsis", [2, 1, 2, 3], [3, 3, 2]) { try Tensor.einsum("...ij,...jk->...ik", $0) },
        .init("einsum of a diagonal", [3, 2, 3]) { try Tensor.einsum("iji->j", $0) },
        .init("einsum, implicit", [3, 2], [2, 2]) { try Tensor.einsum("ba,ca", $0) },
    ]

    private static let tape: [DifferentiableCase] = [
        .init("hook", [4]) { try $0[0].exp().onGradient { try $0 * 1 }.square() },
        .init("checkpoint", [3, 4], [2, 4]) {
            try checkpoint($0) { try $0[0].matmul($0[1], transposesSelf: false, transposesOther: true).tanh().square() }
        },
        .init("checkpoint with dropout", [20]) {
            var generator = Philox(seed: 3)
            return try checkpoint($0, using: &generator) { try $0[0].exp().dropout(0.4, using: &$1).square() }
        },
    ]

    private static let products: [DifferentiableCase] =
        [(false, false), (false, true), (true, false), (true, true)].map { left, right in
            .init("matmul \(left) \(right)", left ? [4, 3] : [3, 4], right ? [2, 4] : [4, 2]) {
                try $0[0].matmul($0[1], transposesSelf: left, transposesOther: right)
            }
        } + [
            .init("matmul in batches", [2, 3, 4], [2, 4, 2]) { try $0[0].matmul($0[1]) },
            .init("matmul, batches broadcast", [2, 1, 3, 4], [3, 4, 2]) { try $0[0].matmul($0[1]) },
            .init("matmul with one matrix", [2, 3, 4], [4, 2]) { try $0[0].matmul($0[1]) },
            .init("matmul in batches, transposed", [2, 4, 3], [2, 2, 4]) {
                try $0[0].matmul($0[1], transposesSelf: true, transposesOther: true)
            },
            .init("matmul of views", [4, 3], [2, 5, 4]) {
                try $0[0].transposed().matmul($0[1].slice(axis: 1, 1..<5, step: 2).transposed())
            },
            .init("matmul of heads", [2, 3, 2, 2]) {
                try $0[0].transposed(1, 2).matmul($0[0].permuted([0, 2, 3, 1]))
            },
            .init("linear", [5, 3], [2, 3], [2]) { try $0[0].linear(weight: $0[1], bias: $0[2]) },
            .init("linear without bias", [2, 2, 3], [4, 3]) { try $0[0].linear(weight: $0[1]) },
        ]

    private static let reductions: [DifferentiableCase] = [
        .init("sum", [3, 4]) { try $0[0].sum() },
        .init("sum over outer and inner", [2, 3, 4]) { try $0[0].sum(axes: [0, 2]) },
        .init("mean over a middle axis", [2, 3, 4]) { try $0[0].mean(axes: [1], keepsAxes: true) },
        .init("variance", [4, 3]) { try $0[0].variance(axes: [0], correction: 1) },
        .init("max", [3, 4]) { try $0[0].max(axis: 1) },
        .init("max over the front", [3, 4]) { try $0[0].max(axis: 0, keepsAxis: true) },
        .init("softmax", [3, 4]) { try $0[0].softmax() },
        .init("softmax over the front", [3, 4]) { try $0[0].softmax(axis: 0) },
        .init("logSoftmax", [3, 4]) { try $0[0].logSoftmax() },
    ]

    private static let windows: [DifferentiableCase] = [
        .init("conv2d", [2, 2, 5, 4], [3, 2, 3, 3], [3]) { try $0[0].conv2d(weight: $0[1], bias: $0[2], padding: 1) },
        .init("conv2d with stride", [2, 2, 5, 6], [3, 2, 3, 2]) { try $0[0].conv2d(weight: $0[1], stride: 2) },
        .init("conv2d, dilated", [1, 2, 6, 6], [2, 2, 3, 3]) {
            try $0[0].conv2d(weight: $0[1], padding: 1, dilation: 2)
        },
        .init("conv2d in groups", [2, 4, 4, 4], [4, 2, 3, 3], [4]) {
            try $0[0].conv2d(weight: $0[1], bias: $0[2], padding: 1, groups: 2)
        },
        .init("conv2d, pointwise", [2, 3, 2, 3], [2, 3, 1, 1]) { try $0[0].conv2d(weight: $0[1]) },
        .init("maxPool2d", [2, 2, 4, 4]) { try $0[0].maxPool2d(kernel: 2) },
        .init("maxPool2d, channels last", [2, 2, 4, 4]) { try $0[0].channelsLast().maxPool2d(kernel: 2) },
        .init("maxPool2d, overlapping", [1, 2, 5, 5]) { try $0[0].maxPool2d(kernel: 3, stride: 2, padding: 1) },
        .init("avgPool2d", [2, 2, 4, 4]) { try $0[0].avgPool2d(kernel: 2) },
        .init("avgPool2d, padded", [1, 2, 5, 5]) { try $0[0].avgPool2d(kernel: 3, stride: 2, padding: 1) },
        .init("avgPool2d, padding not counted", [1, 2, 5, 5]) {
            try $0[0].avgPool2d(kernel: 3, stride: 2, padding: 1, countsPadding: false)
        },
    ]

    private static let normalizations: [DifferentiableCase] = [
        .init("batchNorm", [3, 2, 2, 2], [2], [2]) { try $0[0].batchNorm(weight: $0[1], bias: $0[2]).output },
        .init("batchNorm, dense, plain", [6, 3]) { try $0[0].batchNorm(weight: nil, bias: nil).output },
        .init("batchNorm in inference", [3, 2, 2], [2], [2]) {
            try $0[0].batchNorm(
                weight: $0[1], bias: $0[2], mean: Tensor([0.5, -1.0]), variance: Tensor([1.5, 0.5]))
        },
        .init("layerNorm", [3, 5], [5], [5]) { try $0[0].layerNorm(weight: $0[1], bias: $0[2]) },
        .init("layerNorm, plain", [2, 2, 5]) { try $0[0].layerNorm(weight: nil, bias: nil) },
    ]

    private static let losses: [DifferentiableCase] = [
        .init("crossEntropy", [4, 3]) { try $0[0].crossEntropy(labels) },
        .init("crossEntropy, each", [4, 3]) { try $0[0].crossEntropy(labels, reduction: .none) },
        .init("crossEntropy, smoothed and weighted", [4, 3]) {
            try $0[0].crossEntropy(labels, classWeights: Tensor([0.5, 2.0, 1.0]), labelSmoothing: 0.2)
        },
        .init("crossEntropy, smoothed, summed", [4, 3]) {
            try $0[0].crossEntropy(labels, labelSmoothing: 0.2, reduction: .sum)
        },
        .init("bceWithLogits", [2, 3]) { try $0[0].binaryCrossEntropy(withTargets: targets, positiveWeight: 2) },
        .init("binary cross-entropy of probabilities", [2, 3], isPositive: true) {
            try ($0[0] * 0.4).binaryCrossEntropy(ofProbabilitiesWithTargets: targets)
        },
        .init("mse", [3, 2], [3, 2]) { try $0[0].meanSquaredError($0[1]) },
        .init("l1", [3, 2], [3, 2]) { try $0[0].absoluteError($0[1]) },
        .init("huber", [3, 2], [3, 2]) { try $0[0].huberError($0[1], delta: 0.7) },
    ]

    private static let labels = Tensor([2, 0, 1, 1] as [Int64])
    private static let targets = Tensor([0, 1, 0.3, 1, 0, 0.9] as [Double], shape: [2, 3])
}
