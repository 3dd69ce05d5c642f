/// An element of a set or map. A table has hundreds of thousands of them: 32 bytes, and mostly no allocation.
package struct SetElement: Hashable, Sendable {
    private let content: Content

    /// What there is beside the key.
    package enum Value: Hashable, Sendable {
        case none
        case verdict(Verdict)
        case number(UInt32)
        /// Milliseconds.
        case timeout(UInt64)
    }

    /// The first that takes an element, so that equal ones have the same.
    private enum Content: Hashable, Sendable {
        /// Keys of up to 96 bits.
        case number(UInt32, from: ShortKey, through: ShortKey)
        case none(from: ShortKey, through: ShortKey)
        /// Keys of up to 32 bits.
        case verdict(Verdict, from: UInt32, through: UInt32)
        case other(Long)
    }

    /// 96 bits.
    private struct ShortKey: Hashable, Sendable {
        private let high: UInt32
        private let middle: UInt32
        private let low: UInt32

        init?(_ key: UInt128) {
            guard key >> 96 == 0 else { return nil }
            high = UInt32(truncatingIfNeeded: key >> 64)
            middle = UInt32(truncatingIfNeeded: key >> 32)
            low = UInt32(truncatingIfNeeded: key)
        }

        var key: UInt128 { UInt128(high) << 64 | UInt128(middle) << 32 | UInt128(low) }
    }

    private final class Long: Hashable, Sendable {
        let key: SetKey
        let value: Value

        init(_ key: SetKey, _ value: Value) {
            self.key = key
            self.value = value
        }

        static func == (left: Long, right: Long) -> Bool {
            left === right || left.key == right.key && left.value == right.value
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(key)
            hasher.combine(value)
        }
    }

    package init(_ key: SetKey, _ value: Value) {
        content = Self.short(key, value) ?? .other(Long(key, value))
    }

    private static func short(_ key: SetKey, _ value: Value) -> Content? {
        guard case .values(let range) = key, let first = ShortKey(range.lowerBound),
            let last = ShortKey(range.upperBound)
        else { return nil }
        switch value {
        case .none: return .none(from: first, through: last)
        case .number(let number): return .number(number, from: first, through: last)
        case .verdict(let verdict):
            guard let first = UInt32(exactly: range.lowerBound), let last = UInt32(exactly: range.upperBound) else {
                return nil
            }
            return .verdict(verdict, from: first, through: last)
        case .timeout: return nil
        }
    }

    /// Maps to verdicts have no elements that expire.
    package init(_ key: SetKey, verdict: Verdict? = nil, timeout: UInt64? = nil) {
        precondition(verdict == nil || timeout == nil, "a verdict that expires")
        self.init(key, verdict.map { .verdict($0) } ?? timeout.map { .timeout($0) } ?? .none)
    }

    package init(_ key: SetKey, number: UInt32) { self.init(key, .number(number)) }

    package var key: SetKey {
        switch content {
        case .number(_, let first, let last), .none(let first, let last): .values(first.key...last.key)
        case .verdict(_, let first, let last): .values(UInt128(first)...UInt128(last))
        case .other(let long): long.key
        }
    }

    package var value: Value {
        switch content {
        case .number(let number, _, _): .number(number)
        case .none: .none
        case .verdict(let verdict, _, _): .verdict(verdict)
        case .other(let long): long.value
        }
    }

    /// What a map of verdicts does; nil elsewhere.
    package var verdict: Verdict? { if case .verdict(let verdict) = value { verdict } else { nil } }

    /// What a map of numbers gives; nil elsewhere.
    package var number: UInt32? { if case .number(let number) = value { number } else { nil } }

    /// In a set whose elements expire (`NamedSet.expires`): after this many milliseconds.
    package var timeout: UInt64? { if case .timeout(let timeout) = value { timeout } else { nil } }

    /// Whether its key comes before that of another (`SetKey.<`).
    package func comesBefore(_ other: SetElement) -> Bool {
        switch (content, other.content) {
        case (.number(_, let first, let last), .number(_, let otherFirst, let otherLast)):
            (first.key, last.key) < (otherFirst.key, otherLast.key)
        default: key < other.key
        }
    }
}

extension SetElement: CustomStringConvertible {
    package var description: String { "\(key): \(value)" }
}
