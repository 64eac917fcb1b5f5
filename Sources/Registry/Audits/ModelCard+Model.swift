internal import Basics

/// What the model is and what it is for.
extension ModelCard {
    var heading: String {
        let title = "# Model Card for " + MarkdownText.inline(input.name + (input.version.map { "@\($0)" } ?? ""))
        return title + "\n\n" + prose(input.summary)
    }

    var details: String {
        let dirty = input.gitIsDirty.map { $0 ? ", with changes that were not committed" : "" } ?? ""
        let description = facts([
            ("Developed by", inline(input.developers)),
            ("Model type", inline(input.architecture ?? input.recipe)),
            ("Task", inline(input.pipelineTag)),
            ("Language(s) (NLP)", input.languages.isEmpty ? nil : inline(input.languages.joined(separator: ", "))),
            ("License", inline(input.license)),
            ("Finetuned from model", inline(input.baseModel)),
            ("Version", inline(input.version)),
            ("Digest", code(input.digest?.description)),
            ("Created", inline(input.createdAt?.description)),
        ])
        let sources = facts([
            ("Repository", input.repository.map(MarkdownText.link)),
            ("Commit", code(input.gitCommit).map { $0 + dirty }),
            ("Pipeline", code(input.pipeline)),
            ("Run", code(input.run)),
        ])
        return section(
            "Model Details",
            [
                section("Model Description", level: 3, [prose(input.description), description]),
                section("Model Sources", level: 3, [sources]),
            ])
    }

    var uses: String {
        section(
            "Uses",
            [
                section("Direct Use", level: 3, [prose(input.directUse)]),
                section("Downstream Use", level: 3, [prose(input.downstreamUse)]),
                section("Out-of-Scope Use", level: 3, [prose(input.outOfScopeUse)]),
            ])
    }

    var risks: String {
        let known = input.limitations.map { "- " + MarkdownText.inline($0) }.joined(separator: "\n")
        return section(
            "Bias, Risks, and Limitations",
            [
                known.isEmpty ? "Not stated." : known, smallGroups,
                section("Recommendations", level: 3, [prose(input.recommendations)]),
            ])
    }

    /// What the fairness audit itself gives reason to warn of.
    private var smallGroups: String {
        guard let fairness = input.fairness else { return "" }
        let small = fairness.sortedColumns.filter { !$0.report.smallGroups.isEmpty }.map { name, report in
            "of \(MarkdownText.code(name)) " + report.smallGroups.map(MarkdownText.code).joined(separator: ", ")
        }
        guard !small.isEmpty else { return "" }
        return "These groups have fewer than \(fairness.minimumGroupSize) test examples, so their rates say little: "
            + small.joined(separator: "; ") + "."
    }

    var start: String {
        section(
            "How to Get Started with the Model",
            [input.getStarted.isEmpty ? "Not stated." : MarkdownText.codeBlock(input.getStarted, language: "sh")])
    }

    var citation: String {
        section(
            "Citation",
            [input.citation.map { MarkdownText.codeBlock([$0], language: "bibtex") } ?? "Not stated."])
            + "\n\n" + section("Model Card Contact", [prose(input.contact)])
    }
}
