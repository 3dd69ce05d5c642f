internal import Netlink
internal import NetworkTypes

// Read here and not by the library, which needs memory of its own for each entry and gives labels one bit a call: a
// message comes for every connection that ends, and its attributes with every first packet that is logged. Numbers are
// those of <linux/netfilter/nfnetlink_conntrack.h>.

extension ConntrackEntry {
    /// Decodes a message of subsystem `NFNL_SUBSYS_CTNETLINK`; nil where it holds no connection.
    init?(_ message: NetlinkMessage) {
        // struct nfgenmsg
        guard message.subsystem == 1, message.payload.count >= 4 else { return nil }
        let entry = message.payload.dropFirst(4).withRawSpan { ConntrackEntry(attributes: $0) }
        guard let entry else { return nil }
        self = entry
    }

    /// Decodes `enum ctattr_type` of a message, or of `NFULA_CT` of a logged packet. Nil unless both tuples are whole.
    package init?(attributes: RawSpan) {
        self.init()
        var original: DecodedTuple?
        var reply: DecodedTuple?
        attributes.forEachAttribute { type, payload in
            switch type {
            case 1: original = DecodedTuple(payload)  // CTA_TUPLE_ORIG
            case 2: reply = DecodedTuple(payload)  // CTA_TUPLE_REPLY
            case 3: status = Status(rawValue: payload.uint32 ?? 0)  // CTA_STATUS
            case 4: tcpState = Self.tcpState(payload)  // CTA_PROTOINFO
            case 7: timeout = payload.uint32  // CTA_TIMEOUT
            case 8: mark = payload.uint32 ?? 0  // CTA_MARK
            case 9: originalCounters = Counters(payload)  // CTA_COUNTERS_ORIG
            case 10: replyCounters = Counters(payload)  // CTA_COUNTERS_REPLY
            case 12: id = payload.uint32 ?? 0  // CTA_ID
            case 18: zone = payload.uint16 ?? 0  // CTA_ZONE
            case 20: readTimes(payload)  // CTA_TIMESTAMP
            case 22: label = payload.label  // CTA_LABELS
            default: break
            }
        }
        guard let original, let reply, let number = original.protocol else { return nil }
        if zone == 0 { zone = original.zone ?? 0 }
        `protocol` = IPProtocol(rawValue: number)
        self.original = original.tuple
        self.reply = reply.tuple
        // What a reply looks like follows from the request.
        self.reply.icmp = original.tuple.icmp?.reversed(of: original.tuple.source.family)
    }

    /// An entry to be filled in.
    private init() {
        let nowhere = ConntrackTuple(source: .v4(IPv4Address(0)), destination: .v4(IPv4Address(0)))
        self.init(id: 0, protocol: IPProtocol(rawValue: 0), original: nowhere, reply: nowhere)
    }

    /// `CTA_PROTOINFO_TCP`, in it `CTA_PROTOINFO_TCP_STATE`.
    private static func tcpState(_ information: RawSpan) -> TCPState? {
        var state: TCPState?
        information.forEachAttribute { type, payload in
            guard type == 1 else { return }
            payload.forEachAttribute { type, payload in
                if type == 1 { state = payload.uint8.flatMap { TCPState(rawValue: $0) } }
            }
        }
        return state
    }

    /// `CTA_TIMESTAMP_START`, `CTA_TIMESTAMP_STOP`
    private mutating func readTimes(_ times: RawSpan) {
        times.forEachAttribute { type, payload in
            if type == 1 { start = payload.uint64 }
            if type == 2 { stop = payload.uint64 }
        }
    }
}

/// `enum ctattr_tuple`
private struct DecodedTuple {
    var tuple: ConntrackTuple
    var `protocol`: UInt8?
    var zone: UInt16?

    /// Nil without both addresses, of one family.
    init?(_ attributes: RawSpan) {
        var source: IPAddress?
        var destination: IPAddress?
        var ports: (source: UInt16?, destination: UInt16?) = (nil, nil)
        var icmp: (identifier: UInt16?, type: UInt8?, code: UInt8?) = (nil, nil, nil)
        var number: UInt8?
        var zone: UInt16?
        attributes.forEachAttribute { type, payload in
            switch type {
            case 1:  // CTA_TUPLE_IP, in it enum ctattr_ip
                payload.forEachAttribute { type, payload in
                    switch type {
                    case 1, 3: source = payload.ipAddress(length: payload.byteCount)
                    case 2, 4: destination = payload.ipAddress(length: payload.byteCount)
                    default: break
                    }
                }
            case 2:  // CTA_TUPLE_PROTO, in it enum ctattr_l4proto
                payload.forEachAttribute { type, payload in
                    switch type {
                    case 1: number = payload.uint8
                    case 2: ports.source = payload.uint16
                    case 3: ports.destination = payload.uint16
                    case 4, 7: icmp.identifier = payload.uint16
                    case 5, 8: icmp.type = payload.uint8
                    case 6, 9: icmp.code = payload.uint8
                    default: break
                    }
                }
            case 3: zone = payload.uint16  // CTA_TUPLE_ZONE
            default: break
            }
        }
        guard let source, let destination, source.family == destination.family else { return nil }
        tuple = ConntrackTuple(
            source: source, destination: destination, sourcePort: ports.source ?? 0,
            destinationPort: ports.destination ?? 0)
        if let type = icmp.type {
            tuple.icmp = ConntrackTuple.ICMP(type: type, code: icmp.code ?? 0, identifier: icmp.identifier ?? 0)
        }
        `protocol` = number
        self.zone = zone
    }
}

extension ConntrackEntry.Counters {
    /// `CTA_COUNTERS_PACKETS`, `CTA_COUNTERS_BYTES`; nil unless both are there.
    fileprivate init?(_ attributes: RawSpan) {
        var packets: UInt64?
        var bytes: UInt64?
        attributes.forEachAttribute { type, payload in
            if type == 1 { packets = payload.uint64 }
            if type == 2 { bytes = payload.uint64 }
        }
        guard let packets, let bytes else { return nil }
        self.init(packets: packets, bytes: bytes)
    }
}
