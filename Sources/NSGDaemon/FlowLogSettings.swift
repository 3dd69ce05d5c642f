import FlowLog
import NSGConfig
import NSGEngine
import NSGModel
import NetworkTypes

// What the settings and the `flowLogs` resources say, in the terms of the logs (F3, F6).

extension Policy {
    private var flowLogs: Settings.FlowLogs { configuration.settings.flowLogs }
    private var interval: UInt64 { UInt64(max(flowLogs.interval.components.seconds, 1)) }

    func nsgFlowLogSettings(systemID: UUID) -> NSGFlowLogSettings {
        let fallback = NSGFlowLogVersion(rawValue: flowLogs.nsgVersion) ?? .two
        var resources: [ResourceID: FlowLogging<NSGFlowLogVersion>] = [:]
        for resource in estate.flowLogs.values where estate.networkSecurityGroups[resource.target] != nil {
            let version = resource.version.flatMap(NSGFlowLogVersion.init(rawValue:)) ?? fallback
            resources[resource.target] = resource.isEnabled ? .enabled(version) : .disabled
        }
        return NSGFlowLogSettings(
            systemID: systemID, interval: interval, byDefault: flowLogs.isEnabled ? .enabled(fallback) : .disabled,
            resources: resources)
    }

    var vnetFlowLogSettings: VNetFlowLogSettings {
        var resources: [ResourceID: FlowLogging<VNetFlowLogTarget>] = [:]
        for resource in estate.flowLogs.values where estate.virtualNetworks[resource.target] != nil {
            let target = VNetFlowLogTarget(
                flowLog: resource.id, flowLogGUID: UUID(named: resource.id.description.lowercased()),
                target: resource.target)
            resources[resource.target] = resource.isEnabled ? .enabled(target) : .disabled
        }
        return VNetFlowLogSettings(interval: interval, logsByDefault: flowLogs.isEnabled, resources: resources)
    }
}

extension Policy {
    /// Of the logs that `flowLogs` resources set days for: how the paths of their files begin.
    var ownRetention: [String: RetentionLimits] {
        var limits: [String: RetentionLimits] = [:]
        for resource in estate.flowLogs.values {
            guard let days = resource.retentionDays, days > 0 else { continue }
            let own = RetentionLimits(days: UInt64(days))
            if estate.networkSecurityGroups[resource.target] != nil {
                limits[NSGFlowLogAggregator.folder(of: resource.target)] = own
            } else if estate.virtualNetworks[resource.target] != nil {
                limits[VNetFlowLogAggregator.folder(of: resource.id)] = own
            }
        }
        return limits
    }
}

extension RetentionLimits {
    init(_ settings: Settings.FlowLogs) {
        self.init(
            days: settings.retentionDays.map { UInt64(max($0, 0)) },
            bytes: settings.retentionBytes.map { UInt64(max($0, 0)) })
    }
}
