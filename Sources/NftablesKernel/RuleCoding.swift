internal import CNftnl
internal import NetworkTypes
internal import Nftables

// Steps to expressions and back. The patterns are those of nft 1.0.6, so that `nft list` prints our rules as the IR
// prints them.

extension Rule {
    /// Throws `EOPNOTSUPP` for a comparison that the field does not have, `ERANGE` for a value that does not fit it.
    func append(to expressions: inout [Expression]) throws(KernelError) {
        for step in steps { try step.append(to: &expressions) }
        guard expressions.count <= KernelLimits.expressionsPerRule else {
            throw KernelError(
                errno: 7,
                doing:
                    "encode a rule of \(expressions.count) expressions, where \(KernelLimits.expressionsPerRule) fit",
                object: "\(self)")
        }
    }

    /// A rule that is not exactly what `append(to:)` makes of some steps is somebody else's: it comes without steps and
    /// with a comment that says what it is, so that it differs from each of ours.
    /// - Parameter scratch: room for a second encoding.
    init(reading expressions: [Expression], comment: String?, scratch: inout [Expression]) {
        var reader = StepReader(expressions)
        let rule = Rule(reader.steps(), comment: comment)
        scratch.removeAll(keepingCapacity: true)
        if (try? rule.append(to: &scratch)) != nil, scratch == expressions {
            self = rule
        } else {
            let text = expressions.map { "[ \($0) ]" }.joined(separator: " ")
            self.init([], comment: "not ours: \(text)" + (comment.map { " (\($0))" } ?? ""))
        }
    }
}

extension Step {
    fileprivate func append(to all: inout [Expression]) throws(KernelError) {
        switch self {
        case .match(let field, let comparison):
            try field.append(comparison, to: &all)
        case .lookup(let field, let set):
            all.append(field.load)
            all.append(.lookup(set: set.description, yields: .nothing))
        case .membership(let fields, let set, let isIn):
            all += try loads(of: fields)
            all.append(.lookup(set: set.description, yields: .nothing, isInverted: !isIn))
        case .setTimeout(let name):
            all.append(.timeout(name: name.description))
        case .dispatch(let field, let map):
            all.append(field.load)
            all.append(.lookup(set: map.description, yields: .verdict))
        case .classify(let classification):
            try classification.append(to: &all)
        case .counter(let name):
            all.append(.counter(name: name.description))
        case .setLabel(let bits):
            all.append(.load(Field.connectionLabel.bytes(of: bits)))
            all.append(.setConntrack(key: NFT_CT_LABELS.rawValue))
        case .log(let copy):
            all.append(.log(copy))
        case .verdict(let verdict):
            all.append(.verdict(verdict))
        }
    }

    /// Each field behind the one before, in whole registers.
    private func loads(of fields: [Field]) throws(KernelError) -> [Expression] {
        guard !fields.isEmpty, fields.allSatisfy(\.isKey), fields.reduce(0, { $0 + $1.words }) <= Register.count else {
            throw KernelError(
                errno: 95, doing: "encode a look-up", object: "\(self)",
                explanation: "these fields are no key of a set, or more than \(4 * Register.count) bytes")
        }
        var word = 0
        return fields.map { field in
            defer { word += field.words }
            return field.load.loading(into: Register(word: word))
        }
    }
}

extension Field {
    fileprivate func append(_ comparison: Comparison, to all: inout [Expression]) throws(KernelError) {
        switch comparison {
        case .equals(let value):
            all.append(load)
            all.append(.compare(.equal, bytes(of: try checked(value, in: comparison))))
        case .isNot(let value):
            all.append(load)
            all.append(.compare(.notEqual, bytes(of: try checked(value, in: comparison))))
        case .prefix(let value, let length):
            try append(prefix: checked(value, in: comparison), length: length, to: &all)
        case .range(let range):
            guard isOrdered else { throw refusal(of: comparison) }
            let upper = try checked(range.upperBound, in: comparison)
            loadInNetworkOrder(to: &all)
            all.append(.compare(.atLeast, networkOrderBytes(of: range.lowerBound)))
            all.append(.compare(.atMost, networkOrderBytes(of: upper)))
        case .hasAny(let bits):
            guard isBitmask else { throw refusal(of: comparison) }
            let mask = bytes(of: try checked(bits, in: comparison))
            all += [load, .bitwise(mask: mask), .compare(.notEqual, bytes(of: 0))]
        case .hasNone(let bits):
            guard isBitmask else { throw refusal(of: comparison) }
            let mask = bytes(of: try checked(bits, in: comparison))
            all += [load, .bitwise(mask: mask), .compare(.equal, bytes(of: 0))]
        case .isGreater(let value):
            guard isOrdered else { throw refusal(of: comparison) }
            let bytes = networkOrderBytes(of: try checked(value, in: comparison))
            loadInNetworkOrder(to: &all)
            all.append(.compare(.greater, bytes))
        }
    }

    /// A prefix of whole bytes loads only these; a full one keeps its mask, and with it its length.
    private func append(prefix value: UInt128, length: Int, to all: inout [Expression]) throws(KernelError) {
        guard isAddress, (0...8 * width).contains(length) else {
            throw refusal(of: .prefix(value, length: length))
        }
        let mask = (UInt128.max << UInt128(128 - length)) >> UInt128(128 - 8 * width)
        if length % 8 == 0, 1..<width ~= length / 8, let load = load(first: length / 8) {
            let bytes = RegisterBytes((value & mask) >> UInt128(8 * width - length), count: length / 8)
            all += [load, .compare(.equal, bytes)]
        } else {
            all += [load, .bitwise(mask: bytes(of: mask)), .compare(.equal, bytes(of: value & mask))]
        }
    }

