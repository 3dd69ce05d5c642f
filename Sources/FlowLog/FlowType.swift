package import NSGModel

/// Where an address lies, seen from a virtual network.
package enum AddressPlace: Hashable, Sendable {
    case network(ResourceID)
    /// Behind a gateway: `onPremisesPrefixes`, or a route that leads there.
    case site
    /// Public, and Microsoft's: the platform's own, or of the service tag `AzureCloud`, where its file is there.
    case azure
    /// Public, and anybody else's.
    case `internet`
    /// RFC 1918 or RFC 4193, of no network or site that the documents know.
    case privateSpace
    /// Link-local, multicast and the like.
    case elsewhere
}

/// `FlowType` of traffic analytics (FACTS i3), told by where the two addresses lie. There is no `P2S`, since documents
/// do not say which addresses VPN clients get, and no `MaliciousFlow`, which takes Microsoft's lists. A customer's own
/// address in Azure counts as Microsoft's: no list tells them apart.
package enum FlowType: String, Hashable, Sendable, CaseIterable {
    case intraVNet = "IntraVNet"
    case interVNet = "InterVNet"
    case siteToSite = "S2S"
    case azurePublic = "AzurePublic"
    case externalPublic = "ExternalPublic"
    case unknownPrivate = "UnknownPrivate"
    case unknown = "Unknown"

    package init(from source: AddressPlace, to destination: AddressPlace) {
        switch (source, destination) {
        case (.network(let one), .network(let other)): self = one == other ? .intraVNet : .interVNet
        case (.network, let outside), (let outside, .network):
            self =
                switch outside {
                case .site: .siteToSite
                case .azure: .azurePublic
                case .internet: .externalPublic
                case .privateSpace: .unknownPrivate
                case .elsewhere, .network: .unknown
                }
        default: self = .unknown
        }
    }
}
