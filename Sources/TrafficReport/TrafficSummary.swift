package import FlowLog
package import NSGModel
package import NetworkTypes

/// What traffic analytics say about a period: the answer of the method `Traffic`.
package struct TrafficSummary: Hashable, Sendable {
    /// The period that the rows cover, which begins with an interval. The same moment twice where there are none.
    package var from: Timestamp
    package var to: Timestamp
    package var totals = Totals()
    package var talkers: [Talker] = []
    package var denials: [Denial] = []
    package var ports: [Port] = []
    /// Those that were used, most used first.
    package var rules: [Rule] = []
    /// Those that no packet has met yet; and how many rules there are in force, and of these.
    package var neverFired: [Rule] = []
    package var ruleCount: UInt64 = 0
    package var neverFiredCount: UInt64 = 0
    package var timeline = Timeline()
    package var matrix = DenialMatrix()
    package var gaps: [Gap] = []
    /// Rows that could not be stored since the start of the daemon.
    package var rowsLost: UInt64 = 0

    package init(from: Timestamp, to: Timestamp) {
        self.from = from
        self.to = to
    }

    /// Flows, each once, however many interfaces it passed.
    package struct Totals: Hashable, Sendable {
        package var allowed: UInt64 = 0
        package var denied: UInt64 = 0
        package var packets: UInt64 = 0
        package var bytes: UInt64 = 0
        /// Pairs of addresses that were allowed something.
        package var talkers: UInt64 = 0
        /// Decisions that the period's gaps declare missing.
        package var missing: UInt64 = 0

        package init() {}
    }

    /// Two addresses, of which the first opened the flows.
    package struct Talker: Hashable, Sendable {
        package var source: IPAddress
        package var destination: IPAddress
        package var sourceName: String
        package var destinationName: String
        package var flowType: String
        package var flows: UInt64
        package var denied: UInt64
        package var packets: UInt64
        package var bytes: UInt64

        package init(
            source: IPAddress, destination: IPAddress, sourceName: String = "", destinationName: String = "",
            flowType: String, flows: UInt64, denied: UInt64, packets: UInt64, bytes: UInt64
        ) {
            self.source = source
            self.destination = destination
            self.sourceName = sourceName
            self.destinationName = destinationName
            self.flowType = flowType
            self.flows = flows
            self.denied = denied
            self.packets = packets
            self.bytes = bytes
        }
    }

    /// What a rule refused between two addresses.
    package struct Denial: Hashable, Sendable {
        package var source: IPAddress
        package var destination: IPAddress
        package var `protocol`: IPProtocol
        package var port: UInt16
        package var direction: Direction
        /// Id of the security group, or of the manager of an admin rule.
        package var group: String
        package var rule: String
        /// Refused packets.
        package var flows: UInt64
        package var last: Timestamp

        package init(
            source: IPAddress, destination: IPAddress, protocol: IPProtocol, port: UInt16, direction: Direction,
            group: String, rule: String, flows: UInt64, last: Timestamp
        ) {
            self.source = source
            self.destination = destination
            self.protocol = `protocol`
            self.port = port
            self.direction = direction
            self.group = group
            self.rule = rule
            self.flows = flows
            self.last = last
        }
    }

    package struct Port: Hashable, Sendable {
        package var `protocol`: IPProtocol
        package var port: UInt16
        package var flows: UInt64
        package var denied: UInt64
        package var bytes: UInt64

        package init(protocol: IPProtocol, port: UInt16, flows: UInt64, denied: UInt64, bytes: UInt64) {
            self.protocol = `protocol`
            self.port = port
            self.flows = flows
            self.denied = denied
            self.bytes = bytes
        }

        /// `443/TCP https`
        package var name: String { portName(`protocol`, port) }
    }

    package struct Rule: Hashable, Sendable {
        /// Id of the security group, or of the manager of an admin rule.
        package var group: String
        package var name: String
        /// `User Defined`, `Default`, `Admin`, `Platform`.
        package var type: String
        package var direction: Direction
        /// Nil for a rule that is in the rows and not in the policy in force.
        package var priority: Int?
        package var access: String
        /// First packets that the kernel's counter of the rule holds, whatever the period; nil where there is no
        /// counter.
        package var hits: UInt64?
        /// Flows of the period that it decided as the last one, or refused.
        package var flows: UInt64
        package var bytes: UInt64

        package init(
            group: String, name: String, type: String, direction: Direction, priority: Int?, access: String,
            hits: UInt64?, flows: UInt64, bytes: UInt64
        ) {
            self.group = group
            self.name = name
            self.type = type
            self.direction = direction
            self.priority = priority
            self.access = access
            self.hits = hits
            self.flows = flows
            self.bytes = bytes
        }

        /// In force, and no packet has met it as long as the kernel remembers.
        package var hasNeverFired: Bool { priority != nil && hits == 0 && flows == 0 }
    }

    package struct Timeline: Hashable, Sendable {
        /// Seconds that a point stands for.
        package var step: UInt64 = 0
        /// In order of time; steps without traffic are left out.
        package var points: [Point] = []

        package init() {}

        package struct Point: Hashable, Sendable {
            package var start: Timestamp
            package var allowed: UInt64
            package var denied: UInt64
            package var bytes: UInt64

            package init(start: Timestamp, allowed: UInt64, denied: UInt64, bytes: UInt64) {
                self.start = start
                self.allowed = allowed
                self.denied = denied
                self.bytes = bytes
            }
        }
    }

    /// The sources that were refused most, by the ports that were refused most.
    package struct DenialMatrix: Hashable, Sendable {
        package struct Cell: Hashable, Sendable {
            package var source: IPAddress
            package var `protocol`: IPProtocol
            package var port: UInt16
            package var flows: UInt64

            package init(source: IPAddress, protocol: IPProtocol, port: UInt16, flows: UInt64) {
                self.source = source
                self.protocol = `protocol`
                self.port = port
                self.flows = flows
            }
        }

        /// How many there are in all.
        package var sources: UInt64 = 0
        package var ports: UInt64 = 0
        package var cells: [Cell] = []

        package init() {}
    }

    package struct Gap: Hashable, Sendable {
        package var from: Timestamp
        package var to: Timestamp
        package var missing: UInt64
        package var reason: String
        package var group: String
        package var rule: String

        package init(from: Timestamp, to: Timestamp, missing: UInt64, reason: String, group: String, rule: String) {
            self.from = from
            self.to = to
            self.missing = missing
            self.reason = reason
            self.group = group
            self.rule = rule
        }
    }
}

/// `443/TCP https`; of protocols without ports the protocol alone.
package func portName(_ protocol: IPProtocol, _ port: UInt16) -> String {
    guard `protocol`.hasPorts else { return "\(`protocol`)" }
    let service = ServiceNames.name(of: port, `protocol`).map { " \($0)" } ?? ""
    return "\(port)/\(`protocol`)\(service)"
}

/// What is asked of the rows.
package struct TrafficQuery: Hashable, Sendable {
    package enum Part: String, Hashable, Sendable, CaseIterable {
        case talkers, denied, rules, ports, timeline, gaps
    }

    package var since: Timestamp
    /// Name or id; nil for all.
    package var networkInterface: String?
    /// Rows of each list.
    package var limit: Int
    package var parts: Set<Part>
    /// Points of the timeline at most.
    package var points: Int

    package init(
        since: Timestamp, networkInterface: String? = nil, limit: Int = 10, parts: Set<Part> = Set(Part.allCases),
        points: Int = 96
    ) {
        self.since = since
        self.networkInterface = networkInterface
        self.limit = min(max(limit, 1), Self.mostRows)
        self.parts = parts
        self.points = min(max(points, 1), 1_000)
    }

    package static let mostRows = 1_000
}
