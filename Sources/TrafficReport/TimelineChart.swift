import FlowLog

/// Flows over time: a column a step, the allowed below and the denied above.
struct TimelineChart {
    let summary: TrafficSummary

    private static let left = 52.0
    private static let top = 12.0
    private static let plot = 220.0

    private var step: UInt64 { max(summary.timeline.step, 1) }
    private var first: UInt64 { summary.from.seconds / step * step }
    private var columns: UInt64 {
        let last = max(summary.to.seconds, summary.timeline.points.last?.start.seconds ?? 0)
        return max((max(last, first) - first + step - 1) / step, 1)
    }

    func svg() -> String {
        let points = summary.timeline.points
        let largest = points.map { max($0.allowed, $0.denied, $0.allowed &+ $0.denied) }.max() ?? 0
        let ticks = Figures.ticks(upTo: largest)
        let scale = Self.plot / Double(ticks.last ?? 1)
        var drawing = Drawing(
            height: Self.top + Self.plot + 30,
            label: "Flows over time: \(summary.totals.allowed) allowed, \(summary.totals.denied) denied")
        for tick in ticks {
            let y = Self.top + Self.plot - Double(tick) * scale
            drawing.line(Self.left, y, Drawing.width, y, tick == 0 ? "base" : "grid")
            drawing.text(Self.left - 8, y + 4, Figures.short(tick), "axis", .end)
        }
        let slot = (Drawing.width - Self.left) / Double(columns)
        let width = min(max(slot - 2, slot * 0.6), 56)
        for point in points where point.start.seconds >= first {
            let index = Double((point.start.seconds - first) / step)
            column(point, at: Self.left + slot * index + (slot - width) / 2, width, scale, in: &drawing)
        }
        labels(slot, in: &drawing)
        return drawing.svg
    }

    private func column(
        _ point: TrafficSummary.Timeline.Point, at x: Double, _ width: Double, _ scale: Double,
        in drawing: inout Drawing
    ) {
        let title =
            "\(Figures.minute(point.start)) UTC: \(Figures.grouped(point.allowed)) allowed, "
            + "\(Figures.grouped(point.denied)) denied, \(Figures.bytes(point.bytes))"
        // What is there is seen, be it little.
        func height(_ count: UInt64) -> Double { count == 0 ? 0 : min(max(Double(count) * scale, 1.5), Self.plot) }
        let (allowed, denied) = (height(point.allowed), height(point.denied))
        let base = Self.top + Self.plot
        if allowed > 0 { drawing.rectangle(x, base - allowed, width, allowed, "allowed", title: title) }
        guard denied > 0 else { return }
        // The page shows between the two.
        let gap = allowed > 2 && denied > 3 ? 1.5 : 0
        drawing.rectangle(x, base - allowed - denied, width, denied - gap, "denied", title: title)
    }

    /// Some nine of them, at round times.
    private func labels(_ slot: Double, in drawing: inout Drawing) {
        let lengths: [UInt64] = [60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000]
        let period = columns * step
        let distance = lengths.first { $0 >= step && period / $0 <= 9 } ?? max(period / 6, 1)
        var moment = (first + distance - 1) / distance * distance
        while moment <= first + period {
            let x = Self.left + Double(moment - first) / Double(step) * slot
            let time = Timestamp(seconds: moment)
            let isDay = distance >= 86_400 || moment.isMultiple(of: 86_400)
            drawing.line(x, Self.top + Self.plot, x, Self.top + Self.plot + 5, "base")
            if x < Drawing.width - 14 {
                drawing.text(
                    max(x, Self.left + 4), Self.top + Self.plot + 20, isDay ? Figures.day(time) : Figures.clock(time),
                    "axis", .middle)
            }
            moment += distance
        }
    }
}