    private func loadInNetworkOrder(to all: inout [Expression]) {
        all.append(load)
        if self == .originalPackets { all.append(.toNetworkOrder(length: 8)) }
    }

    private func checked(_ value: UInt128, in comparison: Comparison) throws(KernelError) -> UInt128 {
        guard holds(value) else {
            throw KernelError(
                errno: 34, doing: "encode a match", object: "\(Step.match(self, comparison))",
                explanation: "the value is wider than \(width) bytes")
        }
        return value
    }

    private func refusal(of comparison: Comparison) -> KernelError {
        KernelError(
            errno: 95, doing: "encode a match", object: "\(Step.match(self, comparison))",
            explanation: "this field cannot be compared so")
    }
}

/// Reads steps from the front of a list of expressions.
private struct StepReader {
    private var rest: ArraySlice<Expression>
    /// A match before this has settled ICMPv6 or IPv6.
    private var isICMPv6 = false

    init(_ expressions: [Expression]) { rest = expressions[...] }

    /// As many as can be read.
    mutating func steps() -> [Step] {
        var steps: [Step] = []
        while !rest.isEmpty, let step = next() {
            if step == .match(.protocol, .equals(58)) || step == .match(.family, .equals(10)) { isICMPv6 = true }
            steps.append(step)
        }
        return steps
    }

    private mutating func next() -> Step? {
        guard let first = rest.popFirst() else { return nil }
        switch first {
        case .counter(let name): return .counter(CounterName(name))
        case .timeout(let name): return .setTimeout(TimeoutName(name))
        case .log(let copy): return .log(copy)
        case .verdict(let verdict): return .verdict(verdict)
        case .load where Classification.begins(with: first):
            return Classification(reading: &rest).map { .classify($0) }
        case .load(let bytes, .first):
            guard bytes.count == 16, case .setConntrack = rest.popFirst() else { return nil }
            return .setLabel(Field.connectionLabel.value(of: bytes))
        case .payload, .meta, .conntrack: return use(of: first)
        case .bitwise, .toNetworkOrder, .compare, .lookup, .load, .setConntrack, .foreign: return nil
        }
    }

    private mutating func use(of load: Expression) -> Step? {
        if rest.first?.loadedRegister != nil { return membership(beginningWith: load) }
        var loaded = 0
        guard let field = Field(loadedBy: load, isICMPv6: isICMPv6, length: &loaded) else { return nil }
        var isConverted = false
        if case .toNetworkOrder = rest.first {
            isConverted = true
            rest.removeFirst()
        }
        switch rest.popFirst() {
        case .lookup(let set, .first, .nothing, let isInverted):
            return isInverted
                ? .membership([field], of: SetName(set), isIn: false) : .lookup(field, in: SetName(set))
        case .lookup(let set, .first, .verdict, false): return .dispatch(field, through: SetName(set))
        case .bitwise(let mask):
            return masked(field, by: mask)
        case .compare(.equal, let bytes) where loaded < field.width:
            let value = field.value(of: bytes) << UInt128(8 * (field.width - loaded))
            return .match(field, .prefix(value, length: 8 * loaded))
        case .compare(let relation, let bytes):
            return compared(field, relation, field.value(of: bytes, inNetworkOrder: isConverted), isConverted)
        default:
            return nil
        }
    }

    /// Several loads, one behind the other, and the look-up of what they have loaded.
    private mutating func membership(beginningWith load: Expression) -> Step? {
        var fields: [Field] = []
        var word = 0
        var next: Expression? = load
        while let expression = next, let register = expression.loadedRegister {
            var loaded = 0
            guard register.word == word,
                let field = Field(
                    loadedBy: expression.loading(into: .first), isICMPv6: isICMPv6, length: &loaded),
                loaded == field.width
            else { return nil }
            fields.append(field)
            word += field.words
            next = rest.popFirst()
        }
        guard case .lookup(let set, .first, .nothing, let isInverted)? = next else { return nil }
        return .membership(fields, of: SetName(set), isIn: !isInverted)
    }

    private mutating func compared(
        _ field: Field, _ relation: Expression.Relation, _ value: UInt128, _ isConverted: Bool
    ) -> Step? {
        switch relation {
        case .equal: return .match(field, .equals(value))
        case .notEqual: return .match(field, .isNot(value))
        case .greater: return .match(field, .isGreater(than: value))
        case .atLeast:
            guard case .compare(.atMost, let bytes) = rest.popFirst() else { return nil }
            let upper = field.value(of: bytes, inNetworkOrder: isConverted)
            return value <= upper ? .match(field, .range(value...upper)) : nil
        case .less, .atMost: return nil
        }
    }

    private mutating func masked(_ field: Field, by mask: RegisterBytes) -> Step? {
        guard case .compare(let relation, let bytes) = rest.popFirst() else { return nil }
        if field.isBitmask {
            let bits = field.value(of: mask)
            return relation == .notEqual
                ? .match(field, .hasAny(bits)) : relation == .equal ? .match(field, .hasNone(bits)) : nil
        }
        guard field.isAddress, relation == .equal else { return nil }
        let ones = field.value(of: mask).nonzeroBitCount
        return .match(field, .prefix(field.value(of: bytes), length: ones))
    }
}
