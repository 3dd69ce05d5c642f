package import NSGModel
import NetworkTypes
package import Nftables

/// Every name in the table comes from here. Azure's names keep their spelling; `/` separates, which they cannot
/// contain.
package struct ChainNames: Sendable {
    /// Short names that are unique among the estate's resources of a kind.
    private let groups: [ResourceID: String]
    private let networks: [ResourceID: String]
    private let interfaces: [ResourceID: String]
    private let applicationGroups: [ResourceID: String]
    private let networkGroups: [ResourceID: String]
    /// Collections of admin rules, and their managers.
    private let collections: [ResourceID: String]
    private let networksOfGroup: [ResourceID: Set<ResourceID>]
    private let estate: Estate

    package init(_ book: PolicyBook) {
        estate = book.estate
        groups = Self.uniqueNames(estate.networkSecurityGroups.keys)
        networks = Self.uniqueNames(estate.virtualNetworks.keys)
        interfaces = Self.uniqueNames(estate.networkInterfaces.keys)
        applicationGroups = Self.uniqueNames(estate.applicationSecurityGroups.keys)
        let managers = estate.networkManagers.values
        collections = Self.uniqueNames(managers.flatMap(\.configurations).flatMap(\.collections).map(\.id))
            .merging(Self.uniqueNames(managers.map(\.id))) { name, _ in name }
        networkGroups = Self.uniqueNames(managers.flatMap(\.networkGroups).map(\.id))
        var used: [ResourceID: Set<ResourceID>] = [:]
        for list in book.boundLists { used[list.key.owner, default: []].insert(list.key.virtualNetwork) }
        networksOfGroup = used
    }

    /// The name alone where it is the only one, else with the first digits of the id's hash; so too where the name
    /// itself ends as if with such digits, or one resource could take the name of another.
    private static func uniqueNames(_ ids: some Sequence<ResourceID>) -> [ResourceID: String] {
        let byName = Dictionary(grouping: ids) { $0.name.lowercased() }
        return Dictionary(
            uniqueKeysWithValues: byName.values.flatMap { same in
                same.map { id in
                    same.count == 1 && !endsInDigits(id.name)
                        ? (id, id.name) : (id, "\(id.name).\(digits(of: id.description.lowercased(), hashLength))")
                }
            })
    }

    private static let hashLength = 10

    private static func endsInDigits(_ name: String) -> Bool {
        guard let dot = name.lastIndex(of: ".") else { return false }
        let end = name[name.index(after: dot)...].lowercased()
        return end.utf8.count == hashLength && end.allSatisfy(\.isHexDigit)
    }

    /// The beginning of the hash of a text, in hexadecimal.
    static func digits(of text: String, _ count: Int) -> String {
        String(SHA1.digest(of: Array(text.utf8)).map { hexadecimal($0) }.joined().prefix(count))
    }

    /// Whether what earlier names named, as far as it is still there, has the same names; but for interfaces, which
    /// lists do not refer to.
    func keepsNames(of earlier: ChainNames) -> Bool {
        let pairs = [
            (groups, earlier.groups), (networks, earlier.networks), (applicationGroups, earlier.applicationGroups),
            (networkGroups, earlier.networkGroups), (collections, earlier.collections),
        ]
        return networksOfGroup == earlier.networksOfGroup
            && estate.serviceTagNames == earlier.estate.serviceTagNames
            && pairs.allSatisfy { now, then in then.allSatisfy { id, name in now[id].map { $0 == name } ?? true } }
    }

    /// Of an owner of rules, such as a security group: its name, where that is not another's too. The platform has
    /// none.
    package func shortName(ofOwner id: ResourceID) -> String { groups[id] ?? collections[id] ?? id.name }
    package func shortName(ofInterface id: ResourceID) -> String { interfaces[id] ?? id.name }

    // MARK: Policy lists

    func group(_ id: ResourceID) -> String { groups[id] ?? id.name }

    /// `nsg/web/subnet/inbound`, with what else tells two uses of a group apart.
    func list(_ use: ListUse) -> String {
        if use.list.level == .admin {
            let network = networks[use.list.virtualNetwork] ?? ""
            return Self.bounded("admin/\(network)/\(word(use.list.direction))\(use.suffix)")
        }
        var parts = ["nsg", group(use.list.owner), use.list.level.rawValue, word(use.list.direction)]
        if (networksOfGroup[use.list.owner]?.count ?? 0) > 1 {
            parts.append("vnet.\(networks[use.list.virtualNetwork] ?? "")")
        }
        parts += use.list.memberships.map { "asg.\(applicationGroups[$0] ?? $0.name)" }
        return Self.bounded(parts.joined(separator: "/") + use.suffix)
    }

    /// The chain in which a rule of a list acts: `nsg/web/subnet/inbound/rule/AllowHttp`.
    func action(ofList list: String, _ rule: SecurityRule) -> String {
        Self.bounded("\(list)/rule/\(rule.name.isEmpty ? "-" : rule.name)")
    }

    /// The counter of a rule: `nsg/web/inbound/AllowHttp`. It outlives the rule's versions and serves every use of the
    /// group.
    package func counterName(of rule: NumberedRule) -> CounterName {
        let name = rule.kind == .platform ? rule.access == .deny ? "smtp" : "allowed" : rule.name
        return counterName(ofRule: name, owner: rule.owner, kind: rule.kind, rule.direction)
    }

    /// - Parameter name: of the platform's rules `smtp` and `allowed`.
    package func counterName(
        ofRule name: String, owner: ResourceID, kind: RuleKind, _ direction: Direction
    ) -> CounterName {
        switch kind {
        case .custom, .default: CounterName("nsg/\(group(owner))/\(word(direction))/\(name)")
        case .admin:
            CounterName(
                "admin/\(collections[owner] ?? owner.name)/\(word(direction))/\(name.isEmpty ? "-" : name)")
        case .platform: CounterName("platform/\(name)")
        }
    }

    /// Whether a counter is one of `counterName(of:)`.
    package static func isOfRule(_ counter: CounterName) -> Bool {
        ["nsg/", "admin/", "platform/"].contains { counter.description.hasPrefix($0) }
    }

    // MARK: Interfaces

    func interface(_ id: ResourceID) -> String { "nic/\(interfaces[id] ?? id.name)" }
    func interface(_ id: ResourceID, _ direction: Direction, isAgain: Bool) -> String {
        "\(interface(id))/\(word(direction))\(isAgain ? "/again" : "")"
    }
    package func invalidCounter(_ id: ResourceID) -> CounterName { CounterName("\(interface(id))/invalid") }
    /// Packets with an address that is not the guest's (S13), by the direction in which they went.
    package func foreignCounter(_ id: ResourceID, _ direction: Direction) -> CounterName {
        CounterName("\(interface(id))/foreign/\(word(direction))")
    }
    func guardChain(_ id: ResourceID, _ direction: Direction) -> String {
        "\(interface(id))/foreign/\(word(direction))"
    }

    private func word(_ direction: Direction) -> String { direction.rawValue.lowercased() }

    // MARK: Sets

    /// What the name of an address set begins with, from the way the rule names its addresses.
    func addresses(_ scope: AddressScope, in network: ResourceID) -> String {
        switch scope {
        case .any, .prefixes: "prefixes"
        case .serviceTag(let tag) where tag == .virtualNetwork:
            Self.bounded("tag/\(estate.canonicalName(of: tag))/\(networks[network] ?? "")")
        case .serviceTag(let tag): Self.bounded("tag/\(Self.plain(estate.canonicalName(of: tag)))")
        case .applicationSecurityGroups(let ids):
            Self.bounded("asg/" + ids.map { applicationGroups[$0] ?? $0.name }.joined(separator: "/"))
        case .networkGroup(let id): Self.bounded("networks/\(networkGroups[id] ?? id.name)")
        case .either: "prefixes"
        }
    }

    /// A setting may name a tag as it likes; nft reads letters, digits and `_ . -` here.
    private static func plain(_ text: String) -> String {
        let kept = text.map { $0.isASCII && ($0.isLetter || $0.isNumber || "_.-".contains($0)) ? $0 : "_" }
        return String(kept) == text ? text : "\(String(kept)).\(digits(of: text, hashLength))"
    }

    /// The kernel takes 255 bytes; a longer name keeps its beginning and gains a hash. 100 are left for what is
    /// appended.
    private static func bounded(_ name: String) -> String {
        name.utf8.count <= 155 ? name : "\(name.prefix(140)).\(digits(of: name, 10))"
    }
}

