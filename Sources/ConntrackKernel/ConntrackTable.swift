internal import Glibc
internal import Netlink
package import NetworkTypes

/// The kernel's table of connections, of the network namespace in which the value was made. Used from one executor.
package struct ConntrackTable: ~Copyable {
    var socket: NetlinkSocket

    package init() throws(KernelError) {
        var socket = try NetlinkSocket(.netfilter)
        try socket.setExtendedAcknowledgement(true)
        socket.enlargeBuffers(receive: 1 << 20)
        self.socket = socket
    }

    /// Hands over every entry, or those of one family. The kernel does not freeze the table: connections that begin or
    /// end meanwhile may be absent, and one that moves may come twice.
    /// - Parameter restart: all that was handed over is void; the dump begins anew.
    package mutating func dump(
        _ family: IPFamily? = nil, restart: () -> Void = {}, each body: (ConntrackEntry) -> Void
    ) throws(KernelError) {
        var request = NetlinkWriter()
        request.begin(type: MessageType.get, flags: UInt16(NLM.dump))
        request.putNetfilterHeader(family: family.map(\.netfilterNumber) ?? 0)
        request.end()
        try socket.dump(request.bytes, doing: "list the connections", restart: restart) { message in
            if let entry = ConntrackEntry(message) { body(entry) }
        }
    }

    package mutating func dump(_ family: IPFamily? = nil) throws(KernelError) -> [ConntrackEntry] {
        var entries: [ConntrackEntry] = []
        try dump(family, restart: { entries = [] }, each: { entries.append($0) })
        return entries
    }

    /// The entry whose original direction is `tuple`; nil if there is none.
    package mutating func get(
        _ tuple: ConntrackTuple, protocol: IPProtocol, zone: UInt16 = 0
    ) throws(KernelError) -> ConntrackEntry? {
        let operation = "look up connection \(`protocol`) \(tuple)"
        let request = try Self.request(MessageType.get, tuple, `protocol`, zone, doing: operation)
        var found: ConntrackEntry?
        do throws(KernelError) {
            try socket.request(request, doing: operation) { found = ConntrackEntry($0) ?? found }
        } catch  where error.errno == ENOENT {
            return nil
        }
        return found
    }

    /// Deletes this very entry; false if it is gone, or if another now has its tuple. A flow does not end with its
    /// entry: see KERNEL 7.
    @discardableResult
    package mutating func delete(_ entry: ConntrackEntry) throws(KernelError) -> Bool {
        let deletion = try delete([entry])
        if let error = deletion.failures.first { throw error }
        return deletion.count == 1
    }

    /// What became of entries that were to be deleted.
    package struct Deletion: Hashable, Sendable {
        /// Those that are deleted. Others were gone, or another connection had their tuple.
        package var count = 0
        /// Of those that the kernel would not delete.
        package var failures: [KernelError] = []
    }

    /// Deletes these very entries, many with one system call.
    package mutating func delete(_ entries: some Collection<ConntrackEntry>) throws(KernelError) -> Deletion {
        var deletion = Deletion()
        var rest = entries[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(Self.deletedAtOnce))
            rest = rest.dropFirst(part.count)
            var requests: [(entry: ConntrackEntry, message: [UInt8])] = []
            for entry in part {
                do throws(KernelError) {
                    requests.append((entry, try Self.deletion(of: entry)))
                } catch { deletion.failures.append(error) }
            }
            guard !requests.isEmpty else { continue }
            let refusals = try socket.requests(
                requests.map(\.message), doing: "delete \(requests.count) connections")
            deletion.count += requests.count - refusals.count
            for (index, answer) in refusals where answer.errno != ENOENT {
                let operation = Self.operation(on: requests[index].entry)
                if let error = answer.error(doing: operation) { deletion.failures.append(error) }
            }
        }
        return deletion
    }

    /// So many errors fit the smallest receive buffer.
    private static let deletedAtOnce = 128

    private static func operation(on entry: ConntrackEntry) -> String {
        "delete connection \(entry.protocol) \(entry.original)"
    }

    private static func deletion(of entry: ConntrackEntry) throws(KernelError) -> [UInt8] {
        let base = try request(
            MessageType.delete, entry.original, entry.protocol, entry.zone, doing: operation(on: entry))
        // CTA_ID, which the library leaves out of requests.
        var request = NetlinkWriter()
        request.begin(type: MessageType.delete, flags: 0)
        request.putRaw(base.dropFirst(NetlinkMessage.headerLength))
        request.put(12, entry.id)
        request.end()
        return request.bytes
    }

    private static func request(
        _ type: UInt16, _ tuple: ConntrackTuple, _ protocol: IPProtocol, _ zone: UInt16, doing operation: String
    ) throws(KernelError) -> [UInt8] {
        var writer = NetlinkWriter()
        writer.begin(type: type, flags: UInt16(NLM.acknowledge))
        writer.putNetfilterHeader(family: tuple.source.family.netfilterNumber)
        writer.end()
        guard tuple.source.family == tuple.destination.family, let object = ConntrackObject() else {
            throw KernelError(errno: EINVAL, doing: operation)
        }
        object.set(tuple, protocol: `protocol`, zone: zone)
        guard let message = object.appended(to: writer.bytes) else {
            throw KernelError(errno: EINVAL, doing: operation)
        }
        return message
    }
}

/// Types of ctnetlink messages: `NFNL_SUBSYS_CTNETLINK` in the high byte, `enum cntl_msg_types` in the low one.
enum MessageType {
    static let new: UInt16 = 0x0100
    static let get: UInt16 = 0x0101
    static let delete: UInt16 = 0x0102
}

private enum NLM {
    static let acknowledge = 4
    static let dump = 0x300
}

extension IPFamily {
    /// `NFPROTO_IPV4`, `NFPROTO_IPV6`
    fileprivate var netfilterNumber: UInt8 { self == .ipv4 ? 2 : 10 }
}

/// What `/proc/sys/net/netfilter` says of conntrack in this namespace; nil where it cannot be read (the module is not
/// loaded).
package struct ConntrackSettings: Hashable, Sendable {
    /// Entries in the table now.
    package var count: Int?
    /// At so many, new connections are dropped. Of the whole machine.
    package var maximum: Int?
    /// Whether connections that begin now are counted (`nf_conntrack_acct`).
    package var countsTraffic: Bool?
    /// Whether connections that begin now are stamped (`nf_conntrack_timestamp`).
    package var stampsTime: Bool?

    package static func read() -> Self {
        Self(
            count: number("nf_conntrack_count"), maximum: number("nf_conntrack_max"),
            countsTraffic: number("nf_conntrack_acct").map { $0 != 0 },
            stampsTime: number("nf_conntrack_timestamp").map { $0 != 0 }
        )
    }

    private static func number(_ name: String) -> Int? {
        let descriptor = unsafe open("/proc/sys/net/netfilter/" + name, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let length = unsafe Glibc.read(descriptor, &bytes, bytes.count)
        guard length > 0 else { return nil }
        return Int(String(decoding: bytes[..<length].prefix { $0 != 0x0a }, as: UTF8.self))
    }
}
