import NetworkTypes
import Nftables

/// What chains for one family of addresses are made of.
extension IPFamily {
    /// Before what only packets of the family have: nft shows such a field by its number else.
    var test: Step { .match(.family, .equals(self == .ipv4 ? 2 : 10)) }
    var source: Field { self == .ipv4 ? .ipSource : .ip6Source }
    var destination: Field { self == .ipv4 ? .ipDestination : .ip6Destination }
    var keyType: KeyType { self == .ipv4 ? .ipv4Address : .ipv6Address }
    /// The last part of names.
    var word: String { self == .ipv4 ? "v4" : "v6" }
}
