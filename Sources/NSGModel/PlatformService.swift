package import NetworkTypes

/// What Azure's platform offers to every machine and lets pass before any rule is asked (S9; FACTS c, platform
/// traffic). Outbound only: what the platform opens by itself, health probes, is filtered like any traffic.
package enum PlatformService: String, Hashable, Sendable, CaseIterable {
    case dhcp, dns, wireServer, imds, kms

    /// A way in which the service is asked.
    package struct Endpoint: Hashable, Sendable {
        package var `protocol`: IPProtocol
        package var port: UInt16
        /// Nil for any.
        package var sourcePort: UInt16?

        package init(protocol: IPProtocol, port: UInt16, sourcePort: UInt16? = nil) {
            self.protocol = `protocol`
            self.port = port
            self.sourcePort = sourcePort
        }
    }

    package var endpoints: [Endpoint] {
        switch self {
        case .dhcp: [Endpoint(protocol: .udp, port: 67, sourcePort: 68)]
        case .dns: [Endpoint(protocol: .udp, port: 53), Endpoint(protocol: .tcp, port: 53)]
        case .wireServer: [80, 443, 32526].map { Endpoint(protocol: .tcp, port: $0) }
        case .imds: [Endpoint(protocol: .tcp, port: 80)]
        case .kms: [Endpoint(protocol: .tcp, port: 1688)]
        }
    }

    package func addresses(_ platform: PlatformAddresses) -> [IPPrefix] {
        switch self {
        case .dhcp, .wireServer: platform.wireServer
        case .dns: platform.dns
        case .imds: platform.imds
        case .kms: platform.kms
        }
    }

    /// The tag by which a Deny rule takes the exemption away.
    package var tag: ServiceTag? {
        switch self {
        case .dhcp, .wireServer: nil
        case .dns: .azurePlatformDNS
        case .imds: .azurePlatformIMDS
        case .kms: .azurePlatformLKM
        }
    }
}

/// What the platform does by itself, as rules, so that flows and logs can name it. Virtual network flow logs call them
/// all `PlatformRule`, with an `aclID` of zeros.
package enum PlatformRules {
    /// No document has it.
    package static let owner = ResourceID("")
    /// S9.
    package static let allow = rule(.allow)
    /// S14: TCP port 25 to the Internet.
    package static let blockSMTP = rule(.deny)
    package static let all = [allow, blockSMTP]

    private static func rule(_ access: Access) -> SecurityRule {
        SecurityRule(
            id: owner, owner: owner, name: "PlatformRule", protocol: .any, source: .any, sourcePorts: [.any],
            destination: .any, destinationPorts: [.any], access: access, priority: Priority(0), direction: .outbound,
            kind: .platform)
    }
}
