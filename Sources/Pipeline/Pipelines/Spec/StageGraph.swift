internal import Basics

/// Who must be done before whom.
package struct StageGraph: Sendable {
    /// Why one stage comes after another.
    package enum Reason: Sendable, Hashable {
        /// It names it.
        case needs
        /// It reads one of its outputs.
        case path(String)
    }

    package struct Edge: Sendable, Hashable {
        /// The stage that comes first.
        package var from: Int
        package var to: Int
        package var reason: Reason
    }

    package var names: [String]
    /// One for each pair of stages, in the order of `to`, then `from`.
    package var edges: [Edge]
    /// For each stage, those that it waits for, ascending.
    package var upstream: [[Int]]
    /// For each stage, those that wait for it, ascending.
    package var downstream: [[Int]]
    /// Every stage after those that it waits for; else in the order of the file.
    package var order: [Int]

    /// All stages that `stage` waits for, directly or not, ascending.
    package func ancestors(of stage: Int) -> [Int] { reachable(from: [stage], upstream).filter { $0 != stage } }

    /// `stages` and all that they wait for, ascending.
    package func closure(of stages: [Int]) -> [Int] { reachable(from: stages, upstream) }

    private func reachable(from start: [Int], _ next: [[Int]]) -> [Int] {
        var seen = Set(start)
        var open = start
        while let stage = open.popLast() {
            for other in next[stage] where seen.insert(other).inserted { open.append(other) }
        }
        return seen.sorted()
    }
}

/// Finds the edges between stages, and the faults: outputs that clash, unknown stages, cycles.
struct StageGraphBuilder {
    private let stages: [Stage]
    private let indexByName: [String: Int]
    /// The variants of each `matrix` and `foreach`, by the name that the file gives them.
    private let variants: [String: [Int]]
    private let names: Set<String>
    private(set) var diagnostics = Diagnostics()
    /// Who writes a path.
    private var writers: [String: Int] = [:]
    /// Who writes something below a folder.
    private var writersBelow: [String: [(stage: Int, path: String)]] = [:]

    /// - Parameter names: of all stages of the file, those left out of `stages` for their errors as well.
    init(_ stages: [Stage], names: [String]) {
        self.stages = stages
        self.names = Set(names)
        indexByName = Dictionary(stages.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { $1 })
        let grouped = stages.indices.filter { stages[$0].group != stages[$0].name }
        variants = Dictionary(grouping: grouped) { stages[$0].group }
    }

    /// nil after a cycle.
    mutating func build() -> StageGraph? {
        collectOutputs()
        var reasons: [Int: [Int: StageGraph.Reason]] = [:]
        for (index, stage) in stages.enumerated() {
            for need in stage.needs { addNeed(need, of: index, to: &reasons) }
            for dep in stage.deps { addReads(dep, of: index, to: &reasons) }
        }
        var edges: [StageGraph.Edge] = []
        var upstream = [[Int]](repeating: [], count: stages.count)
        var downstream = upstream
        for to in stages.indices {
            for (from, reason) in (reasons[to] ?? [:]).sorted(by: { $0.key < $1.key }) {
                edges.append(StageGraph.Edge(from: from, to: to, reason: reason))
                upstream[to].append(from)
                downstream[from].append(to)
            }
        }
        let order = StageGraphBuilder.order(upstream: upstream, downstream: downstream)
        guard order.count == stages.count else {
            addCycle(upstream, reasons, done: Set(order))
            return nil
        }
        return StageGraph(
            names: stages.map(\.name), edges: edges, upstream: upstream, downstream: downstream, order: order)
    }

    // MARK: Outputs

    private mutating func collectOutputs() {
        for (index, stage) in stages.enumerated() {
            for output in stage.outputs {
                let place = output.location ?? stage.location
                if let other = writers[output.path] {
                    addClash(stage.name, output.path, "which stage `\(stages[other].name)` writes too", at: place)
                    continue
                }
                if let folder = ancestors(of: output.path).first(where: { writers[$0] != nil }),
                    let other = writers[folder]
                {
                    addClash(
                        stage.name, output.path, "inside `\(folder)`, which \(writer(other, besides: index)) writes",
                        at: place)
                } else if let inside = writersBelow[output.path]?.first {
                    addClash(
                        stage.name, output.path,
                        "around `\(inside.path)`, which \(writer(inside.stage, besides: index)) writes", at: place)
                }
                writers[output.path] = index
                for folder in ancestors(of: output.path) {
                    writersBelow[folder, default: []].append((index, output.path))
                }
            }
        }
    }

    private func writer(_ stage: Int, besides other: Int) -> String {
        stage == other ? "it also" : "stage `\(stages[stage].name)`"
    }

    private mutating func addClash(_ stage: String, _ path: String, _ reason: String, at location: SourceLocation) {
        diagnostics.add(
            MLOpsError(
                .usage, "stage `\(stage)` writes `\(path)`, \(reason)", hint: "give each stage outputs of its own",
                at: location))
    }

    /// The folders above `path`, nearest first.
    private func ancestors(of path: String) -> [String] {
        var folders: [String] = []
        var rest = path[...]
        while let slash = rest.lastIndex(of: "/") {
            rest = rest[..<slash]
            folders.append(String(rest))
        }
        return folders
    }

    // MARK: Edges

