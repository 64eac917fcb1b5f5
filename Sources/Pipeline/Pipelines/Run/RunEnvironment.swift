package import Basics
internal import Glibc

/// What a run ran on, for its record.
package enum RunEnvironment {
    /// `{os, kernel, cpu, cpus, memory, mlops, variables}`.
    ///
    /// - Parameter version: of this program.
    package static func describe(version: String, pipeline: Pipeline) -> JSONValue {
        var members: [String: JSONValue] = [
            "mlops": .string(version), "cpus": .int(Int64(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))),
        ]
        members["os"] = value(of: "PRETTY_NAME", in: "/etc/os-release", separator: "=")
        members["kernel"] = (try? FileSystem.readText("/proc/sys/kernel/osrelease")).map { .string(trimmed($0[...])) }
        members["cpu"] = value(of: "model name", in: "/proc/cpuinfo", separator: ":")
        let pages = sysconf(Int32(_SC_PHYS_PAGES))
        if pages > 0 { members["memory"] = .int(Int64(pages) * Int64(sysconf(Int32(_SC_PAGESIZE)))) }
        let variables = variables(of: pipeline)
        if !variables.isEmpty { members["variables"] = .object(variables) }
        return .object(members)
    }

    /// What stages name under `env:`. Values of what is a secret, or is named like one, stay out.
    private static func variables(of pipeline: Pipeline) -> [String: JSONValue] {
        let secrets = Set(pipeline.stages.flatMap(\.secrets).map(\.name))
        var found: [String: JSONValue] = [:]
        for (name, value) in pipeline.stages.flatMap(\.environment) {
            let isHidden = secrets.contains(name) || looksSecret(name)
            if let value { found[name] = .string(isHidden ? "***" : value) } else { found[name] = .null }
        }
        return found
    }

    static func looksSecret(_ name: String) -> Bool {
        let name = name.uppercased()
        return ["TOKEN", "SECRET", "PASSW", "CREDENTIAL", "KEY", "AUTH"].contains { name.contains($0) }
    }

    private static func value(of key: String, in path: String, separator: Character) -> JSONValue? {
        guard let text = try? FileSystem.readText(path) else { return nil }
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: separator, maxSplits: 1)
            if parts.count == 2, trimmed(parts[0]) == key { return .string(trimmed(parts[1])) }
        }
        return nil
    }

    private static func trimmed(_ text: Substring) -> String {
        func isOuter(_ character: Character) -> Bool { character.isWhitespace || character == "\"" }
        return String(text.drop(while: isOuter).reversed().drop(while: isOuter).reversed())
    }
}
