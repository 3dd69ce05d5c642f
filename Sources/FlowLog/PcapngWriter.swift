/// Writes a capture file of the format pcapng (draft-ietf-opsawg-pcapng), block by block. What has been written is a
/// whole file at the end of each block. Little-endian; packets begin with their IP header (`LINKTYPE_RAW`), and their
/// times are nanoseconds.
package struct PcapngWriter: Sendable {
    /// Where packets were seen: a description block each, written before its first packet.
    package struct Interface: Hashable, Sendable {
        package var name: String
        package var description: String

        package init(name: String, description: String) {
            self.name = name
            self.description = description
        }
    }

    package struct Packet: Hashable, Sendable {
        package var time: Timestamp
        /// From the IP header on; the packet may have been longer.
        package var bytes: [UInt8]
        /// Bytes of the whole packet.
        package var length: Int
        package var interface: Interface
        /// As its interface sees it.
        package var isInbound: Bool
        package var comment: String
        /// Packets that belong before this one and are left out.
        package var dropped: UInt64

        package init(
            time: Timestamp, bytes: [UInt8], length: Int, interface: Interface, isInbound: Bool, comment: String,
            dropped: UInt64 = 0
        ) {
            self.time = time
            self.bytes = bytes
            self.length = length
            self.interface = interface
            self.isInbound = isInbound
            self.comment = comment
            self.dropped = dropped
        }
    }

    /// By interface: its place in the file, and how many packets it has.
    private var interfaces: [Interface: (number: UInt32, packets: UInt64)] = [:]
    /// Of the first packet.
    private var start: Timestamp?
    private let snapLength: UInt32

    /// - Parameter snapLength: bytes of a packet at which it is cut.
    package init(snapLength: UInt32) { self.snapLength = snapLength }

    /// The section header, with which a file begins.
    package func header(hardware: String, system: String, application: String) -> [UInt8] {
        var block = PcapngBlock(type: 0x0a0d_0d0a)
        block.put(UInt32(0x1a2b_3c4d))
        block.put(UInt16(1))
        block.put(UInt16(0))
        // The length of the section is not known before its end.
        block.put(UInt64.max)
        block.option(2, hardware)
        block.option(3, system)
        block.option(4, application)
        return block.finished()
    }

    /// An enhanced packet block, behind the description of its interface where that is new.
    package mutating func packet(_ packet: Packet) -> [UInt8] {
        var bytes: [UInt8] = []
        var known = interfaces[packet.interface] ?? (UInt32(interfaces.count), 0)
        if known.packets == 0 { bytes = description(of: packet.interface) }
        known.packets += 1
        interfaces[packet.interface] = known
        start = start ?? packet.time

        var block = PcapngBlock(type: 6)
        block.put(known.number)
        block.put(packet.time)
        block.put(UInt32(clamping: packet.bytes.count))
        block.put(UInt32(clamping: max(packet.length, packet.bytes.count)))
        block.put(padded: packet.bytes)
        block.option(1, packet.comment)
        // epb_flags: 1 is inbound, 2 is outbound.
        block.option(2, UInt32(packet.isInbound ? 1 : 2))
        if packet.dropped > 0 { block.option(4, packet.dropped) }
        return bytes + block.finished()
    }

    private func description(of interface: Interface) -> [UInt8] {
        var block = PcapngBlock(type: 1)
        block.put(UInt16(101))
        block.put(UInt16(0))
        block.put(snapLength)
        block.option(2, interface.name)
        block.option(3, interface.description)
        // if_tsresol: times count units of 10⁻⁹ s.
        block.option(9, bytes: [9])
        return block.finished()
    }

    /// The end of a file: a block of statistics for each interface.
    /// - Parameter dropped: packets that are left out, of all interfaces together: the first one's block has them.
    package func statistics(at end: Timestamp, dropped: UInt64) -> [UInt8] {
        let ordered = interfaces.values.sorted { $0.number < $1.number }
        return ordered.flatMap { interface in
            var block = PcapngBlock(type: 5)
            let left = interface.number == 0 ? dropped : 0
            block.put(interface.number)
            block.put(end)
            if left > 0 { block.option(1, "left out of this capture, on whichever interface: \(left)") }
            if let start { block.option(2, start) }
            block.option(3, end)
            // isb_ifrecv, isb_ifdrop, isb_usrdeliv
            block.option(4, interface.packets + left)
            block.option(5, left)
            block.option(8, interface.packets)
            return block.finished()
        }
    }
}

/// One block: its type, its length, content and options, and the length again. All parts fill words of four bytes.
private struct PcapngBlock {
    private var bytes: [UInt8] = []
    private var hasOptions = false

    init(type: UInt32) {
        put(type)
        // The length, once it is known.
        put(UInt32(0))
    }

    mutating func put(_ number: some FixedWidthInteger & UnsignedInteger) {
        for shift in stride(from: 0, to: number.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> shift))
        }
    }

    /// A time as two numbers, the high half first.
    mutating func put(_ time: Timestamp) {
        put(UInt32(time.nanoseconds >> 32))
        put(UInt32(truncatingIfNeeded: time.nanoseconds))
    }

    mutating func put(padded content: [UInt8]) {
        bytes += content
        bytes += repeatElement(0, count: -content.count & 3)
    }

    mutating func option(_ code: UInt16, bytes value: [UInt8]) {
        hasOptions = true
        put(code)
        put(UInt16(clamping: value.count))
        put(padded: value)
    }

    mutating func option(_ code: UInt16, _ number: some FixedWidthInteger & UnsignedInteger) {
        hasOptions = true
        put(code)
        put(UInt16(number.bitWidth / 8))
        put(number)
    }

    mutating func option(_ code: UInt16, _ time: Timestamp) {
        hasOptions = true
        put(code)
        put(UInt16(8))
        put(time)
    }

    /// A text without a NUL at its end, cut where it is longer than an option can be. An empty one is left out.
    mutating func option(_ code: UInt16, _ text: String) {
        var value: [UInt8] = []
        for scalar in text.unicodeScalars {
            let isControl = scalar.value < 0x20 && scalar != "\n" || scalar.value == 0x7f
            let encoded = UTF8.encode(isControl ? " " : scalar) ?? UTF8.encodedReplacementCharacter
            guard value.count + encoded.count <= Int(UInt16.max) else { break }
            value += encoded
        }
        if !value.isEmpty { option(code, bytes: value) }
    }

    consuming func finished() -> [UInt8] {
        if hasOptions { put(UInt32(0)) }
        let length = UInt32(clamping: bytes.count + 4)
        put(length)
        for index in 0..<4 { bytes[4 + index] = UInt8(truncatingIfNeeded: length >> (8 * index)) }
        return bytes
    }
}
