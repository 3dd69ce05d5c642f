import FlowLog
import NetworkTypes

/// Who was refused where: sources down, destination ports across, the deeper the colour the more packets.
struct DenialMatrixChart {
    let matrix: TrafficSummary.DenialMatrix

    private struct Port: Hashable {
        var `protocol`: IPProtocol
        var number: UInt16
    }

    private static let cell = 34.0
    private static let head = 46.0

    func svg() -> String {
        let sources = ranked { $0.source }
        let ports = ranked { Port(protocol: $0.protocol, number: $0.port) }
        let longest = sources.map { "\($0)".count }.max() ?? 0
        let left = min(max(Double(longest) * 7.6 + 14, 110), 330)
        let right = 74.0
        let width = min((Drawing.width - left - right) / Double(max(ports.count, 1)), 96)
        var drawing = Drawing(
            height: Self.head + Self.cell * Double(sources.count) + 4,
            label: "Refused packets of \(sources.count) sources by \(ports.count) ports")
        for (column, port) in ports.enumerated() {
            let middle = left + (Double(column) + 0.5) * width
            drawing.text(middle, 16, port.protocol.hasPorts ? "\(port.number)" : "\(port.protocol)", "label", .middle)
            drawing.text(middle, 32, port.protocol.hasPorts ? note(port, width) : "", "axis", .middle)
        }
        drawing.text(left + width * Double(ports.count) + right - 8, 16, "Sum", "axis", .end)
        let flows = Dictionary(
            matrix.cells.map { (Place($0.source, Port(protocol: $0.protocol, number: $0.port)), $0.flows) },
            uniquingKeysWith: { first, _ in first })
        let largest = Double(max(flows.values.max() ?? 0, 1))
        for (row, source) in sources.enumerated() {
            let y = Self.head + Double(row) * Self.cell
            drawing.text(left - 12, y + 21, "\(source)", "address", .end)
            var sum: UInt64 = 0
            for (column, port) in ports.enumerated() {
                let x = left + Double(column) * width
                let count = flows[Place(source, port)] ?? 0
                sum &+= count
                cell(count, source, port, x, y, width, largest, in: &drawing)
            }
            drawing.text(
                left + width * Double(ports.count) + right - 8, y + 21, Figures.short(sum), "value", .end)
        }
        return drawing.svg
    }

    private func cell(
        _ count: UInt64, _ source: IPAddress, _ port: Port, _ x: Double, _ y: Double, _ width: Double,
        _ largest: Double, in drawing: inout Drawing
    ) {
        guard count > 0 else {
            return drawing.rectangle(x + 1, y + 1, width - 2, Self.cell - 2, "track", radius: 3)
        }
        // By the square root: one scanner must not make all others look alike.
        let depth = (Double(count) / largest).squareRoot()
        drawing.rectangle(
            x + 1, y + 1, width - 2, Self.cell - 2, "denied", radius: 3, opacity: 0.16 + 0.84 * depth,
            title: "\(source) to \(portName(port.protocol, port.number)): \(Figures.grouped(count)) refused packets")
        drawing.text(x + width / 2, y + 21, Figures.short(count), depth > 0.62 ? "onDark" : "onLight", .middle)
    }

    private struct Place: Hashable {
        var source: IPAddress
        var port: Port
        init(_ source: IPAddress, _ port: Port) {
            self.source = source
            self.port = port
        }
    }

    private func note(_ port: Port, _ width: Double) -> String {
        let name = ServiceNames.name(of: port.number, port.protocol) ?? ""
        return shortened(name.isEmpty ? "\(port.protocol)" : name, to: max(Int(width / 6.4), 4))
    }

    /// Most refused first.
    private func ranked<Key: Hashable>(_ key: (TrafficSummary.DenialMatrix.Cell) -> Key) -> [Key] {
        var sums: [Key: (sum: UInt64, first: Int)] = [:]
        for (index, cell) in matrix.cells.enumerated() { sums[key(cell), default: (0, index)].sum &+= cell.flows }
        return sums.sorted { ($1.value.sum, $0.value.first) < ($0.value.sum, $1.value.first) }.map(\.key)
    }
}
