internal import FlowLog
internal import NSGModel
internal import NetworkTypes
internal import TrafficReport

/// One summary from the rows.
///
/// A flow that passes two interfaces here has rows of both. It is counted once: as the interface of its destination saw
/// it, where that refused some of the flows of the same addresses and port; else as the interface that saw most of it.
struct TrafficReading: ~Copyable {
    private let database: Database
    private let query: TrafficQuery
    private let now: Timestamp

    init(_ database: consuming Database, _ query: TrafficQuery, now: Timestamp) {
        self.database = database
        self.query = query
        self.now = now
    }

    /// What takes longer than so many nanoseconds ends with an interruption.
    func summary(within nanoseconds: UInt64) throws(StoreError) -> TrafficSummary {
        try database.limited(nanoseconds: nanoseconds) { () throws(StoreError) in try summary() }
    }

    private func summary() throws(StoreError) -> TrafficSummary {
        try choose()
        guard let (period, length) = try period() else {
            var empty = TrafficSummary(from: query.since, to: query.since)
            if query.parts.contains(.gaps) { empty.gaps = try gaps() }
            return empty
        }
        var summary = period
        let step = step(over: summary.to.seconds - summary.from.seconds, of: length)
        try count(from: summary.from.seconds, step: step)
        summary.totals = try totals()
        if query.parts.contains(.talkers) { summary.talkers = try talkers() }
        if query.parts.contains(.denied) {
            summary.denials = try denials()
            summary.matrix = try matrix()
        }
        if query.parts.contains(.ports) { summary.ports = try ports() }
        if query.parts.contains(.rules) { summary.rules = try rules() }
        if query.parts.contains(.timeline) {
            summary.timeline.step = step
            summary.timeline.points = try points(from: summary.from.seconds, step: step)
        }
        summary.gaps = try gaps()
        summary.totals.missing = summary.gaps.reduce(0) { $0 &+ $1.missing }
        if !query.parts.contains(.gaps) { summary.gaps = [] }
        return summary
    }

    // MARK: What is looked at

    /// Rows of intervals that end after `?1`. Their key begins with `start`, so that the longest interval there is says
    /// where to begin.
    private static let inPeriod =
        "t.start > ?1 - (SELECT max(length) FROM interval) AND t.start + t.length > ?1"

    private func choose() throws(StoreError) {
        // Also what a sort may take in memory; the rest of it goes to a temporary file.
        try database.run("PRAGMA cache_size = -65536")
        try database.run(
            "CREATE TEMP TABLE chosen (id INTEGER PRIMARY KEY, direction, status, nsg, rule, rule_type, nic)")
        var statement = try database.prepare(
            """
            INSERT INTO chosen SELECT id, direction, status, nsg, rule, rule_type, nic FROM side
            WHERE ?1 = '' OR lower(nic) = ?1 OR substr(lower(nic), -length(?1) - 1) = '/' || ?1
            """)
        statement.bind(1, query.networkInterface?.lowercased() ?? "")
        try statement.run()
    }

    /// What the rows cover, and the longest interval among them.
    private func period() throws(StoreError) -> (summary: TrafficSummary, length: UInt64)? {
        var statement = try database.prepare(
            "SELECT count(*), min(t.start), max(t.start + t.length), max(t.length) FROM traffic t JOIN chosen c ON c.id = t.side "
                + "WHERE \(Self.inPeriod)")
        statement.bind(1, query.since.seconds)
        guard try statement.next(), statement.number(0) > 0 else { return nil }
        defer { statement.reset() }
        let from = Timestamp(seconds: statement.count(1))
        // The interval that goes on ends now.
        let to = max(from, min(Timestamp(seconds: statement.count(2)), now))
        return (TrafficSummary(from: from, to: to), statement.count(3))
    }

    /// Seconds of a point: an interval or a round number above it, and the whole period where nobody wants a timeline.
    private func step(over seconds: UInt64, of length: UInt64) -> UInt64 {
        let steps: [UInt64] = [60, 120, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000]
        guard query.parts.contains(.timeline) else { return UInt64(UInt32.max) }
        return ([length] + steps.filter { $0 > length }).first { seconds / max($0, 1) < UInt64(query.points) }
            ?? UInt64(UInt32.max)
    }

