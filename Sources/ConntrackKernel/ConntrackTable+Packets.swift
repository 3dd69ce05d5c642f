internal import Netlink
package import NetworkTypes

extension ConntrackTable {
    /// What a packet's headers say of its connection, as seen between destination and source translation.
    package struct PacketTuple: Hashable, Sendable {
        package var `protocol`: IPProtocol
        package var tuple: ConntrackTuple

        package init(protocol: IPProtocol, tuple: ConntrackTuple) {
            self.protocol = `protocol`
            self.tuple = tuple
        }
    }

    /// The connections that first packets belong to, in their order; nil for those that are not tracked, not yet or no
    /// longer. Each is looked up by what an answer to the packet would look like, which destination translation does
    /// not change; then by the packet itself, which source translation does not. In zone 0. Many are asked for with one
    /// system call, and each is answered by one message.
    package mutating func entries(of packets: [PacketTuple]) throws(KernelError) -> [ConntrackEntry?] {
        var found = [ConntrackEntry?](repeating: nil, count: packets.count)
        for isReply in [true, false] {
            let missing = packets.indices.filter { found[$0] == nil }
            for start in stride(from: 0, to: missing.count, by: Self.lookedUpAtOnce) {
                let part = missing[start..<min(start + Self.lookedUpAtOnce, missing.count)]
                try lookUp(part.map { ($0, packets[$0]) }, byReply: isReply) { found[$0] = $1 }
            }
        }
        return found
    }

    /// So many answers fit the smallest receive buffer.
    private static let lookedUpAtOnce = 100

    private mutating func lookUp(
        _ packets: [(index: Int, packet: PacketTuple)], byReply: Bool, _ body: (Int, ConntrackEntry) -> Void
    ) throws(KernelError) {
        var writer = NetlinkWriter()
        var indexes: [UInt32: Int] = [:]
        for (index, packet) in packets {
            let sequence = socket.nextSequence()
            indexes[sequence] = index
            writer.begin(type: MessageType.get, flags: 0, sequence: sequence)
            writer.putNetfilterHeader(family: packet.tuple.source.family == .ipv4 ? 2 : 10)
            if byReply {
                try Self.put(packet.tuple.reversed, packet.protocol, as: 2, into: &writer)  // CTA_TUPLE_REPLY
            } else {
                try Self.put(packet.tuple, packet.protocol, as: 1, into: &writer)  // CTA_TUPLE_ORIG
            }
            writer.end()
        }
        try socket.send(writer.bytes)
        var buffer = [UInt8](repeating: 0, count: 8192)
        while !indexes.isEmpty {
            switch try socket.receive(into: &buffer, waiting: .milliseconds(1000)) {
            case .nothing, .overrun, .truncated: return
            case .datagram(let count):
                for message in NetlinkMessages(buffer[..<count]) {
                    guard let index = indexes.removeValue(forKey: message.sequence) else { continue }
                    if !message.isControl, let entry = ConntrackEntry(message) { body(index, entry) }
                }
            }
        }
    }

    /// `enum ctattr_tuple`, and what is in it.
    private static func put(
        _ tuple: ConntrackTuple, _ protocol: IPProtocol, as type: UInt16, into writer: inout NetlinkWriter
    ) throws(KernelError) {
        let whole = writer.beginNested(type)
        let addresses = writer.beginNested(1)
        switch (tuple.source, tuple.destination) {
        case (.v4(let source), .v4(let destination)):
            writer.put(1, source.value)
            writer.put(2, destination.value)
        default:
            try writer.put(3, bytes: tuple.source.bytes)
            try writer.put(4, bytes: tuple.destination.bytes)
        }
        try writer.endNested(addresses)
        let transport = writer.beginNested(2)
        writer.put(1, `protocol`.rawValue)
        if let icmp = tuple.icmp {
            let first: UInt16 = tuple.source.family == .ipv4 ? 4 : 7
            writer.put(first, icmp.identifier)
            writer.put(first + 1, icmp.type)
            writer.put(first + 2, icmp.code)
        } else if `protocol`.hasPorts || `protocol` == .gre {
            // Of GRE the keys of PPTP; the kernel wants them of every flow.
            writer.put(2, tuple.sourcePort)
            writer.put(3, tuple.destinationPort)
        }
        try writer.endNested(transport)
        try writer.endNested(whole)
    }
}

extension ConntrackTuple {
    /// An answer's.
    fileprivate var reversed: Self {
        Self(
            source: destination, destination: source, sourcePort: destinationPort, destinationPort: sourcePort,
            icmp: icmp?.reversed(of: source.family))
    }
}
