package import NSGModel
package import NetworkTypes

/// A rule as logs name it.
package struct RuleReference: Hashable, Sendable {
    package var networkSecurityGroup: ResourceID
    package var name: String
    package var isDefault: Bool

    package init(networkSecurityGroup: ResourceID, name: String, isDefault: Bool) {
        self.networkSecurityGroup = networkSecurityGroup
        self.name = name
        self.isDefault = isDefault
    }

    /// `securityRules/web`: in `flows.jsonl` and in IP flow verify.
    package var qualifiedName: String { (isDefault ? "defaultSecurityRules/" : "securityRules/") + name }
    /// `UserRule_web`: in Azure's flow logs.
    package var flowLogName: String { (isDefault ? "DefaultRule_" : "UserRule_") + name }
}

/// What one network security group on a packet's way said about it (K5).
package struct StageRecord: Hashable, Sendable {
    package var level: PolicyLevel
    package var rule: RuleReference
    /// `resourceGuid` of the group: `aclID` in virtual network flow logs.
    package var groupGUID: UUID
    package var priority: Priority
    package var access: Access
    /// Where a written rule stands; nil for a default rule.
    package var location: SourceLocation?
    /// Worked out afterwards by the evaluator instead of being reported by the kernel.
    package var isDerived: Bool

    package init(
        level: PolicyLevel, rule: RuleReference, groupGUID: UUID, priority: Priority, access: Access,
        location: SourceLocation? = nil, isDerived: Bool = false
    ) {
        self.level = level
        self.rule = rule
        self.groupGUID = groupGUID
        self.priority = priority
        self.access = access
        self.location = location
        self.isDerived = isDerived
    }

    package init(level: PolicyLevel, group: NetworkSecurityGroup, rule: SecurityRule, isDerived: Bool = false) {
        self.init(
            level: level,
            rule: RuleReference(networkSecurityGroup: group.id, name: rule.name, isDefault: rule.isDefault),
            groupGUID: group.guid, priority: rule.priority, access: rule.access, location: rule.location,
            isDerived: isDerived)
    }
}

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
    /// So many packets more (one or more) were refused in the minute after `denied`. State D; Azure's logs have no such record.
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
    /// Read from the labels of the conntrack entry; the packet's copy was lost, or taken by an earlier run of the daemon.
    case label
    /// The flow is older than the policy, and passed without having been judged; its stages say what the rules make of it.
    case adopted
}

/// A decision about the first packet of a flow, or news of a flow that was allowed.
package struct FlowRecord: Hashable, Sendable {
    /// When it happened; for `deniedAgain` the last of the packets.
    package var time: Timestamp
    package var interface: LoggedInterface
    package var direction: Direction
    /// As the side that opened the flow sent it; the direction does not turn it round.
    package var flow: FlowTuple
    package var change: FlowChange
    /// One for every group that is present, in the order in which they are evaluated, also after a deny.
    package var stages: [StageRecord]
    package var attribution: Attribution
    /// Passed without evaluation of any group (S9).
    package var isPlatform: Bool
    /// The conntrack id; nil for a refused packet, which leaves no entry.
    package var flowID: UInt32?

    package init(
        time: Timestamp, interface: LoggedInterface, direction: Direction, flow: FlowTuple, change: FlowChange,
        stages: [StageRecord], attribution: Attribution = .packet, isPlatform: Bool = false, flowID: UInt32? = nil
    ) {
        self.time = time
        self.interface = interface
        self.direction = direction
        self.flow = flow
        self.change = change
        self.stages = stages
        self.attribution = attribution
        self.isPlatform = isPlatform
        self.flowID = flowID
    }

    package var access: Access {
        switch change {
        case .began, .continued, .ended: .allow
        case .denied, .deniedAgain: .deny
        }
    }

    /// Which group's log has the flow: of an allowed one the group evaluated last, of a refused one the group that refused
    /// it (FACTS i1). Nil with no group on the way, and where something else than a group refused (S14).
    package var decidingStage: StageRecord? {
        switch access {
        case .allow: stages.last
        case .deny: stages.first { $0.access == .deny }
        }
    }
}

/// Packets and bytes of a flow; bytes count from the IP header on, as conntrack's accounting does.
package struct FlowCounters: Hashable, Sendable {
    /// Sent by the side that opened the flow.
    package var packetsSent: UInt64
    package var bytesSent: UInt64
    package var packetsReceived: UInt64
    package var bytesReceived: UInt64

    package init(packetsSent: UInt64 = 0, bytesSent: UInt64 = 0, packetsReceived: UInt64 = 0, bytesReceived: UInt64 = 0)
    {
        self.packetsSent = packetsSent
        self.bytesSent = bytesSent
        self.packetsReceived = packetsReceived
        self.bytesReceived = bytesReceived
    }

    package static let zero = FlowCounters()

    /// From running totals to an increment. A total that went back was reset (`conntrack -Z`), and counts from zero.
    package func increment(since previous: FlowCounters) -> FlowCounters {
        func difference(_ counter: KeyPath<FlowCounters, UInt64>) -> UInt64 {
            let (now, before) = (self[keyPath: counter], previous[keyPath: counter])
            return now >= before ? now - before : now
        }
        return FlowCounters(
            packetsSent: difference(\.packetsSent), bytesSent: difference(\.bytesSent),
            packetsReceived: difference(\.packetsReceived), bytesReceived: difference(\.bytesReceived))
    }
}

/// Decisions that were made and are in no log (F5).
package struct GapRecord: Hashable, Sendable {
    package enum Reason: String, Hashable, Sendable, CaseIterable {
        /// The socket's buffer was full: `ENOBUFS`, or a step in `NFULA_SEQ`.
        case captureOverrun = "capture overrun"
        /// libpcap dropped packets, `pcap_stats`.
        case captureDrop = "capture drop"
        /// The daemon's own queue was full.
        case backlogFull = "backlog full"
        /// A rule's kernel counter is ahead of the records.
        case counterAhead = "rule counter ahead of the log"
        /// The log folder could not be written.
        case writeFailed = "write failed"
        /// Nobody was there to log; the rules stayed in force.
        case daemonStopped = "daemon stopped"
    }

    /// The last moment known to be complete.
    package var from: Timestamp
    /// From here on the log is complete again; the time of the record itself.
    package var to: Timestamp
    package var missing: UInt64
    package var reason: Reason
    /// Nil where the loss cannot be assigned to a rule.
    package var rule: RuleReference?

    package init(from: Timestamp, to: Timestamp, missing: UInt64, reason: Reason, rule: RuleReference? = nil) {
        self.from = from
        self.to = to
        self.missing = missing
        self.reason = reason
        self.rule = rule
    }
}

/// A line of `flows.jsonl`.
package enum LogEntry: Hashable, Sendable {
    case flow(FlowRecord)
    case gap(GapRecord)

    package var time: Timestamp {
        switch self {
        case .flow(let record): record.time
        case .gap(let gap): gap.to
        }
    }
}
