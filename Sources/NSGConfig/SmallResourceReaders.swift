import JSONText
import NSGModel

struct ApplicationSecurityGroupDraft: ResourceDraft {
    var id: ResourceID
    var place: Place
    /// In lower case; limits hold per region.
    var location: String

    /// Members are named by network interfaces, so there is nothing else to read.
    init?(_ element: Element, _ defaults: Settings.Defaults) {
        guard let fields = Fields(element, .applicationSecurityGroup),
            let id = fields.identity(.applicationSecurityGroup, defaults)
        else { return nil }
        self.id = id
        place = element.place
        location = (fields.remark("location") ?? defaults.location).lowercased()
    }
}

struct FlowLogDraft: ResourceDraft {
    var id: ResourceID
    var place: Place
    var target: Reference
    var isEnabled: Bool
    var retentionDays: Int?
    var version: Int?
    var analyticsInterval: Int?

    init?(_ element: Element, _ defaults: Settings.Defaults) {
        guard let fields = Fields(element, .flowLog), let id = fields.identity(.flowLog, defaults) else { return nil }
        self.id = id
        place = element.place
        isEnabled = fields.boolean("enabled") ?? true
        if let policy = fields["retentionPolicy"].flatMap({ Fields($0, .retentionPolicy) }),
            policy.boolean("enabled") ?? true
        {
            // 0 days keeps files for good.
            retentionDays = policy.integer("days", in: 0...3_650).flatMap { $0 == 0 ? nil : $0 }
        }
        version = fields["format"].flatMap { Fields($0, .format) }?.integer("version", in: 1...2)
        analyticsInterval = Self.analyticsInterval(fields)
        guard let target = fields.required("targetResourceId")?.reference() else { return nil }
        self.target = target
    }

    /// Nil where they are off, since that is about a workspace in Azure; ours cost nothing.
    private static func analyticsInterval(_ fields: Fields) -> Int? {
        guard let outer = fields["flowAnalyticsConfiguration"].flatMap({ Fields($0, .analyticsOfWatchers) }),
            let inner = outer["networkWatcherFlowAnalyticsConfiguration"].flatMap({ Fields($0, .analytics) }),
            let interval = inner.integer("trafficAnalyticsInterval", in: 10...60)
        else { return nil }
        guard interval == 10 || interval == 60 else {
            inner["trafficAnalyticsInterval"]?.report(
                .unknownValue, "\(interval) is no interval of traffic analytics", remedy: "write 10 or 60, in minutes")
            return nil
        }
        return inner.boolean("enabled") ?? true ? interval : nil
    }
}

extension Schema {
    fileprivate static let applicationSecurityGroup = Schema(
        "an application security group", reads: ["name"], unknown: .refusedWhenNear, isResource: true)
    fileprivate static let flowLog = Schema(
        "a flow log",
        reads: ["name", "targetResourceId", "enabled", "retentionPolicy", "format", "flowAnalyticsConfiguration"],
        passesOver: ["storageId", "targetResourceGuid", "enabledFilteringCriteria", "recordTypes"],
        unknown: .refusedWhenNear, isResource: true)
    fileprivate static let analyticsOfWatchers = Schema(
        "a configuration of flow analytics", reads: ["networkWatcherFlowAnalyticsConfiguration"],
        unknown: .refusedWhenNear, isResource: false)
    fileprivate static let analytics = Schema(
        "a configuration of traffic analytics", reads: ["enabled", "trafficAnalyticsInterval"],
        passesOver: ["workspaceId", "workspaceRegion", "workspaceResourceId"], unknown: .refusedWhenNear,
        isResource: false)
    fileprivate static let retentionPolicy = Schema(
        "a retention policy", reads: ["days", "enabled"], unknown: .refusedWhenNear, isResource: false)
    fileprivate static let format = Schema(
        "a format", reads: ["version"], passesOver: ["type"], unknown: .refusedWhenNear, isResource: false)
}
