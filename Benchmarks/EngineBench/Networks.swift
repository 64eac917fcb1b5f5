import Interchange

/// The networks of the benchmark that are no recipes yet.
enum Networks {
    static func resnet20() -> Architecture {
        func conv(_ i: Int, _ o: Int, _ k: Int, _ s: Int) -> [LayerSpec] {
            [.conv2d(inputs: i, outputs: o, kernel: k, stride: s, padding: k / 2, hasBias: false), .batchNorm2d(features: o)]
        }
        var layers = conv(3, 16, 3, 1) + [.relu]
        var width = 16
        for (outputs, first) in [(16, 1), (32, 2), (64, 2)] {
            for place in 0..<3 {
                let stride = place == 0 ? first : 1
                let branch = conv(width, outputs, 3, stride) + [.relu] + conv(outputs, outputs, 3, 1)
                let shortcut = width == outputs ? [] : conv(width, outputs, 1, stride)
                layers += [.residual(branch: branch, shortcut: shortcut), .relu]
                width = outputs
            }
        }
        return Architecture(input: [3, 32, 32], layers: layers + [.globalAvgPool2d, .linear(inputs: 64, outputs: 10)])
    }

    static func mobilenet(_ factor: Double, side: Int, classes: Int) -> Architecture {
        func rounded(_ v: Double) -> Int {
            let n = max(8, Int(v + 4) / 8 * 8)
            return Double(n) < 0.9 * v ? n + 8 : n
        }
        func conv(_ i: Int, _ o: Int, _ k: Int, _ s: Int, _ g: Int = 1) -> [LayerSpec] {
            [
                .conv2d(inputs: i, outputs: o, kernel: k, stride: s, padding: k / 2, groups: g, hasBias: false),
                .batchNorm2d(features: o),
            ]
        }
        let isSmall = side < 64
        var c = rounded(32 * factor)
        var layers = conv(3, c, 3, isSmall ? 1 : 2) + [.relu6]
        for (t, o, n, s) in [
            (1, 16, 1, 1), (6, 24, 2, isSmall ? 1 : 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
            (6, 320, 1, 1),
        ] {
            let o = rounded(Double(o) * factor)
            for k in 0..<n {
                let (stride, h) = (k == 0 ? s : 1, c * t)
                var branch: [LayerSpec] = t == 1 ? [] : conv(c, h, 1, 1) + [.relu6]
                branch += conv(h, h, 3, stride, h) + [.relu6] + conv(h, o, 1, 1)
                layers += stride == 1 && c == o ? [.residual(branch: branch, shortcut: [])] : branch
                c = o
            }
        }
        let last = max(1280, rounded(1280 * factor))
        layers += conv(c, last, 1, 1) + [.relu6, .globalAvgPool2d, .dropout(probability: 0.2), .linear(inputs: last, outputs: classes)]
        return Architecture(input: [3, side, side], layers: layers)
    }
}
