import JSONText
import NSGModel

extension EstateResolver {
    /// Which virtual machine owns each network interface, as the machines say. Interfaces that no document holds are
    /// somebody else's.
    func virtualMachines() -> [ResourceID: ResourceID] {
        var owners: [ResourceID: ResourceID] = [:]
        for draft in policy.virtualMachines {
            for reference in draft.networkInterfaces {
                if reference.isID, policy.interfaces.lookUp(reference) == nil { continue }
                guard let interface = resolve(reference, policy.interfaces) else { continue }
                guard let other = owners.updateValue(draft.id, forKey: interface), other != draft.id else { continue }
                diagnostics.report(
                    .conflictingProperties, at: reference.place,
                    "network interface \(shown(interface.name)) belongs to \(shown(other.description)) too",
                    remedy: "name it at one virtual machine")
            }
        }
        return owners
    }

    /// By the machine that owns the interface, else by the interface's back reference, which need not lead anywhere.
    func virtualMachine(of draft: NetworkInterfaceDraft, owners: [ResourceID: ResourceID]) -> ResourceID? {
        let written = draft.virtualMachine.flatMap { machine($0, of: draft.id) }
        guard let owner = owners[draft.id] else { return written }
        if let written, written != owner, let place = draft.virtualMachine?.place {
            diagnostics.note(
                at: place,
                "this back reference names another virtual machine than the one that owns the interface, "
                    + "\(shown(owner.description)), which holds")
        }
        return owner
    }

    /// A bare name fits a machine of the documents, else it is one of the interface's own resource group.
    private func machine(_ reference: Reference, of interface: ResourceID) -> ResourceID? {
        if let known = policy.machines.lookUp(reference) { return known }
        if reference.isID { return ResourceID(reference.text) }
        if policy.machines.isAmbiguous(reference) { return resolve(reference, policy.machines) }
        return ResourceID(
            subscription: interface.subscription, resourceGroup: interface.resourceGroup,
            provider: ResourceKind.virtualMachine.provider, type: ResourceKind.virtualMachine.rawValue,
            name: reference.text)
    }
}
