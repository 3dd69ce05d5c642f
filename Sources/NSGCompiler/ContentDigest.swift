import NetworkTypes
import Nftables

/// What chains and sets hold, as bytes to be hashed: equal content gives equal bytes, other content others. Shorter
/// than the text that nft reads, of which a large policy has megabytes.
struct ContentDigest {
    private var bytes: [UInt8] = []

    /// The first digits of the SHA-1 of all that was added, in hexadecimal: 48 bits.
    var digits: String {
        SHA1.digest(of: bytes).prefix(6).map { hexadecimal($0) }.joined()
    }

    /// The first 32 bits of it.
    var number: UInt32 { SHA1.digest(of: bytes).prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }

    mutating func add(_ text: String) {
        add(UInt128(text.utf8.count), 4)
        bytes += text.utf8
    }

    private mutating func add(_ value: UInt128, _ width: Int = 16) {
        for index in 0..<width { bytes.append(UInt8(truncatingIfNeeded: value >> UInt128(8 * index))) }
    }

    private mutating func tag(_ tag: UInt8) { bytes.append(tag) }

    // MARK: Rules

    mutating func add(_ rules: [Rule]) {
        for rule in rules {
            tag(0xff)
            for step in rule.steps { add(step) }
            if let comment = rule.comment { add(comment) }
        }
    }

    private mutating func add(_ step: Step) {
        switch step {
        case .match(let field, let comparison):
            add(1, field)
            add(comparison)
        case .lookup(let field, let set):
            add(2, field)
            add(set.description)
        case .membership(let fields, let set, let isIn):
            tag(isIn ? 3 : 4)
            tag(UInt8(fields.count))
            for field in fields { tag(Self.number(of: field)) }
            add(set.description)
        case .dispatch(let field, let map):
            add(5, field)
            add(map.description)
        case .counter(let name):
            tag(6)
            add(name.description)
        case .setLabel(let bits):
            tag(7)
            add(bits)
        case .log(let copy):
            tag(8)
            add(UInt128(copy.group), 2)
            add(UInt128(copy.snapLength), 4)
            add(copy.prefix)
        case .setTimeout(let name):
            tag(9)
            add(name.description)
        case .verdict(let verdict):
            tag(10)
            add(verdict)
        case .classify(let classification):
            tag(11)
            tag(Self.number(of: classification.address))
            tag(classification.readsPort ? 1 : 0)
            add(classification.protocolNumber.map { UInt128($0) } ?? 0x100, 2)
            tag(UInt8(classification.sets.count))
            for set in classification.sets { add(set.description) }
        }
    }

    private mutating func add(_ kind: UInt8, _ field: Field) {
        tag(kind)
        tag(Self.number(of: field))
    }

    private static let numbers = Dictionary(
        uniqueKeysWithValues: Field.allCases.enumerated().map { ($1, UInt8($0)) })
    private static func number(of field: Field) -> UInt8 { numbers[field] ?? .max }

    private mutating func add(_ comparison: Comparison) {
        switch comparison {
        case .equals(let value): add(1, value)
        case .isNot(let value): add(2, value)
        case .prefix(let value, let length):
            add(3, value)
            tag(UInt8(truncatingIfNeeded: length))
        case .range(let range):
            add(4, range.lowerBound)
            add(range.upperBound)
        case .hasAny(let bits): add(5, bits)
        case .hasNone(let bits): add(6, bits)
        case .isGreater(let bound): add(7, bound)
        }
    }

    private mutating func add(_ kind: UInt8, _ value: UInt128) {
        tag(kind)
        add(value)
    }

    private mutating func add(_ verdict: Verdict) {
        switch verdict {
        case .accept: tag(1)
        case .drop: tag(2)
        case .return: tag(3)
        case .jump(let chain):
            tag(4)
            add(chain.description)
        case .goto(let chain):
            tag(5)
            add(chain.description)
        }
    }

    // MARK: Sets

    mutating func add(_ elements: [SetElement], of keyType: KeyType) {
        add(keyType.nftName)
        if case .integer(let width) = keyType { tag(UInt8(truncatingIfNeeded: width)) }
        for element in elements {
            add(element.key)
            switch element.value {
            case .none: break
            case .verdict(let verdict): add(verdict)
            case .number(let number):
                tag(6)
                add(UInt128(number), 4)
            case .timeout(let milliseconds): add(UInt128(milliseconds))
            }
        }
    }

    private mutating func add(_ key: SetKey) {
        switch key {
        case .values(let range):
            tag(1)
            add(range.lowerBound)
            add(range.upperBound)
        case .device(let name):
            tag(2)
            add(name)
        case .concatenation(let keys):
            tag(3)
            for key in keys { add(key) }
        case .catchAll: tag(4)
        }
    }
}
