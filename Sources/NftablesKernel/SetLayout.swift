internal import NetworkTypes
internal import Nftables

// Sets as the kernel holds them, without libnftnl: types by nft's numbers, intervals as their starts and ends.

extension KeyType {
    /// The kernel stores this number and nft reads it (`enum datatypes` of nft).
    var number: UInt32 {
        switch self {
        case .ipv4Address: 7
        case .ipv6Address: 8
        case .inetProtocol: 12
        case .inetService: 13
        case .deviceName: 41
        case .concatenation(let types): types.reduce(0) { $0 << 6 | $1.number }
        }
    }

    init?(number: UInt32, width: UInt32) {
        guard let type = Self.simple.first(where: { $0.number == number && $0.width == Int(width) }) else {
            return nil
        }
        self = type
    }

    /// nft's `enum byteorder`, which it keeps in the set's user data: 0 none, 1 host, 2 network.
    var byteOrder: UInt32 {
        switch self {
        case .inetProtocol: 0
        case .deviceName: 1
        case .concatenation: 0
        case .ipv4Address, .ipv6Address, .inetService: 2
        }
    }

    var largest: UInt128 { UInt128.max >> UInt128(128 - 8 * width) }

    func bytes(of value: UInt128) -> [UInt8] {
        (0..<width).map { UInt8(truncatingIfNeeded: value >> UInt128(8 * (width - 1 - $0))) }
    }
}

/// One element as the kernel holds it. An interval is its first value and, marked as an end, the value behind its last.
struct KernelElement: Hashable, Sendable {
    /// In network order, as wide as the key type.
    var key: [UInt8]
    /// `NFT_SET_ELEM_INTERVAL_END`
    var isEnd = false
    /// The interval goes to the end of the type and has no end element; nft wants to be told.
    var isOpen = false
    var verdict: Verdict?

    fileprivate var value: UInt128 { key.reduce(0) { $0 << 8 | UInt128($1) } }
}

extension NamedSet {
    /// - Parameter isFirst: the interval elements before the first value begin with an end at 0, as nft has it.
    func kernelElements(
        for elements: ArraySlice<SetElement>, isFirst: Bool
    ) throws(KernelError) -> [KernelElement] {
        var result: [KernelElement] = []
        result.reserveCapacity(elements.count * 2 + 1)
        for element in elements {
            guard (element.verdict != nil) == isVerdictMap else { throw refusal(of: element, "a verdict in maps only") }
            switch element.key {
            case .concatenation: throw refusal(of: element, "not yet")
            case .device(let name):
                guard keyType == .deviceName, !isInterval, (1...15).contains(name.utf8.count), !name.utf8.contains(0)
                else { throw refusal(of: element, "a device name has 1 to 15 bytes and stands in a set of ifname") }
                let padding = [UInt8](repeating: 0, count: 16 - name.utf8.count)
                result.append(KernelElement(key: Array(name.utf8) + padding, verdict: element.verdict))
            case .values(let range):
                guard keyType != .deviceName, range.upperBound <= keyType.largest, isInterval || range.count == 1 else {
                    throw refusal(of: element, "the key does not fit the set's type")
                }
                if isInterval, isFirst, result.isEmpty, range.lowerBound > 0 {
                    result.append(KernelElement(key: keyType.bytes(of: 0), isEnd: true))
                }
                let isOpen = isInterval && range.upperBound == keyType.largest
                let first = keyType.bytes(of: range.lowerBound)
                result.append(KernelElement(key: first, isOpen: isOpen, verdict: element.verdict))
                if isInterval, !isOpen {
                    result.append(KernelElement(key: keyType.bytes(of: range.upperBound + 1), isEnd: true))
                }
            }
        }
        return result
    }

    private func refusal(of element: SetElement, _ reason: String) -> KernelError {
        KernelError(errno: 22, doing: "encode set \(name)", object: text(of: element), explanation: reason)
    }

    /// Elements in ascending order: intervals closed again, the end at 0 left out. Nil where the kernel's elements are
    /// none that we would have sent.
    func elements(restoredFrom elements: [KernelElement]) -> [SetElement]? {
        guard elements.allSatisfy({ $0.key.count == keyType.width }) else { return nil }
        if keyType == .deviceName {
            let named = elements.map { element in
                let name = String(decoding: element.key.prefix { $0 != 0 }, as: UTF8.self)
                return (name: name, element: SetElement(.device(name), verdict: element.verdict))
            }
            return named.sorted { $0.name < $1.name }.map(\.element)
        }
        // An end comes before the start of the interval that follows at once.
        let ordered = elements.map { (value: $0.value, element: $0) }
            .sorted { ($0.value, $0.element.isEnd ? 0 : 1) < ($1.value, $1.element.isEnd ? 0 : 1) }
        if !isInterval {
            guard ordered.allSatisfy({ !$0.element.isEnd }) else { return nil }
            return ordered.map { SetElement(.values($0.value...$0.value), verdict: $0.element.verdict) }
        }
        var restored: [SetElement] = []
        restored.reserveCapacity(elements.count / 2)
        var open: (first: UInt128, verdict: Verdict?)?
        for (value, element) in ordered {
            if let start = open {
                guard value > start.first else { return nil }
                restored.append(SetElement(.values(start.first...(value - 1)), verdict: start.verdict))
            }
            open = element.isEnd ? nil : (value, element.verdict)
        }
        if let start = open {
            restored.append(SetElement(.values(start.first...keyType.largest), verdict: start.verdict))
        }
        return restored
    }
}
