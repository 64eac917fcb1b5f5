internal import Tensors

extension ONNXGraph {
    /// The input `pixels` and its way to what the network sees; the name of that.
    mutating func addPixels(mean: [Double], deviation: [Double], shape: [Axis]) -> String {
        addInput("pixels", .uint8, shape)
        let axes = mean.count == 1 ? [] : [mean.count, 1, 1]
        addInitializer("input.mean", Tensor(mean.map(Float.init), shape: axes))
        addInitializer("input.deviation", Tensor(deviation.map(Float.init), shape: axes))
        let white = constant(255)
        addNode("Cast", "input.float", inputs: ["pixels"], attributes: [("to", .element(.float))], shape: shape)
        addNode("Div", "input.scaled", inputs: ["input.float", white], shape: shape)
        addNode("Sub", "input.centred", inputs: ["input.scaled", "input.mean"], shape: shape)
        addNode("Div", "input", inputs: ["input.centred", "input.deviation"], shape: shape)
        return "input"
    }

    /// One input per column and their way to the row that the network sees; the name of that.
    mutating func addColumns(_ columns: [ONNXExport.Column], shape: [Axis]) -> String {
        var parts: [String] = []
        var numbers: [(name: String, mean: Double, deviation: Double)] = []
        func flush(_ graph: inout ONNXGraph) {
            if !numbers.isEmpty { parts.append(graph.addNumbers(numbers, name: "input.\(parts.count)")) }
            numbers = []
        }
        for column in columns {
            switch column.kind {
            case .number(let mean, let deviation):
                addInput(column.name, .float, [.named("batch"), .extent(1)])
                numbers.append((column.name, mean, deviation))
            case .text(let places, let width):
                addInput(column.name, .string, [.named("batch"), .extent(1)])
                guard width > 0 else { continue }
                flush(&self)
                parts.append(addText(column.name, places: places, width: width, name: "input.\(parts.count)"))
            }
        }
        flush(&self)
        addNode("Concat", "input", inputs: parts, attributes: [("axis", .int(1))], shape: shape)
        return "input"
    }

    /// Columns of numbers that lie side by side, standardised: in double, as the engine does it.
    private mutating func addNumbers(
        _ columns: [(name: String, mean: Double, deviation: Double)], name: String
    ) -> String {
        let shape: [Axis] = [.named("batch"), .extent(columns.count)]
        addInitializer("\(name).mean", Tensor(columns.map(\.mean)))
        addInitializer("\(name).deviation", Tensor(columns.map(\.deviation)))
        let (least, most, zero) = (constant(-1e6, .f64), constant(1e6, .f64), constant(0))
        addNode(
            "Concat", "\(name).values", inputs: columns.map(\.name), attributes: [("axis", .int(1))], shape: shape)
        addNode(
            "Cast", "\(name).double", inputs: ["\(name).values"], attributes: [("to", .element(.double))],
            shape: shape, of: .double)
        addNode("Sub", "\(name).centred", inputs: ["\(name).double", "\(name).mean"], shape: shape, of: .double)
        addNode("Div", "\(name).scaled", inputs: ["\(name).centred", "\(name).deviation"], shape: shape, of: .double)
        addNode("Clip", "\(name).clipped", inputs: ["\(name).scaled", least, most], shape: shape, of: .double)
        addNode(
            "Cast", "\(name).known", inputs: ["\(name).clipped"], attributes: [("to", .element(.float))], shape: shape)
        addNode("IsNaN", "\(name).missing", inputs: ["\(name).values"], shape: shape, of: .bool)
        addNode("Where", name, inputs: ["\(name).missing", zero, "\(name).known"], shape: shape)
        return name
    }

    /// A column of text, one-hot.
    private mutating func addText(
        _ column: String, places: [(text: String, place: Int)], width: Int, name: String
    ) -> String {
        addNode(
            "LabelEncoder", "\(name).place", inputs: [column],
            attributes: [
                ("default_int64", .int(-1)), ("keys_strings", .strings(places.map(\.text))),
                ("values_int64s", .ints(places.map(\.place))),
            ], domain: ONNXGraph.machineLearningDomain, shape: [.named("batch"), .extent(1)], of: .int64)
        addNode(
            "OneHotEncoder", "\(name).hot", inputs: ["\(name).place"],
            attributes: [("cats_int64s", .ints(Array(0..<width))), ("zeros", .int(1))],
            domain: ONNXGraph.machineLearningDomain, shape: [.named("batch"), .extent(1), .extent(width)])
        addNode(
            "Flatten", name, inputs: ["\(name).hot"], attributes: [("axis", .int(1))],
            shape: [.named("batch"), .extent(width)])
        return name
    }
}

extension ONNXGraph.Attribute {
    static func element(_ type: ONNXGraph.ElementType) -> ONNXGraph.Attribute { .int(type.rawValue) }
}
