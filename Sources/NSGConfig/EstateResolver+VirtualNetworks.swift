import JSONText
import NSGModel
import NetworkTypes

extension EstateResolver {
    func virtualNetworks() -> [ResourceID: VirtualNetwork] {
        var further: [ResourceID: [IPPrefix]] = [:]
        for entry in settings.onPremises {
            if let network = resolve(entry.network, policy.networks) { further[network, default: []] += entry.prefixes }
        }
        let spaces = Dictionary(
            policy.virtualNetworks.map { ($0.id, $0.addressSpace) }, uniquingKeysWith: { first, _ in first })
        let tables = Dictionary(policy.routeTables.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var networks: [ResourceID: VirtualNetwork] = [:]
        for draft in policy.virtualNetworks {
            draft.check(diagnostics)
            let routing = draft.subnets.map { $0.routeTable.flatMap { routeTable($0, tables) } }
            let subnets = zip(draft.subnets, routing).map { subnet, table in
                Subnet(
                    id: subnet.id, prefixes: subnet.prefixes,
                    networkSecurityGroup: subnet.networkSecurityGroup.flatMap { resolve($0, policy.groups) },
                    filtersPrivateEndpoints: subnet.filtersPrivateEndpoints,
                    divertsDefaultRoute: table?.divertsDefaultRoute ?? false, takesAdminRules: subnet.takesAdminRules)
            }
            networks[draft.id] = VirtualNetwork(
                id: draft.id, guid: draft.guid, addressSpace: draft.addressSpace, subnets: subnets,
                peerings: draft.peerings.map { peering($0, spaces) },
                furtherPrefixes: (further[draft.id] ?? []) + tagPrefixes(of: routing.compactMap(\.self)),
                flowTimeoutMinutes: draft.flowTimeoutMinutes,
                hostsIntentPolicyServices: draft.hostsIntentPolicyServices)
        }
        return networks
    }

    /// Exports often leave route tables out: an id that leads nowhere is a note.
    private func routeTable(_ reference: Reference, _ tables: [ResourceID: RouteTableDraft]) -> RouteTableDraft? {
        if let id = policy.tables.lookUp(reference) { return tables[id] }
        if reference.isID {
            diagnostics.note(
                at: reference.place,
                "the route table is in no document, so that its routes add nothing to VirtualNetwork")
        } else {
            _ = resolve(reference, policy.tables)
        }
        return nil
    }

    /// Each prefix once; subnets often share a table.
    private func tagPrefixes(of tables: [RouteTableDraft]) -> [IPPrefix] {
        var taken: Set<ResourceID> = []
        var seen: Set<IPPrefix> = []
        return tables.filter { taken.insert($0.id).inserted }.flatMap(\.tagPrefixes).filter { seen.insert($0).inserted }
    }

    /// A peer may lie in another subscription: then its space has to stand in the document.
    private func peering(_ draft: PeeringDraft, _ spaces: [ResourceID: [IPPrefix]]) -> Peering {
        var remote: ResourceID?
        if let reference = draft.remoteNetwork {
            remote = policy.networks.lookUp(reference)
            if remote == nil, draft.remotePrefixes == nil || !reference.isID {
                remote = resolve(reference, policy.networks)
            }
            if remote == nil, reference.isID { remote = ResourceID(reference.text) }
        }
        return Peering(
            name: draft.name, isOpen: draft.isOpen, remoteNetwork: remote,
            remotePrefixes: draft.remotePrefixes ?? remote.flatMap { spaces[$0] } ?? [])
    }
}
