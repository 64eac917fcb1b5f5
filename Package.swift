// swift-tools-version: 6.2
import PackageDescription

// Areas stand in the order of ARCHITECTURE.md: each uses only the areas below it. `Scripts/check-layers` holds this file
// to that order.

/// `MLOPS_STRICT=1` (set by `.ci/run`) turns warnings into errors.
let isStrict = Context.environment["MLOPS_STRICT"] == "1"

/// Own code is optimised in debug builds too, so that one configuration serves the demo, the tests and CI.
let ourSwiftSettings: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .unsafeFlags(["-O"], .when(configuration: .debug)),
    ] + (isStrict ? [.treatAllWarnings(as: .error)] : [])

let ourCSettings: [CSetting] = [
    .unsafeFlags(["-O3", "-fno-math-errno", "-Wall"] + (isStrict ? ["-Werror"] : []))
]

extension Target {
    /// A library of ours at `Sources/<area>/<name>`.
    static func module(_ name: String, in area: String, uses dependencies: [Target.Dependency] = []) -> Target {
        .target(
            name: name, dependencies: dependencies, path: "Sources/\(area)/\(name)", swiftSettings: ourSwiftSettings)
    }

    /// A C library of ours, or the header of a system library, at `Sources/<area>/<name>`.
    static func cModule(
        _ name: String, in area: String, links library: String? = nil, flags: [String] = []
    ) -> Target {
        .target(
            name: name, path: "Sources/\(area)/\(name)",
            cSettings: ourCSettings + (flags.isEmpty ? [] : [.unsafeFlags(flags)]),
            linkerSettings: library.map { [.linkedLibrary($0)] } ?? [])
    }

    /// The tests of the module `name`, at `Tests/<area>/<name>Tests`.
    static func tests(of name: String, in area: String, uses dependencies: [Target.Dependency] = []) -> Target {
        .testTarget(
            name: "\(name)Tests",
            dependencies: [.init(stringLiteral: name), "TestSupport"] + (name == "Basics" ? [] : ["Basics"])
                + dependencies,
            path: "Tests/\(area)/\(name)Tests", swiftSettings: ourSwiftSettings)
    }
}

