import NetworkTypes

/// What a clause asks of services, as `ServiceRange` has them.
struct ClauseServices: Sendable {
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

    var count: Int { points.count + ranges.count }
    /// Every packet that comes to it.
    var decidesAll: Bool { isPlain && !asksMore && ranges == Folded.others }
}

/// The cells of one class of addresses (`CellTable`). What clauses of the rest decide, because they stand before the
/// class's, is cut out of its ranges.
struct ClassCells: Sendable {
    private(set) var ranges: [(services: ServiceRange, content: CellTable.Content)] = []
    /// Services that are decided otherwise than the range around them.
    private(set) var points: [(service: UInt32, content: CellTable.Content)] = []

    /// A point or range of an entry; all of them in the order of the entries.
    private struct Piece {
        var services: ServiceRange
        var entry: CellTable.Entry
        /// Nothing behind it is asked.
        var decides: Bool
    }

    /// None yet.
    init() {}

    mutating func add(_ services: ServiceRange, _ content: CellTable.Content) { ranges.append((services, content)) }
    mutating func add(_ service: UInt32, _ content: CellTable.Content) { points.append((service, content)) }

    /// Of many classes, two parts of them at a time.
    /// - Parameter known: gives those of a class that need not be worked out.
    static func all(
        of entries: [[CellTable.Entry]], _ services: [ClauseServices], known: (Int) -> ClassCells?
    ) -> [ClassCells] {
        var cells = entries.indices.map(known)
        let missing = cells.indices.filter { cells[$0] == nil }
        for (index, made) in zip(missing, all(of: missing.map { entries[$0] }, services)) { cells[index] = made }
        return cells.compactMap(\.self)
    }

    private static func all(of entries: [[CellTable.Entry]], _ services: [ClauseServices]) -> [ClassCells] {
        guard entries.count >= fewestInParts else { return entries.map { ClassCells($0, services) } }
        let middle = entries.count / 2
        let (first, second) = sideBySide {
            entries[..<middle].map { ClassCells($0, services) }
        } _: {
            entries[middle...].map { ClassCells($0, services) }
        }
        return first + second
    }

    private static let fewestInParts = 128

    /// - Parameter entries: the clauses that the class's packets meet, in order.
    init(_ entries: [CellTable.Entry], _ services: [ClauseServices]) {
        var pieces: [Piece] = []
        for entry in entries { Self.append(services[entry.index], entry, to: &pieces) }
        addRanges(pieces)
        addPoints(pieces)
    }

    private static func append(_ services: ClauseServices, _ entry: CellTable.Entry, to pieces: inout [Piece]) {
        var entry = entry
        entry.isSettled = !services.asksMore
        let decides = services.isPlain && !services.asksMore
        for point in services.points {
            pieces.append(Piece(services: ServiceRange(first: point, last: point), entry: entry, decides: decides))
        }
        for range in services.ranges { pieces.append(Piece(services: range, entry: entry, decides: decides)) }
    }

    private mutating func addRanges(_ pieces: [Piece]) {
        let pieces = pieces.filter { !$0.services.isOne }
        var bounds: [UInt32] = []
        bounds.reserveCapacity(2 * pieces.count)
        for piece in pieces {
            bounds.append(piece.services.first)
            bounds.append(piece.services.last + 1)
        }
        bounds.sort()
        for (first, next) in zip(bounds, bounds.dropFirst()) where first < next {
            let content = Self.content(at: first, pieces)
            if content == .rest { continue }
            if let last = ranges.last, last.services.last + 1 == first, last.content == content {
                ranges[ranges.count - 1].services.last = next - 1
            } else {
                ranges.append((ServiceRange(first: first, last: next - 1), content))
            }
        }
    }

    private mutating func addPoints(_ pieces: [Piece]) {
        var candidates = pieces.filter(\.services.isOne).map(\.services.first)
        candidates.sort()
        var (last, next): (UInt32?, Int) = (nil, 0)
        for service in candidates where service != last {
            last = service
            while next < ranges.count, ranges[next].services.last < service { next += 1 }
            let isAround = next < ranges.count && ranges[next].services.contains(service)
            let content = Self.content(at: service, pieces)
            if content != (isAround ? ranges[next].content : .rest) { points.append((service, content)) }
        }
    }

    /// What decides a service, or a range of them that no piece begins or ends in.
    private static func content(at service: UInt32, _ pieces: [Piece]) -> CellTable.Content {
        var content: [CellTable.Entry] = []
        for piece in pieces where piece.services.contains(service) {
            if piece.decides {
                if content.isEmpty { return piece.entry.isGuard ? .rest : .clause(piece.entry.index) }
                content.append(piece.entry)
                break
            }
            if content.last != piece.entry { content.append(piece.entry) }
        }
        while content.last?.isGuard == true { content.removeLast() }
        return content.isEmpty ? .rest : .several(content)
    }
}
