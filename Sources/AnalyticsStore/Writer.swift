internal import CSQLite
internal import FlowLog
internal import NSGModel
internal import NetworkTypes

/// The connection that writes, with its statements.
struct Writer: ~Copyable {
    private let database: Database
    private var addRow: Statement
    private var addSide: Statement
    private var findSide: Statement
    private var addEndpoint: Statement
    private var findEndpoint: Statement
    private var addGap: Statement
    private let pageBytes: UInt64
    /// Ids of endpoints that were met; emptied when many are.
    private var endpoints: [TrafficEndpoint: Int64] = [:]
    /// The day whose first interval was removed last.
    private var lastTidied: Int64 = 0

    /// Opens the file, and makes its tables where there are none.
    /// - Parameter bytes: what the file may come to at most.
    init(_ path: String, bytes: UInt64) throws(StoreError) {
        let database = try Database(path, .readWrite)
        try database.run(AnalyticsSchema.writing, doing: "open \(path)")
        let version = try database.number("PRAGMA user_version")
        if version == 0, try database.number("SELECT count(*) FROM sqlite_schema") == 0 {
            try database.transaction { () throws(StoreError) in
                try database.run(AnalyticsSchema.creation, doing: "begin \(path)")
            }
        } else if version != AnalyticsSchema.version {
            throw StoreError(
                code: SQLITE_NOTADB, operation: "open \(path)",
                message: "its version is \(version), and this program's \(AnalyticsSchema.version)")
        }
        let pageBytes = UInt64(max(try database.number("PRAGMA page_size"), 512))
        // What `makeRoom` cannot keep to, since one interval alone is too much, ends as on a full disk.
        _ = try database.number("PRAGMA max_page_count = \(max(bytes / pageBytes, 16))")
        let addRow = try database.prepare(AnalyticsSchema.addRow)
        let addSide = try database.prepare(AnalyticsSchema.addSide)
        let findSide = try database.prepare(AnalyticsSchema.findSide)
        let addEndpoint = try database.prepare(AnalyticsSchema.addEndpoint)
        let findEndpoint = try database.prepare(AnalyticsSchema.findEndpoint)
        let addGap = try database.prepare(AnalyticsSchema.addGap)
        self.pageBytes = pageBytes
        self.addRow = addRow
        self.addSide = addSide
        self.findSide = findSide
        self.addEndpoint = addEndpoint
        self.findEndpoint = findEndpoint
        self.addGap = addGap
        self.database = database
    }

    // MARK: Rows

    mutating func add(_ batch: TrafficBatch, _ atlas: AddressAtlas, limit: UInt64) throws(StoreError) {
        guard !batch.isEmpty else { return }
        try makeRoom(for: batch, limit: limit)
        try database.run("BEGIN IMMEDIATE")
        do throws(StoreError) {
            try addRows(of: batch, atlas)
            try addGaps(of: batch)
            try database.run("COMMIT")
        } catch {
            database.rollBack()
            endpoints = [:]
            throw error
        }
    }

    private mutating func addRows(of batch: TrafficBatch, _ atlas: AddressAtlas) throws(StoreError) {
        var ids: [Int64] = []
        for (side, _) in batch.sides { ids.append(try id(of: side)) }
        var addInterval = try database.prepare(AnalyticsSchema.addInterval)
        for interval in Set(batch.sides.map(\.interval)) {
            addInterval.bind(1, interval)
            try addInterval.run()
        }
        // What an address is, seen from a network; most rows of a batch share theirs.
        var places: [Seen: AddressPlace] = [:]
        if endpoints.count > 65_536 { endpoints = [:] }
        for (key, sums) in batch.rows {
            let (side, interval) = batch.sides[Int(key.side)]
            let network = side.interface.virtualNetwork
            let source = Self.place(of: key.source, from: network, atlas, &places)
            let destination = Self.place(of: key.destination, from: network, atlas, &places)
            addRow.bind(1, UInt64(key.start))
            addRow.bind(2, interval)
            addRow.bind(3, ids[Int(key.side)])
            addRow.bind(4, key.source.description)
            addRow.bind(5, key.destination.description)
            addRow.bind(6, UInt64(key.protocol.rawValue))
            addRow.bind(7, UInt64(key.port))
            addRow.bind(8, FlowType(from: source, to: destination).rawValue)
            addRow.bind(9, try id(of: atlas.endpoint(of: key.source, at: source)))
            addRow.bind(10, try id(of: atlas.endpoint(of: key.destination, at: destination)))
            addRow.bind(11, sums.first.milliseconds)
            addRow.bind(12, sums.lastBegan?.milliseconds ?? 0)
            addRow.bind(13, sums.flows)
            addRow.bind(14, sums.completed)
            addRow.bind(15, sums.traffic.packetsSent)
            addRow.bind(16, sums.traffic.packetsReceived)
            addRow.bind(17, sums.traffic.bytesSent)
            addRow.bind(18, sums.traffic.bytesReceived)
            try addRow.run()
        }
    }

