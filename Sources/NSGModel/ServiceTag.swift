package import NetworkTypes

/// The name of a service tag, as written; compared without case, the classic spellings included.
package struct ServiceTag: Hashable, Sendable, CustomStringConvertible {
    package let description: String
    /// In lower case, a classic spelling replaced by today's.
    package let key: String

    package init(_ name: String) {
        description = name
        let folded = name.lowercased()
        key = Self.classic[folded] ?? folded
    }

    package static let virtualNetwork = ServiceTag("VirtualNetwork")
    package static let internet = ServiceTag("Internet")
    package static let azureLoadBalancer = ServiceTag("AzureLoadBalancer")
    package static let azurePlatformDNS = ServiceTag("AzurePlatformDNS")
    package static let azurePlatformIMDS = ServiceTag("AzurePlatformIMDS")
    package static let azurePlatformLKM = ServiceTag("AzurePlatformLKM")

    /// The tags that Azure computes, so that no file holds them.
    package static let computed: [ServiceTag] = [
        virtualNetwork, internet, azureLoadBalancer, azurePlatformDNS, azurePlatformIMDS, azurePlatformLKM,
    ]
    package var isComputed: Bool { Self.computed.contains(self) }

    private static let classic = [
        "virtual_network": "virtualnetwork", "azure_loadbalancer": "azureloadbalancer",
    ]

    package static func == (left: Self, right: Self) -> Bool { left.key == right.key }
    package func hash(into hasher: inout Hasher) { hasher.combine(key) }
}

/// Addresses of Azure's platform, which a lab may replace by its own (`platform` in `nsgd.json`).
package struct PlatformAddresses: Hashable, Sendable {
    package var dns: [IPPrefix]
    package var imds: [IPPrefix]
    package var wireServer: [IPPrefix]
    package var probe: [IPPrefix]
    package var kms: [IPPrefix]

    package init(dns: [IPPrefix], imds: [IPPrefix], wireServer: [IPPrefix], probe: [IPPrefix], kms: [IPPrefix]) {
        self.dns = dns
        self.imds = imds
        self.wireServer = wireServer
        self.probe = probe
        self.kms = kms
    }

    /// Source: Azure documentation, "What is IP address 168.63.129.16"; KMS addresses of 2022.
    package static let azure: PlatformAddresses = {
        let host = ["168.63.129.16"].compactMap { IPPrefix($0) }
        return PlatformAddresses(
            dns: host, imds: ["169.254.169.254"].compactMap { IPPrefix($0) }, wireServer: host, probe: host,
            kms: ["23.102.135.246", "20.118.99.224", "40.83.235.53"].compactMap { IPPrefix($0) })
    }()
}

/// The fixed expansion of `Internet`: IPv4 less the ranges that are private, shared, reserved or multicast, as recorded
/// from effective rules (25.0.0.0/8 is not in it; 168.63.129.16 is); of IPv6 the global unicast range.
package enum InternetPrefixes {
    package static let addresses: AddressSet = {
        let outside = AddressSet(
            [
                "0.0.0.0/8", "10.0.0.0/8", "25.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
                "172.16.0.0/12",
                "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3",
            ].compactMap { IPPrefix($0) })
        return AddressSet(v4: outside.v4.complement, v6: AddressSet(["2000::/3"].compactMap { IPPrefix($0) }).v6)
    }()
}
