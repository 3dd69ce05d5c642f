import JSONText
import NSGModel
import NetworkTypes

/// Reads `nsgd.json` (C6). Beside the settings it keeps what is resolved later.
struct SettingsDraft {
    var settings = Settings()
    /// The virtual networks that `onPremisesPrefixes` names.
    var onPremises: [(network: Reference, prefixes: [IPPrefix])] = []

    init() {}

    init(_ document: Element) {
        guard let fields = Fields(document, .settings) else { return }
        fields.section("defaults", .defaults) { readDefaults($0) }
        fields.section("limits", .limits) { readLimits($0) }
        readServiceTags(fields["serviceTags"])
        fields.section("platform", .platform) { readPlatform($0) }
        readOnPremises(fields["onPremisesPrefixes"])
        fields.section("flowLogs", .flowLogSettings) { readFlowLogs($0) }
        fields.section("analytics", .analytics) { section in
            section.duration("interval", unit: .minutes) { settings.analytics.interval = $0 }
            settings.analytics.retentionDays = section.retention("retentionDays", upTo: 3_650)
        }
        fields.section("control", .control) { section in
            if let group = section.word("group") { settings.control.group = group }
            if let group = section.word("adminGroup") { settings.control.adminGroup = group }
        }
        fields.section("drift", .drift) { section in
            section.duration("auditInterval", unit: .seconds) { settings.drift.auditInterval = $0 }
        }
        fields.section("metrics", .metrics) { section in
            settings.metrics.file = section.metricsFile("file")
            section.duration("interval", unit: .seconds) { settings.metrics.interval = $0 }
        }
    }

    private mutating func readDefaults(_ section: Fields) {
        if let subscription = section.word("subscriptionId") { settings.defaults.subscriptionID = subscription }
        if let group = section.word("resourceGroup") { settings.defaults.resourceGroup = group }
        if let location = section.word("location") { settings.defaults.location = location }
    }

    private mutating func readLimits(_ section: Fields) {
        for (name, limit) in Limits.settings {
            if let value = section.integer(name, in: 1...1_000_000_000) { settings.limits[keyPath: limit] = value }
        }
    }

    private mutating func readServiceTags(_ element: Element?) {
        for (name, list) in element?.members() ?? [] {
            let tag = ServiceTag(name)
            if !ServiceTag.isName(name) || tag.isComputed {
                list.report(
                    .unknownValue, "\(shown(name)) cannot be the name of a tag of one's own",
                    remedy: "use letters, digits, '.', '_' and '-', and none of the names that Azure computes")
            }
            // An empty list is a tag that matches nothing (S10).
            settings.serviceTagNames[tag.key] = name
            settings.serviceTags[tag.key] = list.elements()?.compactMap { $0.prefix() } ?? []
        }
    }

    private mutating func readPlatform(_ section: Fields) {
        func read(_ name: String, _ addresses: WritableKeyPath<PlatformAddresses, [IPPrefix]>) {
            if let list = section.list(name) {
                settings.platform.addresses[keyPath: addresses] = list.compactMap { $0.prefix() }
            }
        }
        read("dns", \.dns)
        read("imds", \.imds)
        read("wireServer", \.wireServer)
        read("probe", \.probe)
        read("kms", \.kms)
        settings.platform.blocksOutboundSMTP = section.boolean("blockOutboundSmtp") ?? false
    }

    private mutating func readOnPremises(_ element: Element?) {
        for (name, list) in element?.members() ?? [] {
            let prefixes = list.elements()?.compactMap { $0.prefix() } ?? []
            onPremises.append((Reference(text: name, place: list.place), prefixes))
            settings.onPremisesPrefixes[name] = prefixes
        }
    }

    private mutating func readFlowLogs(_ section: Fields) {
        var flowLogs = Settings.FlowLogs()
        flowLogs.isEnabled = section.boolean("enabled") ?? flowLogs.isEnabled
        flowLogs.nsgVersion = section.integer("nsgVersion", in: 1...2) ?? flowLogs.nsgVersion
        if let version = section["vnetVersion"] {
            if version.value.bool == false || version.value.string?.lowercased() == "off" {
                flowLogs.vnetVersion = nil
            } else if version.value.int != 4 {
                version.report(.unknownValue, "virtual network flow logs have version 4", remedy: "write 4 or \"off\"")
            }
        }
        flowLogs.writesJSONLines = section.boolean("jsonLines") ?? flowLogs.writesJSONLines
        section.duration("interval", unit: .seconds) { flowLogs.interval = $0 }
        flowLogs.retentionDays = section.retention("retentionDays", upTo: 3_650)
        flowLogs.retentionBytes = section.retention("retentionBytes", upTo: .max)
        if let group = section.integer("nflogGroup", in: 1...65_535) { flowLogs.nflogGroup = UInt16(clamping: group) }
        settings.flowLogs = flowLogs
    }
}

