internal import Crypto

/// MD5 of bytes that arrive piece by piece: to compare content with what another tool recorded, never to name it.
package struct MD5Hasher: Sendable {
    private var hash = Insecure.MD5()

    package init() {}

    package mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

    /// 32 lower-case hex digits.
    package func finalize() -> String { hexadecimal(hash.finalize()) }

    /// The MD5 of `bytes`, as 32 lower-case hex digits.
    package static func hex(of bytes: [UInt8]) -> String {
        var hasher = MD5Hasher()
        bytes.withUnsafeBytes { hasher.update($0) }
        return hasher.finalize()
    }
}
