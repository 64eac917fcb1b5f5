import Basics

/// A folder of its own for one test, removed when the test lets go of it.
package final class TemporaryFolder: Sendable {
    package let path: String

    /// - Parameter base: what it lies in.
    package init(in base: String = FileSystem.resolved("/tmp") ?? "/tmp") throws {
        let random = String(UInt64.random(in: .min ... .max), radix: 36)
        path = FileSystem.join(base, "mlops-test-\(random)")
        try FileSystem.createDirectories(path)
    }

    deinit { try? FileSystem.removeTree(path) }

    /// The path of `name` inside.
    package func callAsFunction(_ name: String) -> String { FileSystem.join(path, name) }

    /// Writes `text` to `name`, making the folders above it.
    @discardableResult
    package func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }

    /// Writes `bytes` to `name`, making the folders above it.
    @discardableResult
    package func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let path = self(name)
        try FileSystem.createDirectories(FileSystem.parent(of: path))
        try FileSystem.replace(path, with: bytes)
        return path
    }

    package func read(_ name: String) throws -> [UInt8] { try FileSystem.read(self(name)) }
}
