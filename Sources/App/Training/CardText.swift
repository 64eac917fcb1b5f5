internal import Audits
internal import Basics
internal import Pipelines

/// What people say of a model, for its card: a YAML file of texts.
struct CardText {
    private let map: YAMLMap

    private static let keys = [
        "summary", "description", "developers", "contact", "license", "language", "tags", "base_model", "repository",
        "intended_uses", "downstream_uses", "out_of_scope_uses", "limitations", "recommendations", "citation", "region",
        "hardware",
    ]

    /// - Parameter name: the file's name in messages.
    init(path: String, name: String) throws {
        map = try YAML.read(path, name: name).map()
        try map.rejectUnknownKeys(CardText.keys, of: "a card's text")
    }

    func fill(_ input: inout ModelCardInput) throws {
        input.summary = try map.string("summary")
        input.description = try map.string("description")
        input.developers = try map.string("developers")
        input.contact = try map.string("contact")
        input.license = try map.string("license")
        input.languages = try texts("language")
        input.tags = try texts("tags")
        input.baseModel = try map.string("base_model")
        input.repository = try map.string("repository")
        input.directUse = try map.string("intended_uses")
        input.downstreamUse = try map.string("downstream_uses")
        input.outOfScopeUse = try map.string("out_of_scope_uses")
        input.limitations = try texts("limitations")
        input.recommendations = try map.string("recommendations")
        input.citation = try map.string("citation")
        input.region = try map.string("region")
        input.hardware = try map.string("hardware")
    }

    /// One text or a list of them.
    private func texts(_ key: String) throws -> [String] {
        guard let node = map.value(key) else { return [] }
        if case .string(let text) = node.content { return [text] }
        return try node.strings()
    }
}