    private struct Seen: Hashable {
        var address: IPAddress
        var network: ResourceID?
    }

    private static func place(
        of address: IPAddress, from network: ResourceID?, _ atlas: AddressAtlas, _ places: inout [Seen: AddressPlace]
    ) -> AddressPlace {
        let seen = Seen(address: address, network: network)
        if let known = places[seen] { return known }
        let place = atlas.place(of: address, seenFrom: network)
        places[seen] = place
        return place
    }

    private mutating func addGaps(of batch: TrafficBatch) throws(StoreError) {
        for gap in batch.gaps {
            addGap.bind(1, gap.from.milliseconds)
            addGap.bind(2, gap.to.milliseconds)
            addGap.bind(3, gap.missing)
            addGap.bind(4, gap.reason.rawValue)
            addGap.bind(5, gap.rule?.rule.group.description ?? "")
            addGap.bind(6, gap.rule?.rule.name ?? "")
            try addGap.run()
        }
    }

    // MARK: What rows refer to

    private mutating func id(of side: TrafficSide) throws(StoreError) -> Int64 {
        let nic = side.interface.networkInterface
        let key = [
            side.direction == .inbound ? "I" : "O", side.isDenied ? "D" : "A", nic?.description ?? "",
            side.interface.virtualNetwork?.description ?? "", side.interface.device ?? "",
            side.interface.macAddress.description, side.rule?.group.description ?? "", side.rule?.name ?? "",
            side.rule?.kind.analyticsName ?? "",
        ]
        if let present = try Self.find(&findSide, key) { return present }
        for (index, text) in key.enumerated() { addSide.bind(Int32(index + 1), text) }
        addSide.bind(10, side.rule.map(\.group).flatMap { $0.name.isEmpty ? nil : $0.listName } ?? "")
        addSide.bind(11, nic?.groupAndName ?? "")
        try addSide.run()
        return database.lastRow
    }

    private mutating func id(of endpoint: TrafficEndpoint) throws(StoreError) -> Int64 {
        if let known = endpoints[endpoint] { return known }
        let key = [endpoint.subnet, endpoint.virtualMachine, endpoint.networkInterface]
        let id: Int64
        if let present = try Self.find(&findEndpoint, key) {
            id = present
        } else {
            for (index, text) in key.enumerated() { addEndpoint.bind(Int32(index + 1), text) }
            try addEndpoint.run()
            id = database.lastRow
        }
        endpoints[endpoint] = id
        return id
    }

    private static func find(_ statement: inout Statement, _ key: [String]) throws(StoreError) -> Int64? {
        for (index, text) in key.enumerated() { statement.bind(Int32(index + 1), text) }
        guard try statement.next() else { return nil }
        defer { statement.reset() }
        return statement.number(0)
    }

    // MARK: Room

    mutating func expire(before moment: Timestamp, atMost limit: Int) throws(StoreError) -> Bool {
        let end = Int64(clamping: moment.seconds)
        for _ in 0..<limit {
            guard let oldest = try oldest(), oldest < end else {
                var gaps = try database.prepare(AnalyticsSchema.expireGaps)
                gaps.bind(1, moment.milliseconds)
                try gaps.run()
                return false
            }
            try remove(oldest)
        }
        return true
    }

    /// Removes the oldest intervals until so many rows fit; never those that rows are to be added to.
    private mutating func makeRoom(for batch: TrafficBatch, limit: UInt64) throws(StoreError) {
        let wanted = UInt64(batch.count) * Self.mostRowBytes
        guard try used() + wanted > limit, let first = batch.rows.keys.map(\.start).min() else { return }
        for _ in 0..<64 {
            guard try used() + wanted > limit, let oldest = try oldest(), oldest < Int64(first) else { return }
            try remove(oldest)
        }
    }

    /// Addresses of IPv6, and pages that are half empty.
    private static let mostRowBytes: UInt64 = 300

    private func used() throws(StoreError) -> UInt64 {
        let pages = try database.number("PRAGMA page_count") - database.number("PRAGMA freelist_count")
        return UInt64(max(pages, 0)) * pageBytes
    }

    private func oldest() throws(StoreError) -> Int64? {
        var statement = try database.prepare(AnalyticsSchema.oldest)
        return try statement.next() ? statement.number(0) : nil
    }

    private mutating func remove(_ start: Int64) throws(StoreError) {
        var statement = try database.prepare(AnalyticsSchema.expire)
        statement.bind(1, start)
        try statement.run()
        // A walk through all rows, so once for each day that goes.
        guard start / 86_400 != lastTidied else { return }
        lastTidied = start / 86_400
        endpoints = [:]
        try database.run(AnalyticsSchema.tidy)
    }
}
