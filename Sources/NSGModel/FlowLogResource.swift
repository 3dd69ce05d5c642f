/// A flow log resource: whether and how the flows of its target are recorded (F3).
package struct FlowLogResource: Hashable, Sendable {
    package let id: ResourceID
    package var name: String { id.name }
    /// A security group, a virtual network, a subnet or a network interface.
    package var target: ResourceID
    package var isEnabled: Bool
    /// Days that files are kept; nil keeps them for good.
    package var retentionDays: Int?
    /// `format.version`, 1 or 2, which Azure applies to logs of security groups; nil takes the default of the settings.
    package var version: Int?
    /// Minutes of an interval of traffic analytics, `trafficAnalyticsInterval`: 10 or 60. Nil takes that of the
    /// settings; also where Azure's own analytics are off.
    package var analyticsInterval: Int?

    package init(
        id: ResourceID, target: ResourceID, isEnabled: Bool = true, retentionDays: Int? = nil, version: Int? = nil,
        analyticsInterval: Int? = nil
    ) {
        self.id = id
        self.target = target
        self.isEnabled = isEnabled
        self.retentionDays = retentionDays
        self.version = version
        self.analyticsInterval = analyticsInterval
    }
}