/// A list in a place: what one chain of rules is made for.
struct ListUse: Hashable {
    var list: PolicyList.Key
    var attachment: Attachment
    /// False on a further pass of one connection, whose label belongs to the first (KERNEL 4).
    var writesLabel: Bool

    var suffix: String { (attachment == .host ? "/host" : "") + (writesLabel ? "" : "/again") }
    var slot: LabelSlot { LabelSlot(side: DeviceSide(list.direction, attachment), level: list.level) }
}

/// Names that do not depend on the policy.
package enum FixedNames {
    package static let table = "nsgd"
    package static let allowedCounter = CounterName("decisions/allowed")
    package static let allowedAgainCounter = CounterName("decisions/allowed-again")
    package static let multicastCounter = CounterName("dropped/forwarded-multicast")
    /// Router advertisements of guests.
    package static let routersCounter = CounterName("dropped/router-advertisements")
    static let portProtocols = SetName("protocols/with-ports")
    static let features = ChainName("features")
    /// What base chains accept in chains of its own: errors about known flows, neighbour discovery.
    static let errors = ChainName("errors")
    static let neighbours = ChainName("neighbours")
    /// Where the security groups of the interface on a side are asked, behind the admin rules.
    static func groups(_ side: DeviceSide, isAgain: Bool) -> String { "groups/\(side)\(isAgain ? "/again" : "")" }
    /// `ct timeout` objects of `flowTimeoutInMinutes`.
    package static func timeout(_ transport: TimeoutObject.Transport, minutes: Int) -> TimeoutName {
        TimeoutName("idle/\(transport)-\(minutes)min")
    }
}
