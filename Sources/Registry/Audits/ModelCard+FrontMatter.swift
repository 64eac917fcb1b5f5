internal import Basics

extension ModelCard {
    /// The YAML between two `---`: only what is known, as a tool would take a guess for a fact.
    var frontMatter: String {
        var lines = ["---"]
        if let license = input.license { lines.append("license: \(scalar(license.lowercased()))") }
        lines += list("language", input.languages)
        lines.append("library_name: mlops")
        if let tag = input.pipelineTag { lines.append("pipeline_tag: \(scalar(tag))") }
        lines += list("tags", ["mlops"] + input.tags.filter { $0 != "mlops" })
        lines += list("datasets", dataNames)
        lines += list("metrics", input.metrics.map(\.id))
        if let base = input.baseModel { lines.append("base_model: \(scalar(base))") }
        lines += modelIndex
        lines.append("---")
        return lines.joined(separator: "\n") + "\n"
    }

    /// The data sets by name, without `datasets/`, which the Hub would take for an owner.
    private var dataNames: [String] {
        var names: [String] = []
        for data in input.trainingData + [input.testData].compactMap(\.self) {
            let name = hubName(data.name)
            if !names.contains(name) { names.append(name) }
        }
        return names
    }

    private func hubName(_ name: String) -> String {
        name.hasPrefix("datasets/") ? String(name.dropFirst("datasets/".count)) : name
    }

    /// One result for all metrics of the test split; none without a task, a data set and a number.
    private var modelIndex: [String] {
        guard let task = input.pipelineTag, let data = input.testData else { return [] }
        var metrics: [String] = []
        for metric in input.metrics {
            for (value, form) in [(metric.float32, "float32"), (metric.int8, "int8")] {
                guard let value, value.isFinite else { continue }
                metrics += [
                    "          - type: \(scalar(metric.id))", "            value: \(yaml(value))",
                    "            name: \(scalar("\(metric.title) (\(form))"))",
                ]
            }
        }
        guard !metrics.isEmpty else { return [] }
        var lines = [
            "model-index:", "  - name: \(scalar(input.name))", "    results:", "      - task:",
            "          type: \(scalar(task))", "        dataset:", "          type: \(scalar(hubName(data.name)))",
            "          name: \(scalar(data.name))",
        ]
        if let split = data.split { lines.append("          split: \(scalar(split))") }
        if let digest = data.digest { lines.append("          revision: \(scalar(digest.description))") }
        return lines + ["        metrics:"] + metrics
    }

    private func list(_ key: String, _ values: [String]) -> [String] {
        values.isEmpty ? [] : ["\(key):"] + values.map { "  - \(scalar($0))" }
    }

    /// A string that every YAML reader takes for one: plain if it is a harmless word, else in double quotes.
    private func scalar(_ text: String) -> String {
        let isWord =
            text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                    UInt8(ascii: "/"):
                    true
                default: false
                }
            } && text.first?.isLetter == true
        let hasMeaning = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(text.lowercased())
        // JSON's quoting is YAML's.
        return isWord && !hasMeaning ? text : JSONValue.string(printable(text)).canonicalText
    }

    /// A number that readers of YAML 1.1 take for one too: `1e-05` would be a string to them.
    private func yaml(_ value: Double) -> String {
        let text = value.description
        guard let exponent = text.firstIndex(of: "e"), !text.contains(".") else { return text }
        return text[..<exponent] + ".0" + text[exponent...]
    }
}
