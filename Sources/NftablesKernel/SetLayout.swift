internal import NetworkTypes
internal import Nftables

// Sets as the kernel holds them, without libnftnl: types by nft's numbers, intervals as their starts and ends.

extension KeyType {
    /// The kernel stores this number and nft reads it (`enum datatypes` of nft; of a concatenation 6 bits a type).
    var number: UInt32 {
        switch self {
        case .ipv4Address: 7
        case .ipv6Address: 8
        case .inetProtocol: 12
        case .inetService: 13
        case .deviceName: 41
        case .integer: Self.integerNumber
        case .concatenation(let types): types.reduce(0) { $0 << 6 | $1.number }
        }
    }

    /// `TYPE_INTEGER`
    static let integerNumber: UInt32 = 4

    init?(number: UInt32, width: UInt32) {
        if number == Self.integerNumber {
            guard (1...16).contains(width) else { return nil }
            self = .integer(width: Int(width))
            return
        }
        var types: [KeyType] = []
        var rest = number
        while rest != 0 {
            guard let type = Self.simple.first(where: { $0.number == rest & 0x3f }) else { return nil }
            types.insert(type, at: 0)
            rest >>= 6
        }
        guard let first = types.first else { return nil }
        self = types.count == 1 ? first : .concatenation(types)
        guard self.width == Int(width) else { return nil }
    }

    /// Whether the kernel and nft have room for it: 64 bytes (`NFT_DATA_VALUE_MAXLEN`), and 6 bits of a number for each
    /// type of a concatenation.
    var isStorable: Bool {
        if case .integer(let width) = self { return (1...16).contains(width) }
        guard case .concatenation(let types) = self else { return true }
        return (2...5).contains(types.count) && types.allSatisfy(Self.simple.contains) && width <= 64
    }

    /// nft's `enum byteorder`, which it keeps in the set's user data: 0 none, 1 host, 2 network.
    var byteOrder: UInt32 {
        switch self {
        case .inetProtocol, .concatenation: 0
        case .deviceName: 1
        case .ipv4Address, .ipv6Address, .inetService, .integer: 2
        }
    }

    /// Of a type of numbers.
    var largest: UInt128 { UInt128.max >> UInt128(128 - 8 * min(width, 16)) }

    func bytes(of value: UInt128) -> KernelKey { .short(RegisterBytes(value, count: width)) }

    /// A single value, in network order and as wide as the type; nil where it is none of the type.
    func bytes(of key: SetKey) -> KernelKey? {
        switch (self, key) {
        case (_, .catchAll): return .catchAll
        case (.deviceName, .device(let name)):
            guard (1...15).contains(name.utf8.count), !name.utf8.contains(0) else { return nil }
            let value = name.utf8.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
            return .short(RegisterBytes(value << UInt128(8 * (16 - name.utf8.count)), count: 16))
        case (.concatenation(let types), .concatenation(let keys)):
            guard types.count == keys.count else { return nil }
            var bytes: [UInt8] = []
            for (type, key) in zip(types, keys) {
                guard case .short(let part)? = type.bytes(of: key) else { return nil }
                bytes += (0..<part.count).map { part[$0] }
                while bytes.count % 4 != 0 { bytes.append(0) }
            }
            return .long(bytes)
        case (.deviceName, .values), (.concatenation, .values): return nil
        case (_, .values(let range)):
            return range.lowerBound == range.upperBound && range.upperBound <= largest
                ? bytes(of: range.lowerBound) : nil
        case (_, .device), (_, .concatenation): return nil
        }
    }

    /// The other way; nil for bytes that `bytes(of:)` never gives.
    func key(of bytes: KernelKey) -> SetKey? {
        if bytes == .catchAll { return .catchAll }
        guard bytes.count == width else { return nil }
        switch (self, bytes) {
        case (.deviceName, .short(let bytes)):
            var name: [UInt8] = []
            for index in 0..<16 where bytes[index] != 0 {
                guard name.count == index else { return nil }
                name.append(bytes[index])
            }
            guard (1...15).contains(name.count) else { return nil }
            let text = String(decoding: name, as: UTF8.self)
            return text.utf8.elementsEqual(name) ? .device(text) : nil
        case (.concatenation(let types), _):
            var rest = bytes.all[...]
            var keys: [SetKey] = []
            for type in types {
                let part = rest.prefix((type.width + 3) / 4 * 4)
                let value = part.prefix(type.width).reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
                guard let key = type.key(of: .short(RegisterBytes(value, count: type.width))),
                    part.dropFirst(type.width).allSatisfy({ $0 == 0 })
                else { return nil }
                keys.append(key)
                rest = rest.dropFirst(part.count)
            }
            return .concatenation(keys)
        case (.ipv4Address, .short(let bytes)), (.ipv6Address, .short(let bytes)), (.inetService, .short(let bytes)),
            (.inetProtocol, .short(let bytes)), (.integer, .short(let bytes)):
            return .values(bytes.value...bytes.value)
        case (_, .long), (_, .catchAll): return nil
        }
    }
}

