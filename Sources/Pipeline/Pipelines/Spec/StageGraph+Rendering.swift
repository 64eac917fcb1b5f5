extension StageGraph {
    /// One line a stage in the order of running: ``train ← import (data/census)``.
    package var text: String {
        let width = names.map(\.count).max() ?? 0
        return order.map { stage in
            let sources = edges.filter { $0.to == stage }.map { edge in
                if case .path(let path) = edge.reason { return "\(names[edge.from]) (\(path))" }
                return names[edge.from]
            }
            guard !sources.isEmpty else { return names[stage] }
            let name = names[stage] + String(repeating: " ", count: width - names[stage].count)
            return "\(name) ← \(sources.joined(separator: ", "))"
        }.joined(separator: "\n") + "\n"
    }

    /// A Mermaid flowchart, as GitHub and GitLab draw it.
    package var mermaid: String {
        var lines = ["flowchart TD"]
        for stage in order { lines.append("    s\(stage)[\"\(names[stage])\"]") }
        for edge in edges {
            switch edge.reason {
            case .needs: lines.append("    s\(edge.from) --> s\(edge.to)")
            case .path(let path):
                let label = path.replacing("\"", with: "#quot;").replacing("|", with: "#124;")
                lines.append("    s\(edge.from) -->|\"\(label)\"| s\(edge.to)")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