let package = Package(
    name: "mlops",
    products: [.executable(name: "mlops", targets: ["mlops"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        // MARK: Base
        /// libcurl, loaded when the first transfer asks for it, its variadic calls as plain functions.
        .cModule("CLibcurl", in: "Base"),
        /// libgit2, loaded when the first repository is looked for.
        .cModule("CLibgit2", in: "Base"),
        /// Headers of libzstd.
        .cModule("CZstd", in: "Base", links: "zstd"),
        /// The system calls that Swift cannot name (`openat2`, `FICLONE`, `O_TMPFILE`), and the processes between `mlops` and
        /// the programs of stages.
        .cModule("CSystem", in: "Base", flags: ["-fno-plt"]),
        /// SHA-256 of two streams at once, and the rolling hash that cuts chunks.
        .cModule("CHashes", in: "Base"),
        /// The products of OpenBLAS, loaded when the first of them is asked for.
        .cModule("COpenBLAS", in: "Base"),
        /// The convolutions and products of oneDNN, loaded when the first of them is asked for.
        .cModule("COneDNN", in: "Base"),
        /// PNG and JPEG files as rows of bytes; libpng and libjpeg are loaded when the first of each is read.
        .cModule("CPictures", in: "Base"),
        /// Headers of zlib, for the `.gz` files that data sets come in and the PNG files that are drawn.
        .cModule("CZlib", in: "Base", links: "z"),
        /// Digests, errors with hint and exit code, canonical JSON, durable files, clock, seeded random.
        .module("Basics", in: "Base", uses: ["CHashes", "CSystem", .product(name: "Crypto", package: "swift-crypto")]),
        /// Charts and other drawings as SVG and PNG.
        .module("Drawings", in: "Base", uses: ["Basics", "CZlib"]),
        /// HTTP over libcurl: streams, time-outs, cancellation.
        .module("CurlTransport", in: "Base", uses: ["Basics", "CLibcurl"]),

        // MARK: Store
        /// Chunks, packs, manifests, trees, index, checkout, verification.
        .module(
            "ContentStorage", in: "Store",
            uses: [
                "Basics", "CHashes", "CSystem", "CZstd", .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ]),
        /// Directory and S3 remotes; what is missing is pushed and pulled.
        .module("Remotes", in: "Store", uses: ["Basics", "CSystem", "ContentStorage", "CurlTransport"]),
        /// Head, branch, dirty state and ignore rules of the surrounding git repository.
        .module("GitIntegration", in: "Store", uses: ["Basics", "CLibgit2"]),

        // MARK: Registry
        /// Artifacts, versions, aliases and the events that they are folded from.
        .module("ArtifactRegistry", in: "Registry", uses: ["Basics"]),
        /// Rules over metrics: numbers in, verdict with reasons out.
        .module("Gates", in: "Registry", uses: ["Basics"]),
        /// Fairness, energy, benchmark statistics and the model card: numbers in, report out.
        .module("Audits", in: "Registry", uses: ["Basics"]),

        // MARK: Pipeline
        /// YAML to a graph of stages, fingerprints, scheduler, executor, reports.
        .module(
            "Pipelines", in: "Pipeline",
            uses: ["Basics", "CSystem", "Drawings", .product(name: "Yams", package: "Yams")]),

        // MARK: Engine
        /// Kernels in C: plain references and AVX2 paths chosen at run time.
        .cModule("CKernels", in: "Engine"),
        /// Shape, dtype, storage, operations, tape.
        .module("Tensors", in: "Engine", uses: ["Basics", "CKernels", "COneDNN", "COpenBLAS"]),
        /// Layers, losses, optimizers, schedules, training loop.
        .module("NeuralNets", in: "Engine", uses: ["Basics", "Tensors"]),
        /// Files of arrays: safetensors, NPY, NPZ, IDX, and the gzip streams under them.
        .module("TensorFiles", in: "Engine", uses: ["Basics", "CZlib", "Tensors"]),
        /// Tables and pictures, encodings, splits, loaders, augmentation.
        .module("Datasets", in: "Engine", uses: ["Basics", "CPictures", "Tensors", "TensorFiles"]),
        /// Model files, ONNX, event files of TensorBoard; an architecture as a graph of simple operations.
        .module("Interchange", in: "Engine", uses: ["Basics", "Tensors", "TensorFiles", "NeuralNets"]),
        /// Calibration and int8 kernels.
        .module("Quantization", in: "Engine", uses: ["Basics", "CKernels", "Tensors", "NeuralNets", "Interchange"]),
        /// Recipes: architecture, data, schedule, and the result to reach.
        .module(
            "ModelZoo", in: "Engine",
            uses: ["Basics", "Drawings", "Tensors", "TensorFiles", "NeuralNets", "Datasets", "Interchange"]),
        /// A model file to a predictor.
        .module(
            "Inference", in: "Engine",
            uses: [
                "Basics", "Tensors", "TensorFiles", "NeuralNets", "Datasets", "ModelZoo", "Quantization", "Interchange",
            ]),

        // MARK: App
        /// One opened project and its use cases.
        .module(
            "Workspaces", in: "App",
            uses: [
                "Basics", "ContentStorage", "Remotes", "GitIntegration", "ArtifactRegistry", "Gates", "Audits",
                "Pipelines",
            ]),
        /// The built-in steps that need the engine.
        .module(
            "Training", in: "App",
            uses: [
                "Basics", "Drawings", "Workspaces", "Pipelines", "ArtifactRegistry", "ContentStorage", "Audits",
                "Gates",
                "Datasets",
                "ModelZoo", "Quantization", "Interchange", "Inference", "Tensors",
            ]),

        // MARK: CLI
        /// Tables, progress, colour, JSON.
        .module("TerminalOutput", in: "CLI", uses: ["Basics"]),
        /// One file a verb: flags, a call of a library, a report.
        .module(
            "MLOpsCommands", in: "CLI",
            uses: [
                "Basics", "Drawings", "Workspaces", "Training", "Pipelines", "ArtifactRegistry", "Gates", "Remotes",
                "ContentStorage", "Audits", "Interchange", "Inference", "ModelZoo",
                "TerminalOutput",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .executableTarget(
            name: "mlops", dependencies: ["MLOpsCommands"], path: "Sources/CLI/mlops", swiftSettings: ourSwiftSettings),

        // MARK: Tests
        /// Temporary folders, scratch repositories, snapshots.
        .target(
            name: "TestSupport", dependencies: ["Basics"], path: "Tests/TestSupport", swiftSettings: ourSwiftSettings),
        .tests(of: "Basics", in: "Base"),
        .tests(of: "Drawings", in: "Base"),
        .tests(of: "CurlTransport", in: "Base"),
        .tests(of: "ContentStorage", in: "Store"),
        .tests(of: "Remotes", in: "Store", uses: ["ContentStorage", "CurlTransport"]),
        .tests(of: "GitIntegration", in: "Store"),
        .tests(of: "ArtifactRegistry", in: "Registry"),
        .tests(of: "Gates", in: "Registry"),
        .tests(of: "Audits", in: "Registry"),
        .tests(of: "Pipelines", in: "Pipeline", uses: ["Drawings"]),
        .tests(of: "Tensors", in: "Engine"),
        .tests(of: "NeuralNets", in: "Engine", uses: ["Tensors"]),
        .tests(of: "TensorFiles", in: "Engine", uses: ["Tensors"]),
        .tests(of: "Datasets", in: "Engine", uses: ["Tensors", "TensorFiles"]),
        .tests(of: "Interchange", in: "Engine", uses: ["Tensors", "TensorFiles", "NeuralNets"]),
        .tests(of: "Quantization", in: "Engine", uses: ["Tensors", "NeuralNets", "Interchange"]),
        .tests(of: "ModelZoo", in: "Engine", uses: ["Drawings", "Tensors", "NeuralNets", "Datasets", "Interchange"]),
        .tests(
            of: "Inference", in: "Engine",
            uses: [
                "Tensors", "TensorFiles", "NeuralNets", "Datasets", "Interchange", "ModelZoo", "Quantization",
            ]),
        .tests(of: "Workspaces", in: "App", uses: ["ArtifactRegistry", "ContentStorage", "Gates", "Remotes"]),
        .tests(of: "TerminalOutput", in: "CLI"),
        .testTarget(
            name: "EndToEndTests", dependencies: ["TestSupport", "Basics", "mlops"], path: "Tests/CLI/EndToEndTests",
            swiftSettings: ourSwiftSettings),
    ]
)

/// `MLOPS_BENCHMARKS=1` (set by `Benchmarks/engine`) adds what only the benchmarks need.
if Context.environment["MLOPS_BENCHMARKS"] == "1" {
    package.targets.append(
        .executableTarget(
            name: "engine-bench",
            dependencies: ["Basics", "Tensors", "NeuralNets", "Interchange", "ModelZoo", "Inference"],
            path: "Benchmarks/EngineBench", swiftSettings: ourSwiftSettings))
}