    private mutating func addNeed(_ need: LocatedName, of stage: Int, to reasons: inout [Int: [Int: StageGraph.Reason]])
    {
        let found = indexByName[need.name].map { [$0] } ?? variants[need.name]
        guard let found else {
            addNeededPath(need, of: stage, to: &reasons)
            return
        }
        for other in found {
            guard other != stage else {
                diagnostics.add(
                    MLOpsError(
                        .usage, "stage `\(stages[stage].name)` needs itself", hint: "remove it from `needs`",
                        at: need.location ?? stages[stage].location))
                continue
            }
            reasons[stage, default: [:]][other] = reasons[stage]?[other] ?? .needs
        }
    }

    /// A need that names no stage may name what one writes.
    private mutating func addNeededPath(
        _ need: LocatedName, of stage: Int, to reasons: inout [Int: [Int: StageGraph.Reason]]
    ) {
        if names.contains(need.name) { return }
        let path = (try? StageSettingsReader.path(need.name)) ?? need.name
        let sources = sources(of: path)
        for source in sources where source.stage != stage {
            reasons[stage, default: [:]][source.stage] = .path(source.path)
        }
        guard sources.isEmpty else { return }
        let isPath = need.name.contains("/")
        diagnostics.add(
            MLOpsError(
                .usage,
                "stage `\(stages[stage].name)` needs `\(printable(shortened(need.name)))`, which is no stage"
                    + (isPath ? " and no output of one" : ""),
                hint: hint(for: need.name, of: stage, isPath: isPath), at: need.location ?? stages[stage].location))
    }

    /// What may be meant; nil after many errors, as each search looks at every name.
    private func hint(for need: String, of stage: Int, isPath: Bool) -> String? {
        guard diagnostics.errors.count < 50 else { return nil }
        guard isPath else {
            return unknownStageHint(need, among: stages.map(\.name).filter { $0 != stages[stage].name })
        }
        return nearestName(to: need, among: writers.keys).map { "did you mean `\($0)`?" }
            ?? "a file that no stage writes belongs in `deps`"
    }

    private mutating func addReads(_ dep: StagePath, of stage: Int, to reasons: inout [Int: [Int: StageGraph.Reason]]) {
        for source in sources(of: dep.path) {
            if source.stage == stage {
                diagnostics.add(
                    MLOpsError(
                        .usage, "stage `\(stages[stage].name)` reads `\(dep.path)`, which it writes itself",
                        hint: "remove it from `deps`", at: dep.location ?? stages[stage].location))
            } else {
                // The path says more than the name.
                reasons[stage, default: [:]][source.stage] = .path(source.path)
            }
        }
    }

    /// Who writes `path`, something around it or something below it.
    private func sources(of path: String) -> [(stage: Int, path: String)] {
        var sources: [(stage: Int, path: String)] = []
        for path in [path] + ancestors(of: path) {
            if let writer = writers[path] { sources.append((writer, path)) }
        }
        return sources + (writersBelow[path] ?? [])
    }

    // MARK: Order

    /// Kahn's algorithm, taking the ready stage that stands first in the file.
    private static func order(upstream: [[Int]], downstream: [[Int]]) -> [Int] {
        var missing = upstream.map(\.count)
        var ready = LowestFirst()
        for stage in missing.indices where missing[stage] == 0 { ready.insert(stage) }
        var order: [Int] = []
        while let stage = ready.popLowest() {
            order.append(stage)
            for other in downstream[stage] {
                missing[other] -= 1
                if missing[other] == 0 { ready.insert(other) }
            }
        }
        return order
    }

    private mutating func addCycle(
        _ upstream: [[Int]], _ reasons: [Int: [Int: StageGraph.Reason]], done: Set<Int>
    ) {
        // Every stage left over waits for another one left over: walking up from any of them ends in a cycle.
        guard let start = stages.indices.first(where: { !done.contains($0) }) else { return }
        var path: [Int] = []
        var stage = start
        while !path.contains(stage) {
            path.append(stage)
            guard let next = upstream[stage].first(where: { !done.contains($0) }) else { return }
            stage = next
        }
        var cycle = Array(path[(path.firstIndex(of: stage) ?? 0)...])
        // Begin with the one that stands first in the file.
        if let first = cycle.indices.min(by: { cycle[$0] < cycle[$1] }) {
            cycle = Array(cycle[first...] + cycle[..<first])
        }
        let links = cycle.indices.map { index -> String in
            let (stage, next) = (cycle[index], cycle[(index + 1) % cycle.count])
            let name = stages[stage].name
            if case .path(let path)? = reasons[stage]?[next] {
                return "`\(name)` reads `\(path)` of `\(stages[next].name)`"
            }
            return "`\(name)` needs `\(stages[next].name)`"
        }
        let names = (cycle + [cycle[0]]).map { "`\(stages[$0].name)`" }.joined(separator: " → ")
        diagnostics.add(
            MLOpsError(
                .usage, "stages wait for each other in a cycle: \(names)",
                hint: links.joined(separator: ", ") + "; remove one of these", at: stages[cycle[0]].location))
    }
}

/// A binary heap of indices that gives the lowest first.
struct LowestFirst: Sendable {
    private var heap: [Int] = []

    var isEmpty: Bool { heap.isEmpty }

    mutating func insert(_ value: Int) {
        heap.append(value)
        var child = heap.count - 1
        while child > 0, heap[(child - 1) / 2] > heap[child] {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func popLowest() -> Int? {
        guard let lowest = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return lowest }
        heap[0] = last
        var parent = 0
        while true {
            let left = 2 * parent + 1
            guard left < heap.count else { break }
            let child = left + 1 < heap.count && heap[left + 1] < heap[left] ? left + 1 : left
            if heap[parent] <= heap[child] { break }
            heap.swapAt(parent, child)
            parent = child
        }
        return lowest
    }
}
