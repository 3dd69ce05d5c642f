import NSGModel

/// Top talkers: a bar of bytes for each pair of addresses.
struct TalkerChart {
    let talkers: [TrafficSummary.Talker]

    private static let row = 46.0

    func svg() -> String {
        var drawing = Drawing(height: Self.row * Double(talkers.count), label: "Top talkers by bytes")
        let largest = Double(max(talkers.map(\.bytes).max() ?? 0, 1))
        for (index, talker) in talkers.enumerated() {
            let y = Double(index) * Self.row
            let source = name("\(talker.source)", talker.sourceName)
            let destination = name("\(talker.destination)", talker.destinationName)
            let denied = talker.denied > 0 ? " · \(Figures.short(talker.denied)) denied" : ""
            let flows =
                "\(Figures.short(talker.flows)) flow\(talker.flows == 1 ? "" : "s")\(denied) · \(talker.flowType)"
            drawing.text(0, y + 15, "\(source) → \(destination)", "label")
            drawing.text(Drawing.width, y + 15, flows, "note", .end)
            drawing.rectangle(0, y + 22, 890, 12, "track", radius: 3)
            let width = max(890 * Double(talker.bytes) / largest, talker.bytes > 0 ? 3 : 0)
            if width > 0 {
                drawing.rectangle(
                    0, y + 22, width, 12, "allowed", radius: 3,
                    title: "\(source) → \(destination): \(Figures.grouped(talker.bytes)) bytes in "
                        + "\(Figures.grouped(talker.packets)) packets, \(flows)")
            }
            drawing.text(Drawing.width, y + 33, Figures.bytes(talker.bytes), "value", .end)
        }
        return drawing.svg
    }

    private func name(_ address: String, _ name: String) -> String {
        name.isEmpty ? address : "\(shortened(name, to: 24)) (\(address))"
    }
}

/// Hits of rules, most used first; and those that never fired, marked.
struct RuleChart {
    let summary: TrafficSummary

    private static let row = 30.0
    private static let bars = (x: 560.0, width: 330.0)

    func svg() -> String {
        let rules = summary.rules + summary.neverFired
        var drawing = Drawing(
            height: Self.row * Double(rules.count) + 22,
            label: "Rules by hits; \(summary.neverFiredCount) of \(summary.ruleCount) never fired")
        for (x, text) in [(0.0, "Rule"), (318, "Group"), (492, "Priority")] {
            drawing.text(x, 12, text, "axis")
        }
        drawing.text(Self.bars.x, 12, "Hits", "axis")
        let largest = Double(max(rules.map(Self.hits).max() ?? 0, 1))
        for (index, rule) in rules.enumerated() {
            let y = 22 + Double(index) * Self.row
            drawing.line(0, y, Drawing.width, y, "grid")
            let silent = rule.hasNeverFired
            drawing.rectangle(0, y + 10, 10, 10, silent ? "hollow" : Self.style(of: rule), radius: 2)
            drawing.text(18, y + 19, shortened(rule.name, to: 38), silent ? "muted" : "label")
            let arrow = rule.direction == .inbound ? "in" : "out"
            drawing.text(
                318, y + 19, "\(shortened(Self.name(rule.group), to: 19)) \(arrow)", silent ? "muted" : "note")
            drawing.text(548, y + 19, rule.priority.map(String.init) ?? "gone", silent ? "muted" : "note", .end)
            bar(rule, y, largest, in: &drawing)
        }
        return drawing.svg
    }

    private func bar(_ rule: TrafficSummary.Rule, _ y: Double, _ largest: Double, in drawing: inout Drawing) {
        if rule.hasNeverFired {
            drawing.line(Self.bars.x, y + 15, Self.bars.x + Self.bars.width, y + 15, "dashed")
            drawing.text(Drawing.width, y + 19, "never fired", "silent", .end)
            return
        }
        let hits = Self.hits(rule)
        let width = max(Self.bars.width * Double(hits) / largest, 2)
        drawing.rectangle(
            Self.bars.x, y + 9, width, 12, Self.style(of: rule), radius: 3,
            title: "\(rule.name) (\(rule.access)): \(rule.hits.map(Figures.grouped) ?? "unknown") hits since it was "
                + "loaded, \(Figures.grouped(rule.flows)) flows and \(Figures.bytes(rule.bytes)) in this period")
        drawing.text(Drawing.width, y + 19, Figures.grouped(hits), "value", .end)
    }

    /// Without a counter of the kernel, what the rows say.
    private static func hits(_ rule: TrafficSummary.Rule) -> UInt64 { max(rule.hits ?? 0, rule.flows) }

    private static func style(of rule: TrafficSummary.Rule) -> String { rule.access == "Deny" ? "denied" : "allowed" }

    static func name(_ id: String) -> String { id.split(separator: "/").last.map(String.init) ?? "platform" }
}
