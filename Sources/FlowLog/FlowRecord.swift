package import NSGModel
package import NetworkTypes

/// The interface at which a packet was judged.
package struct LoggedInterface: Hashable, Sendable {
    /// Nil where no document describes it any more: it was unbound while its flows lived.
    package var networkInterface: ResourceID?
    package var virtualNetwork: ResourceID?
    /// The name of the network device.
    package var device: String?
    /// Of the virtual machine, never of the host's end of a veth; `unknown` where it could not be found.
    package var macAddress: MACAddress

    package init(
        networkInterface: ResourceID?, virtualNetwork: ResourceID? = nil, device: String?,
        macAddress: MACAddress = .unknown
    ) {
        self.networkInterface = networkInterface
        self.virtualNetwork = virtualNetwork
        self.device = device
        self.macAddress = macAddress
    }
}

/// What happened to a flow.
package enum FlowChange: Hashable, Sendable {
    /// Its first packet was allowed, or it was found alive without a record of that (`Attribution`). State B.
    case began
    /// It lives on. State C.
    case continued(Traffic)
    /// It closed, was cut or idled out. State E.
    case ended(Traffic)
    /// A packet was refused, the first of its 5-tuple within a minute. State D.
    case denied
    /// So many packets more (one or more) were refused in the minute after `denied`. State D; Azure's logs have no such
    /// record.
    case deniedAgain(Int)
}

/// What a flow carried since its previous record.
package enum Traffic: Hashable, Sendable {
    case counted(FlowCounters)
    /// The flow is older than the kernel's accounting, which therefore has no counters for it.
    case uncounted
}

/// How it is known which rules decided about a flow.
package enum Attribution: Hashable, Sendable {
    /// The kernel copied the packet that was judged.
    case packet
    /// Read from the labels of the conntrack entry; the packet's copy was lost, or taken by an earlier run of the
    /// daemon.
    case label
    /// The flow is older than the policy, and passed without having been judged; its stages say what the rules make of
    /// it.
    case adopted
}

/// A decision about the first packet of a flow, or news of a flow that was allowed.
package struct FlowRecord: Hashable, Sendable {
    /// When it happened; for `deniedAgain` the last of the packets.
    package var time: Timestamp
    /// The interface, and what was decided there.
    package var side: LoggedSide
    /// As the side that opened the flow sent it; the direction does not turn it round.
    package var flow: FlowTuple
    package var change: FlowChange
    /// The conntrack id; nil for a refused packet, which leaves no entry.
    package var flowID: UInt32?
    /// First packets of the flow that were judged besides the one that its B tells of, since its previous record: of
    /// one that the next interface refuses, and of one that is older than the first policy, each packet is (S4).
    package var repeats: UInt64
    /// What the flow has carried since it began; with a C that is counted.
    package var total: FlowCounters?

    package init(
        time: Timestamp, side: LoggedSide, flow: FlowTuple, change: FlowChange, flowID: UInt32? = nil,
        repeats: UInt64 = 0, total: FlowCounters? = nil
    ) {
        self.time = time
        self.side = side
        self.flow = flow
        self.change = change
        self.flowID = flowID
        self.repeats = repeats
        self.total = total
    }

    package var interface: LoggedInterface { side.facts.interface }
    package var direction: Direction { side.facts.direction }
    package var stages: [StageRecord] { side.facts.stages }
    package var attribution: Attribution { side.facts.attribution }
    package var isPlatform: Bool { side.facts.isPlatform }

    package var access: Access {
        switch change {
        case .began, .continued, .ended: .allow
        case .denied, .deniedAgain: .deny
        }
    }

    /// Which group's log has the flow: of an allowed one the group evaluated last, of a refused one the group that
    /// refused it (FACTS i1). Nil with no group on the way, and where something else than a group refused (S14).
    package var decidingStage: StageRecord? { access == .deny ? side.denyingStage : side.lastStage }
}
