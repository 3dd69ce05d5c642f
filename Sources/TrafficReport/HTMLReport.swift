package import FlowLog
import NetworkTypes

/// A page about a period that needs nothing but itself: no scripts, no fonts, no pictures from elsewhere.
package struct HTMLReport {
    package var summary: TrafficSummary
    package var host: String
    /// What is enforced, in words.
    package var policy: String
    /// Nil for all.
    package var networkInterface: String?
    package var version: String
    package var created: Timestamp

    package init(
        _ summary: TrafficSummary, host: String, policy: String, networkInterface: String? = nil, version: String,
        created: Timestamp
    ) {
        self.summary = summary
        self.host = host
        self.policy = policy
        self.networkInterface = networkInterface
        self.version = version
        self.created = created
    }

    package var page: String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <title>Traffic of \(escaped(host))</title>
        <style>
        \(Self.style)
        </style>
        </head>
        <body>
        <main>
        \(header)\(notice)\(figures)\(timeline)\(talkers)\(denials)\(rules)\(gaps)\(footer)</main>
        </body>
        </html>

        """
    }

    // MARK: Head

    private var period: String {
        let sameDay = summary.from.seconds / 86_400 == summary.to.seconds / 86_400
        let end = sameDay ? Figures.clock(summary.to) : Figures.minute(summary.to)
        guard summary.to > summary.from else { return "since \(Figures.minute(summary.from)) UTC" }
        return "\(Figures.minute(summary.from)) to \(end) UTC"
    }

    private var header: String {
        let facts = [
            ("Period", period), ("Policy", policy), ("Interfaces", networkInterface ?? "all"),
            ("Written", "\(Figures.minute(created)) UTC"),
        ]
        return """
            <header>
            <p class="kind">Traffic report</p>
            <h1>\(escaped(host))</h1>
            <dl>\(facts.map { "<div><dt>\($0)</dt><dd>\(escaped($1))</dd></div>" }.joined())</dl>
            </header>

            """
    }

    /// What the figures lack, said before they are.
    private var notice: String {
        var lacks: [String] = []
        if summary.totals.missing > 0 {
            lacks.append("\(count(summary.totals.missing, "decision")) declared missing, see below")
        }
        if summary.rowsLost > 0 { lacks.append("\(count(summary.rowsLost, "row")) could not be stored") }
        guard !lacks.isEmpty else { return "" }
        return "<p class=\"notice\"><strong>Not everything is in these figures:</strong> "
            + "\(lacks.joined(separator: "; ")).</p>\n"
    }

    private var figures: String {
        let totals = summary.totals
        let tiles = [
            ("Flows allowed", Figures.grouped(totals.allowed), "allowed"),
            ("Packets denied", Figures.grouped(totals.denied), "denied"),
            ("Data carried", Figures.bytes(totals.bytes), ""), ("Talking pairs", Figures.grouped(totals.talkers), ""),
            ("Rules never fired", "\(summary.neverFiredCount) of \(summary.ruleCount)", ""),
        ]
        return "<section class=\"tiles\">"
            + tiles.map { "<div class=\"tile \($2)\"><span>\($0)</span><b>\($1)</b></div>" }.joined() + "</section>\n"
    }

    // MARK: Charts

    private func section(_ title: String, _ remark: String, _ content: String) -> String {
        "<section><h2>\(title)</h2><p class=\"remark\">\(remark)</p>\n\(content)</section>\n"
    }

    private func empty(_ text: String) -> String { "<p class=\"empty\">\(text)</p>\n" }

    private var timeline: String {
        let isEmpty = summary.timeline.points.isEmpty
        let step = isEmpty ? "" : ", a column for \(Figures.duration(seconds: summary.timeline.step))"
        let legend =
            "<p class=\"legend\"><span class=\"allowed\">allowed flows</span>"
            + "<span class=\"denied\">denied packets</span></p>\n"
        return section(
            "Flows over time", "New flows and refused packets\(step). Times are UTC.",
            isEmpty
                ? empty("No traffic in this period.") : legend + TimelineChart(summary: summary).svg())
    }

    private var talkers: String {
        let all = Int(clamping: summary.totals.talkers)
        let shown = summary.talkers.count
        let range = shown < all ? "The first \(shown) of \(all) pairs" : "All \(shown) pairs"
        return section(
            "Top talkers",
            shown == 0 ? "Pairs of addresses by bytes, both ways." : "\(range) of addresses by bytes, both ways.",
            shown == 0 ? empty("Nobody was allowed to talk.") : TalkerChart(talkers: summary.talkers).svg())
    }

    private var denials: String {
        let matrix = summary.matrix
        guard !matrix.cells.isEmpty else {
            return section("Denied", "Sources by destination ports.", empty("Nothing was refused."))
        }
        let shown = (
            sources: Set(matrix.cells.map(\.source)).count,
            ports: Set(matrix.cells.map { portName($0.protocol, $0.port) }).count
        )
        return section(
            "Denied",
            "Refused packets: \(shown.sources) of \(count(matrix.sources, "source")) by \(shown.ports) of "
                + "\(count(matrix.ports, "destination port")).", DenialMatrixChart(matrix: matrix).svg() + denialTable)
    }

    private var denialTable: String {
        let rows = summary.denials.prefix(12).map { denial in
            """
            <tr><td class="mono">\(denial.source)</td><td class="mono">\(denial.destination)</td>\
            <td>\(escaped(portName(denial.protocol, denial.port)))</td>\
            <td>\(escaped(denial.rule.isEmpty ? "platform" : denial.rule))\
            <small>\(escaped(RuleChart.name(denial.group)))</small></td>\
            <td class="number">\(Figures.grouped(denial.flows))</td><td class="number">\(Figures.minute(denial.last))</td></tr>
            """
        }
        guard !rows.isEmpty else { return "" }
        return """
            <div class="drawing"><table><thead><tr><th>Source</th><th>Destination</th><th>Port</th><th>Refused by</th>\
            <th class="number">Packets</th><th class="number">Last</th></tr></thead><tbody>
            \(rows.joined(separator: "\n"))
            </tbody></table></div>

            """
    }

    private var rules: String {
        let legend =
            "<p class=\"legend\"><span class=\"allowed\">allows</span><span class=\"denied\">denies</span>"
            + "<span class=\"hollow\">never fired</span></p>\n"
        let hidden = Int(clamping: summary.neverFiredCount) - summary.neverFired.count
        let more = hidden > 0 ? empty("\(hidden) more never fired; nsgctl top rules --limit 1000 lists them.") : ""
        let isEmpty = summary.rules.isEmpty && summary.neverFired.isEmpty
        return section(
            "Rule hits",
            "First packets in the kernel's counter of each rule since it was loaded. A rule that never fired may be one "
                + "that nobody needs, or one that another rule hides.",
            isEmpty ? empty("No rules are in force.") : legend + RuleChart(summary: summary).svg() + more)
    }

    private var gaps: String {
        guard !summary.gaps.isEmpty else { return "" }
        let rows = summary.gaps.prefix(50).map { gap in
            "<tr><td>\(Figures.minute(gap.from))</td><td>\(Figures.minute(gap.to))</td>"
                + "<td>\(escaped(gap.reason))</td><td>\(escaped(gap.rule))</td>"
                + "<td class=\"number\">\(Figures.grouped(gap.missing))</td></tr>"
        }
        return section(
            "Declared gaps", "Decisions that the kernel counted, and that no record tells of.",
            """
            <div class="drawing"><table><thead><tr><th>From</th><th>To</th><th>Why</th><th>Rule</th>\
            <th class="number">Missing</th></tr></thead><tbody>
            \(rows.joined(separator: "\n"))
            </tbody></table></div>

            """)
    }

    private var footer: String {
        """
        <footer>nsgd \(escaped(version)). A flow counts once, however many interfaces it passes; bytes are those that \
        live flows have been asked about by now. The first interval is shown whole.</footer>

        """
    }

    private func count(_ number: UInt64, _ noun: String) -> String {
        "\(Figures.grouped(number)) \(noun)\(number == 1 ? "" : "s")"
    }
}
