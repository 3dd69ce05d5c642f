/// The name of a chain. nft reads letters, digits and `/ - _ .` after a letter; the kernel takes 255 bytes
/// (`NFT_NAME_MAXLEN`).
package struct ChainName: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ text: String) { description = text }
    package static func < (left: Self, right: Self) -> Bool { left.description < right.description }

    /// Chains with this beginning hold one rule, a jump or a verdict; a swap replaces it (E1).
    package static let trampolinePrefix = "to/"
    package var isTrampoline: Bool { description.hasPrefix(Self.trampolinePrefix) }
}

package struct SetName: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ text: String) { description = text }
    package static func < (left: Self, right: Self) -> Bool { left.description < right.description }
}

/// The name of a `ct timeout` object.
package struct TimeoutName: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ text: String) { description = text }
    package static func < (left: Self, right: Self) -> Bool { left.description < right.description }
}

package struct CounterName: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ text: String) { description = text }
    package static func < (left: Self, right: Self) -> Bool { left.description < right.description }
}