    /// Each flow once, by what tells rows apart and the point of the timeline.
    private func count(from: UInt64, step: UInt64) throws(StoreError) {
        try database.run(
            """
            CREATE TEMP TABLE once (
                point INTEGER, source TEXT, destination TEXT, protocol INTEGER, port INTEGER, flow_type TEXT,
                source_end INTEGER, destination_end INTEGER, allowed INTEGER, denied INTEGER, packets INTEGER, bytes INTEGER)
            """)
        var statement = try database.prepare(
            """
            INSERT INTO once
            SELECT point, source, destination, protocol, port, max(flow_type), max(source_end), max(destination_end),
                CASE WHEN sum(denied * inbound) > 0 THEN max(allowed * inbound) ELSE max(allowed) END,
                sum(denied),
                CASE WHEN sum(denied * inbound) > 0 THEN max(packets * inbound) ELSE max(packets) END,
                CASE WHEN sum(denied * inbound) > 0 THEN max(bytes * inbound) ELSE max(bytes) END
            FROM (
                SELECT (t.start - ?2) / ?3 AS point, t.source, t.destination, t.protocol, t.port,
                    c.direction = 'I' AS inbound, max(t.flow_type) AS flow_type,
                    max(t.source_end) AS source_end, max(t.destination_end) AS destination_end,
                    sum(CASE c.status WHEN 'A' THEN t.flows ELSE 0 END) AS allowed,
                    sum(CASE c.status WHEN 'D' THEN t.flows ELSE 0 END) AS denied,
                    sum(t.packets_sent + t.packets_received) AS packets, sum(t.bytes_sent + t.bytes_received) AS bytes
                FROM traffic t JOIN chosen c ON c.id = t.side
                WHERE \(Self.inPeriod)
                GROUP BY point, t.source, t.destination, t.protocol, t.port, c.nic, c.direction)
            GROUP BY point, source, destination, protocol, port
            """)
        statement.bind(1, query.since.seconds)
        statement.bind(2, from)
        statement.bind(3, step)
        try statement.run()
    }

    // MARK: Lists

    private func totals() throws(StoreError) -> TrafficSummary.Totals {
        var totals = TrafficSummary.Totals()
        var statement = try database.prepare("SELECT sum(allowed), sum(denied), sum(packets), sum(bytes) FROM once")
        if try statement.next() {
            totals.allowed = statement.count(0)
            totals.denied = statement.count(1)
            totals.packets = statement.count(2)
            totals.bytes = statement.count(3)
        }
        totals.talkers = UInt64(
            clamping: try database.number(
                "SELECT count(*) FROM (SELECT DISTINCT source, destination FROM once WHERE allowed > 0 OR bytes > 0)"))
        return totals
    }

    private func talkers() throws(StoreError) -> [TrafficSummary.Talker] {
        try list(
            """
            SELECT o.source, o.destination, coalesce(nullif(a.vm, ''), a.nic), coalesce(nullif(b.vm, ''), b.nic),
                o.flow_type, o.allowed, o.denied, o.packets, o.bytes
            FROM (
                SELECT source, destination, max(flow_type) AS flow_type, max(source_end) AS source_end,
                    max(destination_end) AS destination_end, sum(allowed) AS allowed, sum(denied) AS denied,
                    sum(packets) AS packets, sum(bytes) AS bytes
                FROM once GROUP BY source, destination HAVING sum(allowed) > 0 OR sum(bytes) > 0
                ORDER BY bytes DESC, allowed DESC, source, destination LIMIT ?1) o
                JOIN endpoint a ON a.id = o.source_end JOIN endpoint b ON b.id = o.destination_end
            ORDER BY o.bytes DESC, o.allowed DESC, o.source, o.destination
            """
        ) { row in
            guard let source = IPAddress(row.text(0)), let destination = IPAddress(row.text(1)) else { return nil }
            return TrafficSummary.Talker(
                source: source, destination: destination, sourceName: Self.name(row.text(2)),
                destinationName: Self.name(row.text(3)), flowType: row.text(4), flows: row.count(5),
                denied: row.count(6), packets: row.count(7), bytes: row.count(8))
        }
    }

    /// Of `rg/name` the name.
    private static func name(_ text: String) -> String { text.split(separator: "/").last.map(String.init) ?? "" }

    private func denials() throws(StoreError) -> [TrafficSummary.Denial] {
        try list(
            """
            SELECT t.source, t.destination, t.protocol, t.port, c.direction, c.nsg, c.rule, sum(t.flows) AS flows, max(t.last)
            FROM traffic t JOIN chosen c ON c.id = t.side
            WHERE \(Self.inPeriod.replacing("?1", with: "?2")) AND c.status = 'D'
            GROUP BY t.source, t.destination, t.protocol, t.port, c.direction, c.nsg, c.rule
            ORDER BY flows DESC, t.source, t.destination, t.port LIMIT ?1
            """
        ) { row in
            guard let source = IPAddress(row.text(0)), let destination = IPAddress(row.text(1)) else { return nil }
            return TrafficSummary.Denial(
                source: source, destination: destination,
                protocol: IPProtocol(rawValue: UInt8(clamping: row.number(2))), port: UInt16(clamping: row.number(3)),
                direction: row.text(4) == "I" ? .inbound : .outbound, group: row.text(5), rule: row.text(6),
                flows: row.count(7), last: Timestamp(milliseconds: row.count(8)))
        }
    }

