import NSGModel
import NetworkTypes

/// What a tuple of either log says.
protocol AzureFlowTuple {
    var time: Timestamp { get }
    var flow: FlowTuple { get }
    var direction: Direction { get }
    var change: FlowChange { get }
}

/// `1795183382,10.1.0.4,203.0.113.9,50030,443,T,O,A,B,,,,`: eight fields in version 1, thirteen in version 2.
struct NSGFlowTuple: AzureFlowTuple {
    let time: Timestamp
    let flow: FlowTuple
    let direction: Direction
    let change: FlowChange

    init?(_ text: Substring.UTF8View, _ version: NSGFlowLogVersion) {
        let fields = Fields(text)
        guard fields.count == (version == .one ? 8 : 13), let seconds = UInt64(fields[0]),
            let direction = Direction(letter: fields[6]), ["A", "D"].contains(fields[7]),
            let number: IPProtocol = fields[5] == "T" ? .tcp : fields[5] == "U" ? .udp : nil,
            let flow = fields.flow(number)
        else { return nil }
        time = Timestamp(seconds: seconds)
        self.flow = flow
        self.direction = direction
        if fields[7] == "D" {
            change = .denied
        } else if version == .one {
            change = .began
        } else {
            guard let change = fields.change(state: fields[8], countersAt: 9) else { return nil }
            self.change = change
        }
    }
}

/// `1710413935827,10.1.1.70,10.1.1.4,55490,80,6,O,B,NX,0,0,0,0`.
struct VNetFlowTuple: AzureFlowTuple {
    let time: Timestamp
    let flow: FlowTuple
    let direction: Direction
    let change: FlowChange

    init?(_ text: Substring.UTF8View) {
        let fields = Fields(text)
        guard fields.count == 13, let milliseconds = UInt64(fields[0]), let direction = Direction(letter: fields[6]),
            let number = UInt8(fields[5]).map(IPProtocol.init(rawValue:)), let flow = fields.flow(number),
            let change = fields[7] == "D" ? .denied : fields.change(state: fields[7], countersAt: 9)
        else { return nil }
        time = Timestamp(milliseconds: milliseconds)
        self.flow = flow
        self.direction = direction
        self.change = change
    }
}

/// A tuple's fields; both logs have the ends of the flow in the same places.
private struct Fields {
    private let parts: [Substring]
    var count: Int { parts.count }
    subscript(index: Int) -> Substring { parts[index] }

    init(_ text: Substring.UTF8View) {
        parts = text.split(separator: UInt8(ascii: ","), maxSplits: 13, omittingEmptySubsequences: false).map {
            Substring($0)
        }
    }

    func flow(_ number: IPProtocol) -> FlowTuple? {
        guard let source = IPAddress(parts[1]), let destination = IPAddress(parts[2]),
            let sourcePort = UInt16(parts[3]), let destinationPort = UInt16(parts[4])
        else { return nil }
        return FlowTuple(
            protocol: number, source: source, destination: destination, sourcePort: sourcePort,
            destinationPort: destinationPort)
    }

    func change(state: Substring, countersAt first: Int) -> FlowChange? {
        if state == "B" { return .began }
        let numbers = parts[first..<(first + 4)].compactMap { UInt64($0) }
        guard numbers.count == 4 else { return nil }
        let traffic = Traffic.counted(
            FlowCounters(
                packetsSent: numbers[0], bytesSent: numbers[1], packetsReceived: numbers[2], bytesReceived: numbers[3]))
        return state == "C" ? .continued(traffic) : state == "E" ? .ended(traffic) : nil
    }
}

extension Direction {
    fileprivate init?(letter: Substring) {
        switch letter {
        case "I": self = .inbound
        case "O": self = .outbound
        default: return nil
        }
    }
}
