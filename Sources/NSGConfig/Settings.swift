package import NSGModel
package import NetworkTypes

/// Settings of the daemon (`nsgd.json`, C6). Everything is optional there; these are the defaults.
package struct Settings: Hashable, Sendable {
    package var defaults = Defaults()
    package var limits = Limits()
    /// A lab's own tags, by `ServiceTag.key`; they win over those of Microsoft's file.
    package var serviceTags: [String: [IPPrefix]] = [:]
    /// As they are spelled, by `ServiceTag.key`.
    package var serviceTagNames: [String: String] = [:]
    package var platform = Platform()
    /// Space behind gateways, by the name or id of the virtual network, as written.
    package var onPremisesPrefixes: [String: [IPPrefix]] = [:]
    package var flowLogs = FlowLogs()
    package var analytics = Analytics()
    package var control = Control()
    package var drift = Drift()
    package var metrics = Metrics()

    package init() {}

    /// What the ids of resources that have none are made of (C2).
    package struct Defaults: Hashable, Sendable {
        package var subscriptionID = "00000000-0000-0000-0000-000000000000"
        package var resourceGroup = "lab"
        package var location = "local"
    }

    package struct Platform: Hashable, Sendable {
        package var addresses = PlatformAddresses.azure
        /// S14.
        package var blocksOutboundSMTP = false
    }

    package struct FlowLogs: Hashable, Sendable {
        package var isEnabled = true
        /// 1 or 2.
        package var nsgVersion = 2
        /// 4; nil writes no virtual network flow logs.
        package var vnetVersion: Int? = 4
        /// Whether `flows.jsonl` is written.
        package var writesJSONLines = true
        /// Between two records of a live flow.
        package var interval = Duration.seconds(60)
        /// Nil keeps files for good.
        package var retentionDays: Int?
        /// Of all files together; nil sets no bound.
        package var retentionBytes: Int?
        /// The NFLOG group of decisions: libpcap opens `nflog:GROUP`.
        package var nflogGroup: UInt16 = 5
    }

    package struct Analytics: Hashable, Sendable {
        package var interval = Duration.seconds(600)
        /// Nil keeps rows for good.
        package var retentionDays: Int?
    }

    /// Unix groups of the control socket (K2).
    package struct Control: Hashable, Sendable {
        package var group = "nsgd"
        package var adminGroup = "nsgd-admin"
    }

    package struct Drift: Hashable, Sendable {
        /// Between two comparisons of the kernel's tables with ours.
        package var auditInterval = Duration.seconds(300)
    }

    package struct Metrics: Hashable, Sendable {
        /// Where the textfile collector of node_exporter finds them; nil writes none.
        package var file: String?
        /// Between two versions of the file.
        package var interval = Duration.seconds(15)
    }
}
