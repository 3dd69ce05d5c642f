internal import NetworkTypes

/// What nft keeps beside rules, sets and elements and the kernel only stores: records of type, length and value, one
/// byte each for the first two. Numbers in it are in host order. Layout: <libnftnl/udata.h>.
enum UserData {
    /// `NFTNL_UDATA_RULE_COMMENT`
    static let ruleComment: UInt8 = 0
    /// `NFTNL_UDATA_SET_KEYBYTEORDER`, `…_DATABYTEORDER`, `…_DATA_INTERVAL`
    static let keyByteOrder: UInt8 = 0
    static let dataByteOrder: UInt8 = 1
    static let dataInterval: UInt8 = 6
    /// `NFTNL_UDATA_SET_ELEM_FLAGS` with `NFTNL_SET_ELEM_F_INTERVAL_OPEN`: the interval has no end element.
    static let elementFlags: UInt8 = 1
    static let isOpenInterval: UInt32 = 1

    static func encoding(_ records: [(type: UInt8, value: [UInt8])]) -> [UInt8] {
        records.flatMap { [$0.type, UInt8($0.value.count)] + $0.value }
    }

    static func number(_ value: UInt32) -> [UInt8] {
        UInt16(1).littleEndian == 1 ? value.bigEndianBytes.reversed() : value.bigEndianBytes
    }

    /// The value of the first record of a type; nil where there is none or the bytes are no records.
    static func value(_ type: UInt8, in bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var rest = bytes
        while let found = rest.popFirst(), let length = rest.popFirst(), Int(length) <= rest.count {
            if found == type { return rest.prefix(Int(length)) }
            rest = rest.dropFirst(Int(length))
        }
        return nil
    }
}
