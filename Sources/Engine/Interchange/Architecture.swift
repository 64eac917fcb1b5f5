/// A network as a list of layers, each fed by the one before; blocks nest lists of layers.
package struct Architecture: Codable, Hashable, Sendable {
    /// The shape of one input example.
    package var input: [Int]
    package var layers: [LayerSpec]

    /// Blocks inside blocks; the recipes need 2.
    package static let maximumDepth = 8

    package init(input: [Int], layers: [LayerSpec]) {
        self.input = input
        self.layers = layers
    }

    /// The lowest format of a model file that can say all of its layers.
    package var format: Int { layers.allSatisfy(\.isOfFirstFormat) ? 1 : 2 }
}
