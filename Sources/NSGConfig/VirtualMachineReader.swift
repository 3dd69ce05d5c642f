import JSONText
import NSGModel

/// A virtual machine, as far as it names its network interfaces: it owns that association, and the interface's
/// `virtualMachine` is a back reference.
struct VirtualMachineDraft: ResourceDraft {
    var id: ResourceID
    var place: Place
    var networkInterfaces: [Reference]

    init?(_ element: Element, _ defaults: Settings.Defaults) {
        guard let fields = Fields(element, .virtualMachine), let id = fields.identity(.virtualMachine, defaults) else {
            return nil
        }
        self.id = id
        place = element.place
        let profile = fields["networkProfile"].flatMap { Fields($0, .networkProfile) }
        networkInterfaces = profile?.references("networkInterfaces") ?? []
    }
}

/// A load balancer. Nothing in it decides: rules see the client's address and the backend's (S15).
struct LoadBalancerDraft: ResourceDraft {
    var id: ResourceID
    var place: Place

    init?(_ element: Element, _ defaults: Settings.Defaults) {
        guard let fields = Fields(element, .loadBalancer), let id = fields.identity(.loadBalancer, defaults) else {
            return nil
        }
        self.id = id
        place = element.place
    }
}

extension Schema {
    fileprivate static let virtualMachine = Schema(
        "a virtual machine", reads: ["name", "networkProfile"], unknown: .refusedWhenNear, isResource: true)
    fileprivate static let networkProfile = Schema(
        "a network profile", reads: ["networkInterfaces"],
        passesOver: ["networkApiVersion", "networkInterfaceConfigurations"], unknown: .refusedWhenNear,
        isResource: false)
    fileprivate static let loadBalancer = Schema(
        "a load balancer",
        reads: [
            "name", "frontendIPConfigurations", "backendAddressPools", "loadBalancingRules", "probes",
            "inboundNatRules", "inboundNatPools", "outboundRules",
        ], unknown: .refusedWhenNear, isResource: true)
}
