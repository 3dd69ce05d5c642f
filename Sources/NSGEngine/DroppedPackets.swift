package import JSONText
import NSGCompiler
package import NSGModel
package import Nftables

/// Packets that the table drops without asking a rule, as its counters tell. No flow log has them.
package struct DroppedPackets: Hashable, Sendable {
    package enum Reason: String, Hashable, Sendable {
        /// With an address that is not the guest's, which has no IP forwarding (S13).
        case foreignAddress = "foreign address"
        /// What conntrack takes for no part of any connection.
        case invalid
        /// Multicast and broadcast, which are not routed.
        case multicast
        /// Of guests, which are no routers.
        case routerAdvertisement = "router advertisement"
        /// Of connections that were ended since a group with `flushConnection` refuses them (S6).
        case cut
    }

    package var reason: Reason
    /// The interface that dropped them, where there is a counter for each.
    package var networkInterface: ResourceID?
    /// Where the two directions have counters of their own.
    package var direction: Direction?
    package var packets: UInt64

    /// One for each of the table's counters, those of interfaces in their order by name.
    package static func all(in counters: [CounterName: CounterValue], of policy: Policy) -> [DroppedPackets] {
        var all: [DroppedPackets] = []
        func add(_ name: CounterName, _ reason: Reason, _ interface: ResourceID? = nil, _ direction: Direction? = nil) {
            guard let value = counters[name] else { return }
            all.append(
                DroppedPackets(
                    reason: reason, networkInterface: interface, direction: direction, packets: value.packets))
        }
        for interface in policy.estate.bindings.map(\.networkInterface).sorted() {
            for direction in Direction.allCases {
                add(policy.names.foreignCounter(interface, direction), .foreignAddress, interface, direction)
            }
            add(policy.names.invalidCounter(interface), .invalid, interface)
        }
        add(FixedNames.multicastCounter, .multicast)
        add(FixedNames.routersCounter, .routerAdvertisement)
        add(CutFlows.counter, .cut)
        return all
    }

    /// As `Status` gives it.
    package var json: JSONValue {
        var members = [("reason", JSONValue(reason.rawValue))]
        if let networkInterface { members.append(("nic", JSONValue(networkInterface.description))) }
        if let direction { members.append(("direction", JSONValue(direction.rawValue))) }
        return JSONValue(object: members + [("packets", JSONValue(packets))])
    }
}