extension Schema {
    fileprivate static let settings = own(
        "nsgd.json",
        [
            "defaults", "limits", "serviceTags", "platform", "onPremisesPrefixes", "flowLogs", "analytics", "control",
            "drift", "metrics",
        ])
    fileprivate static let defaults = own("defaults", ["subscriptionId", "resourceGroup", "location"])
    fileprivate static let limits = own("limits", Limits.settings.map(\.name))
    fileprivate static let platform = own(
        "platform", ["dns", "imds", "wireServer", "probe", "kms", "blockOutboundSmtp"])
    fileprivate static let flowLogSettings = own(
        "flowLogs",
        [
            "enabled", "nsgVersion", "vnetVersion", "jsonLines", "interval", "retentionDays", "retentionBytes",
            "nflogGroup",
        ])
    fileprivate static let analytics = own("analytics", ["interval", "retentionDays"])
    fileprivate static let control = own("control", ["group", "adminGroup"])
    fileprivate static let drift = own("drift", ["auditInterval"])
    fileprivate static let metrics = own("metrics", ["file", "interval"])
}

/// What a duration without a unit counts.
private enum DurationUnit {
    case seconds
    case minutes
}

extension Fields {
    fileprivate func section(_ name: String, _ schema: Schema, read: (Fields) -> Void) {
        if let element = self[name], let fields = Fields(element, schema) { read(fields) }
    }

    /// A list that may be empty on purpose; nil when it is absent.
    fileprivate func list(_ name: String) -> [Element]? { self.present(name)?.elements() }

    /// A name that can stand in an id or in /etc/group.
    fileprivate func word(_ name: String) -> String? {
        guard let element = self[name], let text = element.text() else { return nil }
        let isWord = text.utf8.count <= 90 && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }
        guard isWord else {
            element.report(
                .unknownValue, "\(shown(text)) cannot be a name here",
                remedy: "write up to 90 printable characters without '/'")
            return nil
        }
        return text
    }

    /// The path of a file that the textfile collector reads: it passes over others than `*.prom`.
    fileprivate func metricsFile(_ name: String) -> String? {
        guard let element = self[name], let path = element.text() else { return nil }
        let isPath =
            path.hasPrefix("/") && path.hasSuffix(".prom") && path.utf8.count <= 1024
            && path.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
        guard isPath else {
            element.report(
                .unknownValue, "\(shown(path)) cannot be a file of metrics",
                remedy: "write a path from / on that ends in .prom, such as /var/lib/prometheus/node-exporter/nsgd.prom"
            )
            return nil
        }
        return path
    }

    /// A bound on what is kept; 0 sets none, as in Azure's retention policies.
    fileprivate func retention(_ name: String, upTo largest: Int) -> Int? {
        integer(name, in: 0...largest).flatMap { $0 == 0 ? nil : $0 }
    }

    /// `60`, `"60 s"`, `"10 min"`, `"1 h"`; from a second to a day.
    fileprivate func duration(_ name: String, unit: DurationUnit, set: (Duration) -> Void) {
        guard let element = self[name] else { return }
        let units = ["s": 1, "sec": 1, "m": 60, "min": 60, "h": 3_600]
        var seconds: Int?
        if let number = element.value.int {
            seconds = number.multipliedReportingOverflow(by: unit == .minutes ? 60 : 1).partialValue
            if !(1...86_400).contains(number) { seconds = nil }
        } else if let text = element.value.string {
            let digits = text.prefix { $0.isASCII && $0.isNumber }
            let word = text.dropFirst(digits.count).drop { $0 == " " }
            if digits.count <= 5, let number = Int(digits), let factor = units[String(word)] {
                seconds = number * factor
            }
        }
        guard let seconds, (1...86_400).contains(seconds) else {
            element.report(
                .outOfRange, "not a time from one second to one day",
                remedy:
                    "write \(unit == .minutes ? "minutes" : "seconds") as a number, or a text such as \"60 s\" or \"10 min\""
            )
            return
        }
        set(.seconds(seconds))
    }
}
