import JSONText
import NSGModel
import NetworkTypes

struct NetworkSecurityGroupDraft: ResourceDraft {
    var id: ResourceID
    var place: Place
    /// In lower case; limits hold per region.
    var location: String
    var guid: UUID
    var flushConnection: Bool
    /// Empty where they are `settled`.
    var rules: [SecurityRuleDraft]
    /// What an earlier load made of the same text.
    var settled: SettledRules?

    /// Default rules in documents are passed over: they are the same in every group. So are back references, which can
    /// dangle (FACTS a2).
    init?(_ element: Element, _ settings: Settings, _ texts: RuleTexts) {
        guard let fields = Fields(element, .networkSecurityGroup),
            let id = fields.identity(.networkSecurityGroup, settings.defaults)
        else { return nil }
        self.id = id
        place = element.place
        location = (fields.remark("location") ?? settings.defaults.location).lowercased()
        guid = fields.guid(of: id)
        flushConnection = fields.boolean("flushConnection") ?? false
        rules = fields.elements("securityRules").compactMap { texts.rule($0, of: id, limits: settings.limits) }
    }
}

extension Schema {
    fileprivate static let networkSecurityGroup = Schema(
        "a network security group", reads: ["name", "securityRules", "flushConnection", "resourceGuid"],
        passesOver: ["defaultSecurityRules", "subnets", "networkInterfaces", "flowLogs"], unknown: .refusedWhenNear,
        isResource: true)
}

extension Fields {
    /// `resourceGuid`, or the name-based UUID of the id (C2).
    func guid(of id: ResourceID) -> UUID {
        let named = UUID(named: id.description.lowercased())
        guard let element = self["resourceGuid"], let text = element.text() else { return named }
        guard let guid = UUID(text) else {
            element.report(
                .unknownValue, "\(shown(text)) is not a UUID",
                remedy: "write 8-4-4-4-12 hexadecimal digits, or leave it out")
            return named
        }
        return guid
    }
}

// What Azure demands of a group's rules together (FACTS a3, a4).
extension NetworkSecurityGroupDraft {
    func check(_ limits: Limits, _ diagnostics: Diagnostics) {
        checkCount(limits, diagnostics)
        checkNames(diagnostics)
        checkPriorities(diagnostics)
        checkAddressesAndPorts(limits, diagnostics)
    }

    private func checkCount(_ limits: Limits, _ diagnostics: Diagnostics) {
        guard rules.count > limits.securityRulesPerGroup else { return }
        diagnostics.report(
            .securityRuleCountLimitReached, at: place,
            "A security group cannot have more than \(limits.securityRulesPerGroup) security rules.",
            remedy: "this one has \(rules.count): join rules, or raise limits.securityRulesPerGroup in nsgd.json")
    }

    private func checkNames(_ diagnostics: Diagnostics) {
        let defaults = Dictionary(
            NetworkSecurityGroup.defaultRules(of: id).map { ($0.name.lowercased(), $0.name) }
        ) { first, _ in first }
        var seen: [String: Int] = [:]
        seen.reserveCapacity(rules.count)
        for (index, rule) in rules.enumerated() where !rule.name.isEmpty {
            let folded = rule.name.lowercased()
            if let taken = defaults[folded] {
                diagnostics.report(
                    .securityRuleConflict, at: rule.place,
                    "Security rule \(shown(rule.name)) conflicts with the default rule \(taken).",
                    remedy: "rename the rule")
            }
            if let other = seen.updateValue(index, forKey: folded).map({ rules[$0].place }) {
                diagnostics.report(
                    .duplicateResourceName, at: rule.place,
                    "Resource \(shown(id.description)) has two child resources with the same name (\(shown(rule.name))).",
                    remedy: "rename one of them; the other stands at \(other.file):\(other.line)")
            }
        }
    }

    private func checkPriorities(_ diagnostics: Diagnostics) {
        struct Slot: Hashable {
            var direction: Direction
            var priority: Priority
        }
        var taken: [Slot: Int] = [:]
        for (index, rule) in rules.enumerated() {
            guard let direction = rule.direction, let priority = rule.priority else { continue }
            let slot = Slot(direction: direction, priority: priority)
            guard let other = taken[slot].map({ rules[$0] }) else {
                taken[slot] = index
                continue
            }
            diagnostics.report(
                .securityRuleConflict, at: rule.priorityPlace,
                """
                Security rule \(shown(rule.name)) conflicts with rule \(shown(other.name)). Rules cannot have the same Priority \
                and Direction. To learn more, see aka.ms/nsgrules.
                """,
                remedy:
                    "\(priority) \(direction.rawValue) is taken at \(other.place.file):\(other.place.line); choose another priority"
            )
        }
    }

    /// Each parameter is counted over all rules. Tags and `*` are no addresses, and `*` is no range.
    private func checkAddressesAndPorts(_ limits: Limits, _ diagnostics: Diagnostics) {
        let counts: [(parameter: String, count: Int)] = [
            ("SourceAddressPrefixes", rules.reduce(0) { $0 + $1.source.prefixes.count }),
            ("DestinationAddressPrefixes", rules.reduce(0) { $0 + $1.destination.prefixes.count }),
            ("SourcePortRanges", rules.reduce(0) { $0 + $1.source.ports.count { !$0.isAny } }),
            ("DestinationPortRanges", rules.reduce(0) { $0 + $1.destination.ports.count { !$0.isAny } }),
        ]
        let limit = limits.addressesOrPortsPerGroup
        for (parameter, count) in counts where count > limit {
            diagnostics.report(
                .addressesOrPortsLimitReached, at: place,
                """
                Network security group \(shown(id.description)) has \(count) \(parameter). A security group cannot have more than \
                \(limit) \(parameter) as per the limit MaxSecurityRuleAddressesOrPortsPerSecurityGroup.
                """, remedy: "join prefixes or ranges, use tags, or raise limits.addressesOrPortsPerGroup in nsgd.json")
        }
    }
}
