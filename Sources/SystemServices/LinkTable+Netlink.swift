internal import Netlink
package import NetworkTypes

/// Numbers of <linux/rtnetlink.h>.
private enum RTM {
    static let newLink: UInt16 = 16
    static let deleteLink: UInt16 = 17
    static let getLink: UInt16 = 18
    static let newAddress: UInt16 = 20
    static let deleteAddress: UInt16 = 21
    static let getAddress: UInt16 = 22
    static let newNeighbour: UInt16 = 28
    static let getNeighbour: UInt16 = 30
}

extension LinkTable {
    /// Asks the kernel for all interfaces and addresses.
    package static func list() throws(KernelError) -> LinkTable {
        var socket = try NetlinkSocket(.route)
        var table = LinkTable()
        // struct ifinfomsg, struct ifaddrmsg
        try socket.dump(request(RTM.getLink, 16), doing: "list the interfaces", restart: { table = LinkTable() }) {
            table.apply($0)
        }
        let links = table
        try socket.dump(request(RTM.getAddress, 8), doing: "list the addresses", restart: { table = links }) {
            table.apply($0)
        }
        return table
    }

    private static func request(_ type: UInt16, _ headerLength: Int) -> [UInt8] {
        var writer = NetlinkWriter()
        writer.begin(type: type, flags: 0x300)
        writer.putRaw([UInt8](repeating: 0, count: headerLength))
        writer.end()
        return writer.bytes
    }

    /// Follows one message of a dump or a notification; others are passed over.
    mutating func apply(_ message: NetlinkMessage) {
        switch message.type {
        case RTM.newLink, RTM.deleteLink: applyLink(message)
        case RTM.newAddress, RTM.deleteAddress: applyAddress(message)
        default: break
        }
    }

    private mutating func applyLink(_ message: NetlinkMessage) {
        // Of family AF_BRIDGE such messages tell of a port, and RTM_DELLINK that it is a port no longer.
        guard message.payload.first == 0, let index = message.payload.hostUInt32(at: 4),
            let flags = message.payload.hostUInt32(at: 8)
        else { return }
        if message.type == RTM.deleteLink { return remove(link: index) }
        var link = Link(index: index, name: "", isUp: flags & 1 != 0)
        for attribute in message.attributes(after: 16) {
            switch attribute.type {
            case 1: link.hardwareAddress = MACAddress(bytes: attribute.payload)
            case 3: link.name = attribute.string
            case 10: link.master = attribute.hostUInt32
            case 18:
                link.kind = attribute.nested.first(1)?.string
                link.portKind = attribute.nested.first(4)?.string
            default: break
            }
        }
        if !link.name.isEmpty { insert(link) }
    }

    private mutating func applyAddress(_ message: NetlinkMessage) {
        let header = message.payload.prefix(8)
        guard header.count == 8, let index = header.hostUInt32(at: 4) else { return }
        let length = Int(header[header.startIndex + 1])
        let attributes = message.attributes(after: 8)
        // IFA_LOCAL is the own address; without it, as in IPv6, IFA_ADDRESS is.
        guard let bytes = (attributes.first(2) ?? attributes.first(1))?.payload, let address = IPAddress(bytes: bytes),
            let prefix = IPPrefix(address, length: length)
        else { return }
        let entry = InterfaceAddress(address: address, prefix: prefix)
        if message.type == RTM.newAddress { insert(entry, at: index) } else { remove(entry, at: index) }
    }

    /// The link-layer addresses of neighbours, IPv4 and IPv6, that the kernel believes in or did lately.
    package static func neighbours() throws(KernelError) -> [IPAddress: MACAddress] {
        var socket = try NetlinkSocket(.route)
        var neighbours: [IPAddress: MACAddress] = [:]
        // struct ndmsg
        let request = request(RTM.getNeighbour, 12)
        try socket.dump(request, doing: "list the neighbours", restart: { neighbours = [:] }) { message in
            // NUD_INCOMPLETE, NUD_FAILED and NUD_NOARP have no address to believe in.
            guard message.type == RTM.newNeighbour, let state = message.payload.hostUInt16(at: 8), state & 0x61 == 0
            else { return }
            let attributes = message.attributes(after: 12)
            guard let address = attributes.first(1).flatMap({ IPAddress(bytes: $0.payload) }),
                let hardware = attributes.first(2).flatMap({ MACAddress(bytes: $0.payload) })
            else { return }
            neighbours[address] = hardware
        }
        return neighbours
    }
}
