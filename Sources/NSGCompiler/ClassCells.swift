import NetworkTypes

/// What a clause asks of services, as `ServiceRange` has them.
struct ClauseServices {
    private(set) var points: [UInt32] = []
    private(set) var ranges: [ServiceRange] = []
    /// Whether it asks for more than its range says: for types of ICMP messages.
    private(set) var asksMore = false
    /// Whether it decides wherever its services and addresses match.
    let isPlain: Bool

    init(_ clause: Clause, _ table: ConditionTable, isPlain: Bool) {
        self.isPlain = isPlain
        guard case .among(let services) = table[clause[.service]] else {
            ranges = Folded.others
            return
        }
        for services in services.ranges {
            let number = Service.protocolNumber(of: services.lowerBound)
            if Folded.protocols.contains(where: { $0.rawValue == number }) { continue }
            let range = ServiceRange(services)
            let whole = ServiceRange.all(of: number...number)
            if range == whole || IPProtocol(rawValue: number).hasPorts {
                if range.isOne { points.append(range.first) } else { ranges.append(range) }
            } else if ranges.last != whole {
                ranges.append(whole)
                asksMore = true
            }
        }
    }

    /// Every packet that comes to it.
    var decidesAll: Bool { isPlain && !asksMore && ranges == Folded.others }

    func holds(_ service: UInt32) -> Bool {
        points.contains(service) || ranges.contains { $0.contains(service) }
    }
}

/// The cells of one class of addresses (`CellTable`). What clauses of the rest decide, because they stand before the class's,
/// is cut out of its ranges.
struct ClassCells {
    private(set) var ranges: [(services: ServiceRange, content: [CellTable.Entry])] = []
    /// Services that are decided otherwise than the range around them; with no content where the rest decides.
    private(set) var points: [(service: UInt32, content: [CellTable.Entry])] = []

    private typealias Entry = CellTable.Entry

    init(_ entries: [CellTable.Entry], _ services: [ClauseServices]) {
        addRanges(entries, services)
        addPoints(entries, services)
    }

    private mutating func addRanges(_ entries: [Entry], _ services: [ClauseServices]) {
        let bounds = Self.bounds(entries, services)
        for (first, next) in zip(bounds, bounds.dropFirst()) {
            let range = ServiceRange(first: first, last: next - 1)
            let content = Self.content(of: range, entries, services)
            if content.isEmpty { continue }
            if let last = ranges.last, last.services.last + 1 == first, last.content == content {
                ranges[ranges.count - 1].services.last = range.last
            } else {
                ranges.append((range, content))
            }
        }
    }

    /// Where a range begins or has ended.
    private static func bounds(_ entries: [Entry], _ services: [ClauseServices]) -> [UInt32] {
        var bounds: [UInt32] = []
        for entry in entries {
            for range in services[entry.index].ranges {
                bounds.append(range.first)
                bounds.append(range.last + 1)
            }
        }
        bounds.sort()
        var distinct: [UInt32] = []
        for bound in bounds where distinct.last != bound { distinct.append(bound) }
        return distinct
    }

    /// What decides in a range that no bound cuts.
    private static func content(
        of range: ServiceRange, _ entries: [Entry], _ services: [ClauseServices]
    ) -> [Entry] {
        var content: [Entry] = []
        for entry in entries {
            let services = services[entry.index]
            guard services.ranges.contains(where: { $0.contains(range.first) }) else { continue }
            content.append(Entry(index: entry.index, isGuard: entry.isGuard, isSettled: !services.asksMore))
            if services.isPlain, !services.asksMore { break }
        }
        return withoutLastGuards(content)
    }

    private static func withoutLastGuards(_ content: [Entry]) -> [Entry] {
        var content = content
        while content.last?.isGuard == true { content.removeLast() }
        return content
    }

    private mutating func addPoints(_ entries: [Entry], _ services: [ClauseServices]) {
        var candidates: [UInt32] = []
        for entry in entries { candidates += services[entry.index].points }
        candidates.sort()
        var (last, next): (UInt32?, Int) = (nil, 0)
        for service in candidates where service != last {
            last = service
            while next < ranges.count, ranges[next].services.last < service { next += 1 }
            let around = next < ranges.count && ranges[next].services.contains(service) ? ranges[next].content : []
            let content = Self.content(at: service, entries, services)
            if content != around { points.append((service, content)) }
        }
    }

    /// What decides a service that has a number of its own.
    private static func content(
        at service: UInt32, _ entries: [Entry], _ services: [ClauseServices]
    ) -> [Entry] {
        var content: [Entry] = []
        for entry in entries where services[entry.index].holds(service) {
            content.append(Entry(index: entry.index, isGuard: entry.isGuard, isSettled: true))
            if services[entry.index].isPlain { break }
        }
        return withoutLastGuards(content)
    }
}
