package import NSGModel
import NetworkTypes
package import Nftables

/// A packet on its way through this machine, as the kernel's hooks see it.
package struct TestPacket: Hashable, Sendable {
    package enum Path: Hashable, Sendable, CaseIterable {
        /// To this machine itself.
        case input
        /// From one device to another.
        case forward
        /// From this machine itself.
        case output

        /// The hooks that are passed, in order.
        package var hooks: [Hook] {
            switch self {
            case .input: [.prerouting, .input]
            case .forward: [.prerouting, .forward, .postrouting]
            case .output: [.output, .postrouting]
            }
        }
    }

    package var path: Path
    /// Nil on the way out of this machine.
    package var inputDevice: String?
    /// Nil on the way in; elsewhere final from `forward` and `output` on.
    package var outputDevice: String?
    package var flow: FlowTuple
    package var state: ConnectionState
    /// The connection's label; nil where no connection stands behind the packet (invalid, untracked).
    package var label: UInt128?
    /// Against the direction of the connection's first packet.
    package var isReply = false
    /// 2, SYN alone, as a connection begins.
    package var tcpFlags: UInt8 = 2

    package init(
        _ path: Path, from inputDevice: String? = nil, to outputDevice: String? = nil, _ flow: FlowTuple,
        state: ConnectionState = .new, label: UInt128? = 0
    ) {
        self.path = path
        self.inputDevice = inputDevice
        self.outputDevice = outputDevice
        self.flow = flow
        self.state = state
        self.label = label
    }
}

/// What became of a packet, and what it left behind.
package struct PacketOutcome: Hashable, Sendable {
    package enum Verdict: Hashable, Sendable { case accept, drop }

    package var verdict: Verdict = .accept
    /// How often each counter was passed.
    package var counters: [CounterName: Int] = [:]
    /// Prefixes of the copies sent to NFLOG, in order.
    package var logs: [String] = []
    package var label: UInt128?
    /// Rules begun, and look-ups in sets and maps: what the packet costs.
    package var rules = 0
    package var lookups = 0
    /// What a correct ruleset never does, in words: naming what is not there, loading a field the packet does not have
    /// (the kernel would read other bytes of the packet).
    package var faults: [String] = []
    /// The time-outs the connection was given.
    package var timeout: TimeoutName?

    package init(label: UInt128?) { self.label = label }
}

extension TestPacket {
    /// A field's value, in host order; device names as 16 bytes, zeros where there is no device. Nil where the packet
    /// has no such field.
    func number(of field: Field, at hook: Hook) -> UInt128? {
        switch field {
        case .family: return flow.source.family == .ipv4 ? 2 : 10
        case .protocol: return UInt128(flow.protocol.rawValue)
        case .inputDevice: return Self.padded(device(.inputDevice, at: hook))
        case .outputDevice: return Self.padded(device(.outputDevice, at: hook))
        case .ipSource: return Self.v4(flow.source)
        case .ipDestination: return Self.v4(flow.destination)
        case .ip6Source: return Self.v6(flow.source)
        case .ip6Destination: return Self.v6(flow.destination)
        case .sourcePort: return flow.protocol.hasPorts ? flow.sourcePort.map { UInt128($0) } : nil
        case .destinationPort: return flow.protocol.hasPorts ? flow.destinationPort.map { UInt128($0) } : nil
        case .icmpType: return flow.protocol == .icmp ? flow.icmpType.map { UInt128($0) } : nil
        case .icmpv6Type: return flow.protocol == .icmpv6 ? flow.icmpType.map { UInt128($0) } : nil
        case .tcpFlags: return flow.protocol == .tcp ? UInt128(tcpFlags) : nil
        case .connectionState: return UInt128(state.rawValue)
        case .connectionDirection: return label == nil ? nil : isReply ? 1 : 0
        case .connectionLabel: return label
        case .originalPackets: return label == nil ? nil : 1
        }
    }

    /// "" where the hook has no such device.
    func device(_ field: Field, at hook: Hook) -> String {
        switch (field, hook) {
        case (.inputDevice, .output), (.outputDevice, .prerouting), (.outputDevice, .input): ""
        case (.inputDevice, _): path == .output ? "" : inputDevice ?? ""
        default: path == .input ? "" : outputDevice ?? ""
        }
    }

    /// Of a packet without a connection: there the rule ends in the kernel too. Any other is a mistake of the ruleset.
    static func mayBeAbsent(_ field: Field) -> Bool {
        [.connectionLabel, .connectionDirection, .originalPackets].contains(field)
    }

    private static func padded(_ name: String) -> UInt128 {
        let bytes = Array(name.utf8.prefix(16))
        return (bytes + Array(repeating: 0, count: 16 - bytes.count)).reduce(0) { $0 << 8 | UInt128($1) }
    }

    private static func v4(_ address: IPAddress) -> UInt128? {
        guard case .v4(let address) = address else { return nil }
        return UInt128(address.value)
    }

    private static func v6(_ address: IPAddress) -> UInt128? {
        guard case .v6(let address) = address else { return nil }
        return address.value
    }
}
