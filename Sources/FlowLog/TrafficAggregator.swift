package import NSGModel
package import NetworkTypes

/// How long the intervals of traffic analytics are, in seconds. What a `flowLogs` resource says about its target goes
/// before the setting: about the group that decided, then about the virtual network.
package struct TrafficIntervals: Hashable, Sendable {
    package var byDefault: UInt64
    package var resources: [ResourceID: UInt64]

    package init(byDefault: UInt64 = 600, resources: [ResourceID: UInt64] = [:]) {
        self.byDefault = byDefault
        self.resources = resources
    }

    func interval(of side: TrafficSide) -> UInt64 {
        let stated =
            side.rule.flatMap { resources[$0.group] } ?? side.interface.virtualNetwork.flatMap { resources[$0] }
        return max(stated ?? byDefault, 1)
    }
}

/// What the rows of one interface, direction, deciding rule and verdict have in common.
package struct TrafficSide: Hashable, Sendable {
    package var interface: LoggedInterface
    package var direction: Direction
    package var isDenied: Bool
    /// The rule that decided, as flow logs name it (FACTS i1). Nil where no group stood on the way.
    package var rule: RuleReference?

    package init(interface: LoggedInterface, direction: Direction, isDenied: Bool, rule: RuleReference?) {
        self.interface = interface
        self.direction = direction
        self.isDenied = isDenied
        self.rule = rule
    }

    init(_ record: FlowRecord) {
        let platform = RuleReference(
            owner: PlatformRules.owner, name: PlatformRules.allow.name, kind: PlatformRules.allow.kind)
        self.init(
            interface: record.interface, direction: record.direction, isDenied: record.access == .deny,
            rule: record.isPlatform ? platform : record.decidingStage?.rule)
    }
}

/// What makes a row of traffic analytics: flows that differ in their source port alone are one row (FACTS i3). Unlike
/// Azure's, there are rows of every protocol.
package struct TrafficKey: Hashable, Sendable {
    /// Index into `TrafficBatch.sides`.
    package var side: Int32
    /// Of the interval, in seconds since 1970 (until 2106).
    package var start: UInt32
    package var `protocol`: IPProtocol
    /// 0 for protocols without ports.
    package var port: UInt16
    package var source: IPAddress
    package var destination: IPAddress

    package init(
        side: Int32, start: UInt32, protocol: IPProtocol, port: UInt16, source: IPAddress, destination: IPAddress
    ) {
        self.side = side
        self.start = start
        self.protocol = `protocol`
        self.port = port
        self.source = source
        self.destination = destination
    }
}

extension TrafficKey {
    /// Beyond all bounds: `0.0.0.0` or `::` for the side that is not the interface's, and no port.
    fileprivate mutating func leaveOutPeer(_ direction: Direction) {
        port = 0
        switch direction {
        case .inbound: source = .unspecified(source.family)
        case .outbound: destination = .unspecified(destination.family)
        }
    }
}

extension Direction {
    fileprivate var opposite: Direction { self == .inbound ? .outbound : .inbound }
}

extension IPAddress {
    fileprivate static func unspecified(_ family: IPFamily) -> IPAddress {
        family == .ipv4 ? .v4(IPv4Address(0)) : .v6(IPv6Address(0))
    }
}

/// What the flows of a row come to.
package struct TrafficSums: Hashable, Sendable {
    /// Flows that began in the interval; of refused ones each packet, since each is a decision.
    package var flows: UInt64 = 0
    /// Flows that ended in the interval.
    package var completed: UInt64 = 0
    package var traffic = FlowCounters.zero
    /// The first that was heard of the flows.
    package var first: Timestamp
    /// When the last of them began; nil where all are older than the interval.
    package var lastBegan: Timestamp?

    package init(first: Timestamp) { self.first = first }

    fileprivate mutating func add(_ record: FlowRecord) {
        if record.time < first { first = record.time }
        switch record.change {
        case .began:
            // Found alive, by its label say: it began when nobody looked, and an earlier run may have counted it.
            if record.attribution == .packet { addFlows(1, at: record.time) }
        case .denied: addFlows(1, at: record.time)
        case .deniedAgain(let count): addFlows(UInt64(clamping: count), at: record.time)
        case .continued(let traffic): add(traffic)
        case .ended(let traffic):
            completed &+= 1
            add(traffic)
        }
    }

    private mutating func addFlows(_ count: UInt64, at time: Timestamp) {
        flows &+= count
        lastBegan = max(lastBegan ?? time, time)
    }

    private mutating func add(_ increment: Traffic) {
        guard case .counted(let counters) = increment else { return }
        traffic.packetsSent &+= counters.packetsSent
        traffic.bytesSent &+= counters.bytesSent
        traffic.packetsReceived &+= counters.packetsReceived
        traffic.bytesReceived &+= counters.bytesReceived
    }
}