    /// Twelve sources by twelve ports.
    private func matrix() throws(StoreError) -> TrafficSummary.DenialMatrix {
        var matrix = TrafficSummary.DenialMatrix()
        matrix.sources = UInt64(
            clamping: try database.number("SELECT count(DISTINCT source) FROM once WHERE denied > 0"))
        matrix.ports = UInt64(
            clamping: try database.number(
                "SELECT count(*) FROM (SELECT DISTINCT protocol, port FROM once WHERE denied > 0)"))
        matrix.cells = try list(
            """
            WITH refused AS (SELECT * FROM once WHERE denied > 0),
                sources AS (SELECT source FROM refused GROUP BY source ORDER BY sum(denied) DESC, source LIMIT 12),
                ports AS (
                    SELECT protocol, port FROM refused GROUP BY protocol, port ORDER BY sum(denied) DESC, port LIMIT 12)
            SELECT source, protocol, port, sum(denied) FROM refused
            WHERE source IN (SELECT source FROM sources) AND (protocol, port) IN (SELECT protocol, port FROM ports)
            GROUP BY source, protocol, port ORDER BY source, protocol, port LIMIT max(?1, 144)
            """
        ) { row in
            IPAddress(row.text(0)).map { source in
                TrafficSummary.DenialMatrix.Cell(
                    source: source, protocol: IPProtocol(rawValue: UInt8(clamping: row.number(1))),
                    port: UInt16(clamping: row.number(2)), flows: row.count(3))
            }
        }
        return matrix
    }

    private func ports() throws(StoreError) -> [TrafficSummary.Port] {
        try list(
            """
            SELECT protocol, port, sum(allowed) AS allowed, sum(denied) AS denied, sum(bytes) AS bytes FROM once
            GROUP BY protocol, port ORDER BY sum(allowed) + sum(denied) DESC, bytes DESC, protocol, port LIMIT ?1
            """
        ) { row in
            TrafficSummary.Port(
                protocol: IPProtocol(rawValue: UInt8(clamping: row.number(0))), port: UInt16(clamping: row.number(1)),
                flows: row.count(2), denied: row.count(3), bytes: row.count(4))
        }
    }

    /// All of them: what is not in the policy any more is cut later.
    private func rules() throws(StoreError) -> [TrafficSummary.Rule] {
        try list(
            """
            SELECT c.nsg, c.rule, c.rule_type, c.direction, c.status, sum(t.flows) AS flows,
                sum(t.bytes_sent + t.bytes_received)
            FROM traffic t JOIN chosen c ON c.id = t.side
            WHERE \(Self.inPeriod.replacing("?1", with: "?2")) AND c.rule <> '' AND ?1 > 0
            GROUP BY c.nsg, c.rule, c.rule_type, c.direction, c.status ORDER BY flows DESC, c.nsg, c.rule LIMIT 20000
            """
        ) { row in
            TrafficSummary.Rule(
                group: row.text(0), name: row.text(1), type: row.text(2),
                direction: row.text(3) == "I" ? .inbound : .outbound, priority: nil,
                access: row.text(4) == "D" ? "Deny" : "Allow", hits: nil, flows: row.count(5), bytes: row.count(6))
        }
    }

    private func points(from: UInt64, step: UInt64) throws(StoreError) -> [TrafficSummary.Timeline.Point] {
        try list(
            "SELECT point, sum(allowed), sum(denied), sum(bytes) FROM once WHERE ?1 > 0 GROUP BY point ORDER BY point"
        ) { row in
            TrafficSummary.Timeline.Point(
                start: Timestamp(seconds: from + row.count(0) * step), allowed: row.count(1), denied: row.count(2),
                bytes: row.count(3))
        }
    }

    /// The last of them.
    private func gaps() throws(StoreError) -> [TrafficSummary.Gap] {
        try list(
            """
            SELECT begin, end, missing, reason, nsg, rule FROM gap WHERE end >= ?2 * 1000 AND ?1 > 0
            ORDER BY end DESC LIMIT 1000
            """
        ) { row in
            TrafficSummary.Gap(
                from: Timestamp(milliseconds: row.count(0)), to: Timestamp(milliseconds: row.count(1)),
                missing: row.count(2), reason: row.text(3), group: row.text(4), rule: row.text(5))
        }
    }

    /// - Parameter text: `?1` is how many rows are wanted, `?2`, where it is there, when the period begins.
    private func list<Element>(
        _ text: String, _ element: (borrowing Statement) -> Element?
    ) throws(StoreError) -> [Element] {
        var statement = try database.prepare(text)
        statement.bind(1, UInt64(query.limit))
        statement.bind(2, query.since.seconds)
        var elements: [Element] = []
        while try statement.next() { if let element = element(statement) { elements.append(element) } }
        return elements
    }
}
