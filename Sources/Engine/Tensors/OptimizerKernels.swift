internal import CKernels

/// The numbers of one optimizer step; what each means stands with the kernels (CKernels/include/optimizers.h).
package struct OptimizerStep: Sendable {
    package enum Kind: Sendable {
        case sgd, adagrad, rmsProp, adam, lamb
        /// value -= learningRate · gradient.
        case descend
        /// value += (1 - momentum) · (gradient - value).
        case average
        /// value *= learningRate; the gradient is not read.
        case scale

        fileprivate var code: Int32 {
            switch self {
            case .sgd: Int32(CK_STEP_SGD)
            case .adagrad: Int32(CK_STEP_ADAGRAD)
            case .rmsProp: Int32(CK_STEP_RMSPROP)
            case .adam: Int32(CK_STEP_ADAM)
            case .lamb: Int32(CK_STEP_LAMB)
            case .descend: Int32(CK_STEP_DESCEND)
            case .average: Int32(CK_STEP_AVERAGE)
            case .scale: Int32(CK_STEP_SCALE)
            }
        }
    }

    package var kind: Kind
    package var learningRate: Double
    package var weightDecay = 0.0
    package var momentum = 0.0
    package var dampening = 0.0
    package var beta1 = 0.0
    package var beta2 = 0.0
    package var epsilon = 0.0
    package var isNesterov = false
    /// Whether the velocity of SGD starts as the gradient.
    package var isFirst = false
    /// Whether the decay acts on the value instead of the gradient.
    package var isDecoupled = false
    /// Whether Adam divides by the largest second moment so far (AMSGrad).
    package var keepsMaximum = false
    package var isCentered = false
    /// From 1.
    package var step = 1

    package init(_ kind: Kind, learningRate: Double = 0) {
        self.kind = kind
        self.learningRate = learningRate
    }

    fileprivate var kernelSettings: ck_step {
        ck_step(
            kind: kind.code, isNesterov: isNesterov ? 1 : 0, isFirst: isFirst ? 1 : 0,
            isDecoupled: isDecoupled ? 1 : 0, keepsMaximum: keepsMaximum ? 1 : 0, isCentered: isCentered ? 1 : 0,
            learningRate: learningRate, weightDecay: weightDecay, momentum: momentum, dampening: dampening,
            beta1: beta1, beta2: beta2, epsilon: epsilon, step: Int64(step))
    }
}

/// A value that is about to change, its gradient, what the optimizer keeps for it, and how it changes. All tensors are of f32
/// or all of f64, and of one shape.
package struct ParameterUpdate {
    package var value: Tensor
    package var gradient: Tensor
    /// At most three.
    package var states: [Tensor]
    package var step: OptimizerStep

    package init(value: Tensor, gradient: Tensor, states: [Tensor] = [], step: OptimizerStep) {
        precondition(
            !value.dtype.isHalf, "optimizers step on f32 or f64: keep a copy of \(value.dtype) parameters in f32")
        self.value = value
        self.gradient = gradient.converted(to: value.dtype)
        self.states = states
        self.step = step
    }

    /// Where a kernel finds one update's numbers.
    ///
    /// `@unchecked Sendable`: pieces of the same memory never overlap.
    private struct Target: @unchecked Sendable {
        var dtype: DType
        var settings: ck_step
        var value: UnsafeMutableRawPointer
        var gradient: UnsafeRawPointer
        var states: (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?)

        func run(_ range: Range<Int>) {
            let offset = range.lowerBound * dtype.size
            withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer?.self, capacity: 3) { list in
                list.initializeElement(at: 0, to: states.0.map { $0 + offset })
                list.initializeElement(at: 1, to: states.1.map { $0 + offset })
                list.initializeElement(at: 2, to: states.2.map { $0 + offset })
                withUnsafePointer(to: settings) {
                    ck_step_run(
                        dtype.code, $0, range.count, gradient + offset, list.baseAddress, value + offset)
                }
            }
        }
    }

    /// All `updates` in place, in one parallel region.
    package static func apply(_ updates: inout [ParameterUpdate]) {
        var targets: [Target] = []
        targets.reserveCapacity(updates.count)
        for index in updates.indices {
            let step = updates[index].step
            updates[index].gradient = updates[index].gradient.contiguous()
            func state(_ number: Int) -> UnsafeMutableRawPointer? {
                number < updates[index].states.count ? updates[index].states[number].uniquePointer() : nil
            }
            let states = (state(0), state(1), state(2))
            targets.append(
                Target(
                    dtype: updates[index].value.dtype, settings: step.kernelSettings,
                    value: updates[index].value.uniquePointer(), gradient: updates[index].gradient.pointer,
                    states: states))
        }
        let bundle = TensorBundle(counts: updates.map(\.value.count))
        bundle.forEachPiece { _, piece in targets[piece.tensor].run(piece.range) }
        withExtendedLifetime(updates) {}
    }
}

extension Tensor {
    /// The bytes for writing, which nobody shares: copied first if need be. Valid until the tensor changes or goes.
    fileprivate mutating func uniquePointer() -> UnsafeMutableRawPointer {
        withUnsafeMutableBytes { $0.baseAddress } ?? storage.pointer
    }

    /// Σ x² of the elements in `range`, in the order of memory.
    ///
    /// - Precondition: the tensor is dense.
    func sumOfSquares(_ range: Range<Int>) -> Double {
        ck_sum_of_squares(dtype.code, range.count, base + range.lowerBound * dtype.size)
    }
}
