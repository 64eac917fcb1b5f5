package import Basics

/// Where outputs are identified, kept and restored; Workspaces adapts the content store to it.
///
/// Paths are relative to the repository. Every call may come from several tasks at once.
package protocol StageStore: Sendable {
    /// The digest of the file or folder at `path`, through the stat cache; nil if nothing is there.
    func identify(path: String) async throws -> StoredOutput?
    /// Puts the file or folder at `path` into the store; durable on return.
    func keep(path: String) async throws -> StoredOutput
    /// Writes the output to `path`, replacing what is there.
    func restore(_ output: StoredOutput, to path: String) async throws
    /// Whether `path` holds exactly this output, through the stat cache.
    func isPresent(_ output: StoredOutput, at path: String) async throws -> Bool
    /// Whether the store holds every byte of it.
    func has(_ output: StoredOutput) async throws -> Bool
    /// The digest in the artifact's pointer; nil if there is no such artifact.
    func artifactDigest(_ name: String) async throws -> String?
    /// The files below the folder at `path` with their digests, through the stat cache; nil if it is no folder.
    func listing(path: String) async throws -> [String: Digest]?
    /// The command that brings `path` back when it is missing, such as ``run `mlops checkout` ``; nil if none is known.
    func recovery(of path: String) async -> String?
}

extension StageStore {
    package func isPresent(_ output: StoredOutput, at path: String) async throws -> Bool {
        let found = try await identify(path: path)
        return found?.digest == output.digest && found?.kind == output.kind
    }

    package func recovery(of path: String) async -> String? { nil }

    package func listing(path: String) async throws -> [String: Digest]? { nil }
}

/// A file or folder as a stage left it.
package struct StoredOutput: Codable, Hashable, Sendable {
    package var path: String
    package var digest: Digest
    /// `file` or `tree`.
    package var kind: String
    package var byteCount: Int64
    package var fileCount: Int
    /// Whether the store holds it; if not, it is in the workspace alone.
    package var isKept = true

    package init(path: String, digest: Digest, kind: String, byteCount: Int64, fileCount: Int) {
        self.path = path
        self.digest = digest
        self.kind = kind
        self.byteCount = byteCount
        self.fileCount = fileCount
    }
}

/// What a stage's processes used, its children included.
package struct ResourceUsage: Sendable, Hashable {
    package var wall: Duration
    package var userSeconds: Double
    package var systemSeconds: Double
    /// Of the largest process.
    package var peakByteCount: Int64

    package init(wall: Duration, userSeconds: Double, systemSeconds: Double, peakByteCount: Int64) {
        self.wall = wall
        self.userSeconds = userSeconds
        self.systemSeconds = systemSeconds
        self.peakByteCount = peakByteCount
    }
}

/// Measures the energy of a stage.
package protocol EnergyMeter: Sendable {
    /// Called just before the stage starts; the token is handed to `stop`.
    func start() -> any Sendable
    /// An object with at least `joules`, `kwh` and `method`.
    func stop(_ token: any Sendable, usage: ResourceUsage) -> JSONValue
}
