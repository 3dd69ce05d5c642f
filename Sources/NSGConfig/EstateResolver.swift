import JSONText
import NSGModel
import NetworkTypes

/// The second pass: connects what was read, checks what holds between resources, and gives the estate.
struct EstateResolver {
    let policy: PolicyDrafts
    let settings: SettingsDraft
    let tags: ServiceTagFile?
    /// A document that could have defined tags cannot be read.
    let tagsArePartial: Bool
    let bindings: [BindingDraft]
    let diagnostics: Diagnostics

    var limits: Limits { settings.settings.limits }

    /// Of use only if no fault has been reported.
    func estate() -> Estate {
        let networks = virtualNetworks()
        let interfaces = networkInterfaces(networks)
        let members = memberNetworks(of: interfaces)
        checkRegions()
        return Estate(
            networkSecurityGroups: networkSecurityGroups(members),
            virtualNetworks: networks,
            networkInterfaces: interfaces,
            applicationSecurityGroups: Dictionary(
                policy.applicationSecurityGroups.map { ($0.id, ApplicationSecurityGroup(id: $0.id)) },
                uniquingKeysWith: { first, _ in first }),
            serviceTags: settings.settings.serviceTags(over: tags),
            serviceTagNames: settings.settings.serviceTagNames(over: tags),
            platform: settings.settings.platform.addresses,
            blocksOutboundSMTP: settings.settings.platform.blocksOutboundSMTP,
            networkManagers: networkManagers(),
            bindings: resolvedBindings(interfaces),
            flowLogs: flowLogs())
    }

    func resolve(_ reference: Reference, _ index: ResourceIndex) -> ResourceID? {
        index.resolve(reference, isPartial: policy.isPartial, diagnostics)
    }

    /// How many groups a region of a subscription may hold (FACTS a4).
    private func checkRegions() {
        struct Region: Hashable {
            var subscription: String
            var location: String
        }
        func check(
            _ drafts: [(id: ResourceID, place: Place, location: String)], limit: Int, setting: String, noun: String
        ) {
            let regions = Dictionary(grouping: drafts) {
                Region(subscription: $0.id.subscription.lowercased(), location: $0.location)
            }
            for (region, drafts) in regions where drafts.count > limit {
                diagnostics.report(
                    .limitReached, at: drafts[limit].place,
                    "\(drafts.count) \(noun)s in \(shown(region.location)), of at most \(limit)",
                    remedy: "remove some, or raise limits.\(setting) in nsgd.json")
            }
        }
        check(
            policy.networkSecurityGroups.map { ($0.id, $0.place, $0.location) }, limit: limits.networkSecurityGroups,
            setting: "networkSecurityGroups", noun: policy.groups.noun)
        check(
            policy.applicationSecurityGroups.map { ($0.id, $0.place, $0.location) },
            limit: limits.applicationSecurityGroups,
            setting: "applicationSecurityGroups", noun: policy.applicationGroups.noun)
    }

    /// Flow logs of targets that no document holds are passed over: exports list a whole region's.
    private func flowLogs() -> [ResourceID: FlowLogResource] {
        var logs: [ResourceID: FlowLogResource] = [:]
        for draft in policy.flowLogs {
            let indexes = [policy.groups, policy.networks, policy.subnets, policy.interfaces]
            guard let target = indexes.lazy.compactMap({ $0.lookUp(draft.target) }).first else {
                if draft.target.isID {
                    diagnostics.note(at: draft.target.place, "passed over: its target is in no document")
                } else {
                    _ = resolve(draft.target, policy.groups)
                }
                continue
            }
            logs[draft.id] = FlowLogResource(
                id: draft.id, target: target, isEnabled: draft.isEnabled, retentionDays: draft.retentionDays,
                version: draft.version, analyticsInterval: draft.analyticsInterval)
        }
        return logs
    }
}
