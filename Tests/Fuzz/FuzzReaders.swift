import Basics
import Datasets
import Glibc
import TensorFiles

// What `Scripts/fuzz-readers` gives to libFuzzer: each input is read by the reader that MLOPS_FUZZ_READER names. Whatever the bytes are,
// a reader gives a value or throws an `MLOpsError`; anything else (a trap, a fault of the address sanitizer, too much memory, another
// error) is a finding.

/// Readers by name; each gets the bytes and the path of a file that holds them.
private let readers: [String: @Sendable ([UInt8], String) throws -> Void] = [
    "safetensors": { _, path in
        let file = try SafetensorsFile(path: path)
        for name in file.names { _ = try file.tensor(name) }
    },
    "npy": { _, path in _ = try NPYReader.read(path).tensor(source: path) },
    "npz": { _, path in
        let archive = try ZipArchive(path: path)
        for name in archive.arrayNames { _ = try archive.array(name).floats() }
    },
    "idx": { _, path in _ = try IDXReader.read(path).floats() },
    "gzip": { _, path in _ = try ByteStream(path: path).readAll(limit: 1 << 22) },
    "csv": { bytes, path in
        let first = bytes.first ?? 0
        let format = CSVFormat(
            delimiter: first & 1 == 0 ? "," : ";", hasHeader: first & 2 == 0, skipsSpaces: first & 4 == 0,
            commentPrefix: first & 8 == 0 ? nil : "#")
        let reader = try CSVReader(path: path, format: format, columns: format.hasHeader ? nil : ["a", "b"])
        while let row = try reader.next() {
            for index in 0..<row.count { _ = try? row.number(index, column: reader.columns[index]) }
            _ = row.fields
        }
    },
    "png": { bytes, path in try decode([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], bytes, path) },
    "jpeg": { bytes, path in try decode([0xFF, 0xD8, 0xFF], bytes, path) },
    "description": { _, path in _ = try DatasetDescription(file: path) },
]

private func decode(_ magic: [UInt8], _ bytes: [UInt8], _ path: String) throws {
    guard bytes.starts(with: magic) else { return }
    let picture = try PictureReader.decode(bytes, path: path)
    if picture.pixels.count < 1 << 16 { _ = picture.converted(channels: 3).resized(width: 7, height: 5) }
}

private let reader: @Sendable ([UInt8], String) throws -> Void = {
    let name = getenv("MLOPS_FUZZ_READER").map { String(cString: $0) } ?? ""
    guard let reader = readers[name] else {
        fatalError("MLOPS_FUZZ_READER is `\(name)`, expected one of \(readers.keys.sorted().joined(separator: ", "))")
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
