import Basics
import Glibc

// What `Scripts/fuzz-readers` gives to libFuzzer: each input is read by the one of `FuzzedReaders` that MLOPS_FUZZ_READER names. A trap, a
// fault of the address sanitizer, too much memory or time, and an error of another type than `MLOpsError` are findings.

private let reader: @Sendable ([UInt8], String) throws -> Void = {
    let name = getenv("MLOPS_FUZZ_READER").map { String(cString: $0) } ?? ""
    guard let reader = FuzzedReaders.all[name] else {
        let names = FuzzedReaders.all.keys.sorted().joined(separator: ", ")
        fatalError("MLOPS_FUZZ_READER is `\(name)`, expected one of \(names)")
    }
    return reader
}()

/// A file in memory that is written anew for each input.
private let file: (descriptor: Int32, path: String) = {
    let name = "/dev/shm/fuzz-readers-\(getpid())"
    let descriptor = open(name, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    precondition(descriptor >= 0, "`\(name)` cannot be made")
    unlink(name)
    return (descriptor, "/proc/self/fd/\(descriptor)")
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: size))
    ftruncate(file.descriptor, 0)
    precondition(pwrite(file.descriptor, data, size, 0) == size, "pwrite failed")
    do {
        try reader(bytes, file.path)
    } catch is MLOpsError {
    } catch {
        fatalError("\(error) is no MLOpsError")
    }
    return 0
}
