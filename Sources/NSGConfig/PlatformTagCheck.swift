import NSGModel
import NetworkTypes

extension ServiceTag {
    /// The tags that stand for services of the platform, which skip all rules unless a rule denies them (S9).
    var isPlatform: Bool { [.azurePlatformDNS, .azurePlatformIMDS, .azurePlatformLKM].contains(self) }
}

/// Rules that name one of the platform's own services take its exemption away, and can do nothing else (FACTS a3, d1).
/// That is recorded of rules of security groups; those of network managers are taken to be alike.
struct PlatformTagCheck {
    /// The rule as messages name it.
    var title: String
    var access: Access?
    var direction: Direction?
    var `protocol`: RuleProtocol?
    /// Empty after a report.
    var destinationPorts: [PortRange]
    /// How such a rule says "any protocol", and "any port".
    var words: (protocol: String, ports: String)

    func report(_ tag: ServiceTag, at place: Place, isSource: Bool, to diagnostics: Diagnostics) {
        if let access, access != .deny {
            diagnostics.report(
                .securityRuleInvalidAccessType, at: place,
                "\(title) has access \(access.rawValue), and \(shown(tag.description)) can only be denied.",
                remedy: "set access to Deny, or remove the rule: this traffic passes without one")
        }
        if isSource || direction == .inbound {
            diagnostics.report(
                .securityRuleInvalidPlatformTag, at: place,
                "\(shown(tag.description)) can only be the destination of an outbound rule.",
                remedy: "set direction to Outbound and name the tag as destination")
        }
        if self.protocol != .any, self.protocol != nil {
            diagnostics.report(
                .securityRuleInvalidPlatformTag, at: place,
                "DNS exfiltration tags must be used with \"\(words.protocol)\" as a protocol.",
                remedy: "set protocol to \(words.protocol)")
        }
        if !destinationPorts.isEmpty, destinationPorts != [.any] {
            diagnostics.report(
                .securityRuleInvalidPlatformTag, at: place,
                "\(shown(tag.description)) must be used with \"*\" as a destination port.",
                remedy: "set \(words.ports) to *")
        }
    }
}
