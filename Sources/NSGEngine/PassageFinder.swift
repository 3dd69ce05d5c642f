import FlowLog
import NSGCompiler
import NSGModel
import NetworkTypes

/// Finds the bound interfaces on the way of connections that live already: by what their labels and addresses tell.
struct PassageFinder: Sendable {
    let attributor: Attributor
    /// This machine's own.
    let localAddresses: Set<IPAddress>
    /// Of flows that no bound interface's address tells: flows share labels, and the search goes over all bindings.
    private var tellings: [Attributor.LabelSide: Binding?] = [:]

    init(_ attributor: Attributor, localAddresses: Set<IPAddress>) {
        self.attributor = attributor
        self.localAddresses = localAddresses
    }

    /// In the order in which they judge a packet of the original direction. Of a connection without a label, the guests
    /// whose addresses it has.
    mutating func passages(of connection: Connection) -> [Passage] {
        let isForwarded = isForwarded(connection.flow)
        return unrouted(connection).map { Passage($0.interface, $0.direction, isForwarded: isForwarded) }
    }

    private mutating func unrouted(_ connection: Connection) -> [Passage] {
        guard let label = connection.label, FlowLabel.isDecided(label) else {
            return attributor.passages(ofUnlabelled: connection.flow)
        }
        return attributor.passages(ofLive: connection.flow, label: label) { side in
            if let known = tellings[side] { return known }
            let binding = attributor.onlyBinding(told: side)
            tellings[side] = .some(binding)
            return binding
        }
    }

    private func isForwarded(_ flow: FlowTuple) -> Bool {
        !localAddresses.contains(flow.source) && !localAddresses.contains(flow.destination)
            && !flow.destination.isForSeveral
    }
}

extension IPAddress {
    /// Multicast and the limited broadcast, which this machine receives itself and does not route on.
    fileprivate var isForSeveral: Bool {
        switch self {
        case .v4(let address): Exemption.isMulticast(address) || address.value == .max
        case .v6(let address): address.value >> 120 == 0xff
        }
    }
}