/// Rows, or parts of rows that are to be added to earlier parts.
package struct TrafficBatch: Sendable {
    /// With the length of their intervals in seconds.
    package var sides: [(side: TrafficSide, interval: UInt64)] = []
    package var rows: [TrafficKey: TrafficSums] = [:]
    /// Decisions that are in no row.
    package var gaps: [GapRecord] = []

    package init() {}

    package var isEmpty: Bool { rows.isEmpty && gaps.isEmpty }
    package var count: Int { rows.count + gaps.count }
}

/// Adds up flow records to the rows of traffic analytics. One look-up a record: what follows from a row's addresses is
/// found out when the row is stored.
package struct TrafficAggregator: Sendable {
    /// Those of records to come; rows that wait keep theirs.
    package var intervals: TrafficIntervals { didSet { forgetSides() } }
    private let capacity: Int
    private var batch = TrafficBatch()
    /// Sides by their rules; and short cuts, which hold the record's side so that its identity stays its own.
    private var places: [TrafficSide: Int32] = [:]
    private var shortCuts: [SideAccess: (side: LoggedSide, place: Int32)] = [:]
    private var last: (access: SideAccess, place: Int32)?
    private static var mostSides: Int { 16_384 }
    private static var mostGaps: Int { 1024 }

    private struct SideAccess: Hashable {
        var side: ObjectIdentifier
        var isDenied: Bool
    }

    /// At most `capacity` rows of about 200 bytes wait, and a few more. Whoever knocks at every port, or from every
    /// address, would have a row stored for each packet: what is more than that goes into rows without the port and the
    /// address of the other side, until `take()`. So no flow is left out of any sum.
    package init(intervals: TrafficIntervals = TrafficIntervals(), capacity: Int = 16_384) {
        self.intervals = intervals
        self.capacity = max(capacity, 1)
    }

    package var isEmpty: Bool { batch.isEmpty }

    package mutating func add(_ record: FlowRecord) {
        let place = place(of: record)
        let interval = batch.sides[Int(place)].interval
        let seconds = record.time.seconds
        let flow = record.flow
        var key = TrafficKey(
            side: place, start: UInt32(clamping: seconds - seconds % interval), protocol: flow.protocol,
            port: flow.destinationPort ?? 0, source: flow.source, destination: flow.destination)
        if batch.rows.count >= capacity, batch.rows[key] == nil {
            key.leaveOutPeer(record.direction)
            if batch.rows.count >= 2 * capacity, batch.rows[key] == nil { key.leaveOutPeer(record.direction.opposite) }
        }
        batch.rows[key, default: TrafficSums(first: record.time)].add(record)
    }

    /// Beyond a thousand between two batches they are passed over: the log has them all.
    package mutating func add(_ gap: GapRecord) {
        if batch.gaps.count < Self.mostGaps { batch.gaps.append(gap) }
    }

    /// What has come since the last call. O(1).
    package mutating func take() -> TrafficBatch {
        var taken = TrafficBatch()
        swap(&taken, &batch)
        forgetSides()
        return taken
    }

    private mutating func forgetSides() {
        places = [:]
        shortCuts = [:]
        last = nil
    }

    private mutating func place(of record: FlowRecord) -> Int32 {
        let access = SideAccess(side: ObjectIdentifier(record.side), isDenied: record.access == .deny)
        if let last, last.access == access { return last.place }
        if let known = shortCuts[access] {
            last = (access, known.place)
            return known.place
        }
        let side = TrafficSide(record)
        let place: Int32
        if let present = places[side] {
            place = present
        } else {
            place = Int32(clamping: batch.sides.count)
            batch.sides.append((side, intervals.interval(of: side)))
            places[side] = place
        }
        if shortCuts.count >= Self.mostSides { shortCuts = [:] }
        shortCuts[access] = (record.side, place)
        last = (access, place)
        return place
    }
}

extension RuleKind {
    /// `NSGRuleType`; Azure has no word for the last two.
    package var analyticsName: String {
        switch self {
        case .custom: "User Defined"
        case .default: "Default"
        case .admin: "Admin"
        case .platform: "Platform"
        }
    }
}
