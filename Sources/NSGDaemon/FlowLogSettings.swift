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
        var versions: [ResourceID: NSGFlowLogVersion?] = [:]
        for resource in estate.flowLogs.values where estate.networkSecurityGroups[resource.target] != nil {
            let version = resource.version.flatMap(NSGFlowLogVersion.init(rawValue:)) ?? fallback
            versions[resource.target] = .some(resource.isEnabled ? version : nil)
        }
        return NSGFlowLogSettings(
            systemID: systemID, interval: interval, defaultVersion: flowLogs.isEnabled ? fallback : nil, versions: versions)
    }

    var vnetFlowLogSettings: VNetFlowLogSettings {
        var targets: [ResourceID: VNetFlowLogTarget?] = [:]
        for resource in estate.flowLogs.values where estate.virtualNetworks[resource.target] != nil {
            let target = VNetFlowLogTarget(
                flowLog: resource.id, flowLogGUID: UUID(named: resource.id.description.lowercased()),
                target: resource.target)
            targets[resource.target] = .some(resource.isEnabled ? target : nil)
        }
        return VNetFlowLogSettings(interval: interval, logsByDefault: flowLogs.isEnabled, targets: targets)
    }
}

extension RetentionLimits {
    init(_ settings: Settings.FlowLogs) {
        self.init(
            days: settings.retentionDays.map { UInt64(max($0, 0)) }, bytes: settings.retentionBytes.map { UInt64(max($0, 0)) })
    }
}