/// A key as the kernel holds it: in network order, as wide as the key type.
enum KernelKey: Hashable, Sendable {
    case short(RegisterBytes)
    /// More than 16 bytes, or a concatenation.
    case long([UInt8])
    /// None: `NFT_SET_ELEM_CATCHALL`
    case catchAll

    var count: Int {
        switch self {
        case .short(let bytes): bytes.count
        case .long(let bytes): bytes.count
        case .catchAll: 0
        }
    }

    fileprivate var all: [UInt8] {
        switch self {
        case .short(let bytes): (0..<bytes.count).map { bytes[$0] }
        case .long(let bytes): bytes
        case .catchAll: []
        }
    }
}

/// One element as the kernel holds it. An interval is its first value and, marked as an end, the value behind its last.
struct KernelElement: Hashable, Sendable {
    var key: KernelKey
    /// `NFT_SET_ELEM_INTERVAL_END`
    var isEnd = false
    /// The interval goes to the end of the type and has no end element; nft wants to be told.
    var isOpen = false
    /// `none` at an end.
    var value = SetElement.Value.none

    /// Of a key of at most 16 bytes.
    fileprivate var number: UInt128 { if case .short(let bytes) = key { bytes.value } else { 0 } }
}

extension NamedSet {
    /// Bytes of what a map of numbers gives, the first 4 of them zeros (`Classification.append`).
    static let numberWidth = 8

    /// One element, or the start and the end of an interval.
    /// - Parameter isFirst: of the set: before it there is an end at 0, as nft has it.
    func append(
        _ element: SetElement, isFirst: Bool, to result: inout [KernelElement]
    ) throws(KernelError) {
        guard admits(element.value) else { throw refusal(of: element, "not what the set's keys lead to") }
        guard isInterval else {
            guard let key = keyType.bytes(of: element.key) else {
                throw refusal(of: element, "the key does not fit the set's type \(keyType.nftName)")
            }
            result.append(KernelElement(key: key, value: element.value))
            return
        }
        guard case .values(let range) = element.key, keyType.isNumber, range.upperBound <= keyType.largest else {
            throw refusal(of: element, "the key does not fit the set's type: intervals of \(keyType.nftName)")
        }
        if isFirst, range.lowerBound > 0 { result.append(KernelElement(key: keyType.bytes(of: 0), isEnd: true)) }
        let isOpen = range.upperBound == keyType.largest
        let first = keyType.bytes(of: range.lowerBound)
        result.append(KernelElement(key: first, isOpen: isOpen, value: element.value))
        if !isOpen { result.append(KernelElement(key: keyType.bytes(of: range.upperBound + 1), isEnd: true)) }
    }

    func refusal(of element: SetElement, _ reason: String) -> KernelError {
        KernelError(errno: 22, doing: "encode set \(name)", object: text(of: element), explanation: reason)
    }

    /// Elements in ascending order: intervals closed again, the end at 0 left out. Nil where the kernel's elements are
    /// none that we would have sent.
    func elements(restoredFrom elements: [KernelElement]) -> [SetElement]? {
        if isInterval { return intervals(restoredFrom: elements) }
        var restored: [SetElement] = []
        restored.reserveCapacity(elements.count)
        for element in elements {
            guard !element.isEnd, let key = keyType.key(of: element.key) else { return nil }
            restored.append(SetElement(key, element.value))
        }
        return restored.sorted { $0.comesBefore($1) }
    }

    /// In a map an interval may also end where the next begins, as nft has it; in a set, whose intervals we add and
    /// delete one by one, each has an end of its own, and none stands alone.
    private func intervals(restoredFrom elements: [KernelElement]) -> [SetElement]? {
        guard keyType.isNumber, elements.allSatisfy({ $0.key.count == keyType.width }) else { return nil }
        // An end comes before the start of the interval that follows at once.
        let ordered = elements.sorted { left, right in
            let (first, second) = (left.number, right.number)
            return first < second || first == second && left.isEnd && !right.isEnd
        }
        var restored: [SetElement] = []
        restored.reserveCapacity(elements.count / 2)
        var open: (first: UInt128, value: SetElement.Value)?
        for element in ordered {
            let number = element.number
            if let start = open {
                guard number > start.first, element.isEnd || isMap else { return nil }
                restored.append(SetElement(.values(start.first...(number - 1)), start.value))
            } else if element.isEnd, number > 0, !isMap {
                return nil
            }
            open = element.isEnd ? nil : (number, element.value)
        }
        if let start = open {
            restored.append(SetElement(.values(start.first...keyType.largest), start.value))
        }
        return restored
    }
}

extension KeyType {
    /// Whether its values are numbers, of which there can be intervals.
    fileprivate var isNumber: Bool {
        switch self {
        case .ipv4Address, .ipv6Address, .inetService, .inetProtocol, .integer: true
        case .deviceName, .concatenation: false
        }
    }
}
