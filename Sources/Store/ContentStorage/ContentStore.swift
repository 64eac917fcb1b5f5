package import Basics

/// The content of datasets and models below `.mlops/`, in chunks, each stored once.
package final class ContentStore: Sendable {
    /// The `.mlops` folder.
    package let folder: String

    /// The store below `folder`, which is made on the first write; opening costs nothing.
    package init(folder: String) throws {
        self.folder = FileSystem.absolute(folder)
    }

    package func add(path: String, options: AddOptions = AddOptions()) async throws -> AddReport {
        preconditionFailure()
    }
    package func add(bytes: [UInt8]) async throws -> ContentRoot { preconditionFailure() }
    package func identify(path: String, progress: ProgressHandler? = nil) async throws -> ContentRoot {
        preconditionFailure()
    }
    package func contains(_ root: ContentRoot) throws -> Bool { preconditionFailure() }
    package func checkout(
        _ root: ContentRoot, to path: String, options: CheckoutOptions = CheckoutOptions()
    ) async throws -> CheckoutReport { preconditionFailure() }
    package func compare(_ root: ContentRoot, with path: String) async throws -> [ContentChange] {
        preconditionFailure()
    }
    package func compare(_ old: ContentRoot, _ new: ContentRoot) async throws -> [ContentChange] {
        preconditionFailure()
    }
    package func listing(of root: ContentRoot) async throws -> [TreeFile] { preconditionFailure() }
    /// The bytes of a file: of `root` itself when `path` is nil.
    package func read(_ root: ContentRoot, path: String? = nil) async throws -> [UInt8] { preconditionFailure() }
    package func verify(
        roots: [(name: String, root: ContentRoot)], progress: ProgressHandler? = nil
    ) async throws -> VerificationReport { preconditionFailure() }
    package func rebuildIndex() async throws -> RebuildReport { preconditionFailure() }

    // MARK: For transfers

    /// Everything that `root` needs, each object once, children before what lists them.
    package func reachableObjects(from root: ContentRoot) async throws -> [StoredObject] { preconditionFailure() }
    package func missingObjects(among keys: [ObjectKey]) throws -> [ObjectKey] { preconditionFailure() }
    /// What of `roots` is not here, as far as can be told: a missing tree or manifest hides what is below it, so a pull asks,
    /// fetches, and asks again until nothing is missing.
    package func missingContent(below roots: [ContentRoot]) async throws -> [MissingContent] { preconditionFailure() }
    package func frame(of key: ObjectKey) throws -> PackFrame { preconditionFailure() }
    package func wholePacks(covering keys: Set<ObjectKey>) throws -> (packs: [LocalPack], rest: [ObjectKey]) {
        preconditionFailure()
    }
    /// The folder for temporary packs: on the store's disk.
    package func packsFolder() throws -> String { preconditionFailure() }
    /// Checks the pack at `temporaryPath`, every byte, moves it into the store and indexes it.
    package func install(packAt temporaryPath: String, digest: Digest, entries: [PackEntry]) throws {
        preconditionFailure()
    }
}
