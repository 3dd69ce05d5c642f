/// How full the kernel's table of connections is. Beyond its limit the kernel drops the packets of new connections
/// before any rule sees them, allowed ones too.
package struct ConntrackFill: Hashable, Sendable {
    package var connections: Int
    /// `nf_conntrack_max`, which holds for each network namespace by itself.
    package var limit: Int

    /// Nil where either is not known, and where there is no limit.
    package init?(connections: Int?, limit: Int?) {
        guard let connections, let limit, limit > 0 else { return nil }
        self.connections = connections
        self.limit = limit
    }

    package var percent: Int { Int(Double(connections) / Double(limit) * 100) }

    /// What an operator should know; nil below 80 %.
    package var problem: String? {
        guard percent >= Self.alarming else { return nil }
        return "conntrack holds \(connections) connections, \(percent) % of its limit: beyond it the kernel drops new "
            + "connections, allowed ones too; raise net.netfilter.nf_conntrack_max (\(limit))"
    }

    static let alarming = 80
}

/// When to say that the table fills up: once, and again an hour later, or when it has been well below in between.
package struct ConntrackAlarm: Sendable {
    private var last: UInt64?
    private static let calm = 75
    /// Nanoseconds.
    private static let pause: UInt64 = 3_600_000_000_000

    package init() {}

    /// - Parameter now: nanoseconds of a clock that does not go back.
    /// - Returns: what to say now.
    package mutating func warning(about fill: ConntrackFill?, at now: UInt64) -> String? {
        guard let fill, fill.percent >= Self.calm else {
            last = nil
            return nil
        }
        guard let problem = fill.problem, last.map({ now &- $0 >= Self.pause }) ?? true else { return nil }
        last = now
        return problem
    }
}
