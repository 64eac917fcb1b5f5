import Basics
import NeuralNets
import Tensors

/// Numbers of PyTorch, made by Tests/Fixtures/neuralnets/make_fixtures.py.
enum Fixtures {
    struct Values: Decodable {
        var shape: [Int]
        var values: [Float]
        var tensor: Tensor { Tensor(values, shape: shape) }
    }
    struct Optimizers: Decodable {
        var x: Values
        var y: Values
        var w: Values
        var after50: [String: Values]
        var schedules: [String: [Double]]
    }
    struct Run: Decodable {
        var x: Values
        var labels: [Int64]
        var start: [String: Values]
        var end: [String: Values]
        var losses: [Double]
    }
    struct Networks: Decodable {
        var convolutional: Run
        var dense: Run
    }

    static func load<Content: Decodable>(_ name: String) throws -> Content {
        // …/Tests/Engine/NeuralNetsTests/Fixtures.swift
        let tests = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(tests)/Fixtures/neuralnets/\(name)"
        return try JSONValue(parsing: FileSystem.read(path), source: path).decode()
    }

    /// The largest difference of two tensors, relative to 1 or the larger value.
    static func difference(_ left: Tensor, _ right: Tensor) -> Double {
        guard left.shape == right.shape else { return .infinity }
        return zip(left.doubles(), right.doubles()).reduce(0) { worst, pair in
            let difference = abs(pair.0 - pair.1) / max(1, abs(pair.0), abs(pair.1))
            return difference.isNaN ? .infinity : max(worst, difference)
        }
    }

    /// The largest difference of two tensors, relative to the largest value expected.
    static func relativeDifference(_ found: Tensor, _ expected: Tensor) -> Double {
        guard found.shape == expected.shape else { return .infinity }
        let scale = expected.doubles().reduce(1e-3) { max($0, abs($1)) }
        return zip(found.doubles(), expected.doubles()).reduce(0) { worst, pair in
            let difference = abs(pair.0 - pair.1) / scale
            return difference.isNaN ? .infinity : max(worst, difference)
        }
    }
}
