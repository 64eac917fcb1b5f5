/// The present start of the machine: what was not flushed before it may be gone.
package enum MachineStart {
    /// What the kernel calls it (`random/boot_id`, see random(4)), another one after each start; nil where it does not tell.
    package static let id: String? = {
        guard let text = try? FileSystem.readText("/proc/sys/kernel/random/boot_id") else { return nil }
        let id = text.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        return id.isEmpty ? nil : id
    }()
}
