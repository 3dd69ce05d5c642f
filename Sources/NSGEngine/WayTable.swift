import FlowLog

/// The ways of many connections, each once and by a number, while a connection has it.
struct WayTable: Sendable {
    private var ways: [FlowWay?] = []
    /// Connections that have the way.
    private var uses: [UInt32] = []
    private var free: [UInt32] = []
    private var numbers: [Content: UInt32] = [:]
    /// What came last: mostly the next connection has the same.
    private var last: (way: FlowWay, number: UInt32)?

    /// Objects that are held as long as the number is given.
    private struct Content: Hashable {
        let label: UInt128?
        private let sides: [ObjectIdentifier]

        init(_ way: FlowWay) {
            label = way.label
            sides = way.sides.map { ObjectIdentifier($0) }
        }
    }

    subscript(number: UInt32) -> FlowWay {
        guard let way = ways[Int(number)] else { preconditionFailure("a way that no connection has") }
        return way
    }

    /// How many different ones there are.
    var count: Int { numbers.count }

    /// One connection more has the way.
    mutating func take(_ way: FlowWay) -> UInt32 {
        if let last, last.way === way {
            uses[Int(last.number)] += 1
            return last.number
        }
        let content = Content(way)
        let number = numbers[content] ?? add(way, content)
        uses[Int(number)] += 1
        last = (way, number)
        return number
    }

    private mutating func add(_ way: FlowWay, _ content: Content) -> UInt32 {
        let number = free.popLast() ?? UInt32(ways.count)
        if number == ways.count {
            ways.append(way)
            uses.append(0)
        } else {
            ways[Int(number)] = way
        }
        numbers[content] = number
        return number
    }

    /// One connection fewer has it.
    mutating func release(_ number: UInt32) {
        uses[Int(number)] -= 1
        guard uses[Int(number)] == 0 else { return }
        if last?.number == number { last = nil }
        numbers[Content(self[number])] = nil
        ways[Int(number)] = nil
        free.append(number)
    }

    /// What the connections carry.
    var labels: Set<UInt128> { Set(numbers.keys.compactMap(\.label)) }
}
