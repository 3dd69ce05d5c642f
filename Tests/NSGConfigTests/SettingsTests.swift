import JSONText
import NSGConfig
import NSGModel
import NetworkTypes
import Testing

@Suite("C3, C6: bindings and settings")
struct SettingsTests {
    @Test("everything is optional")
    func defaults() throws {
        #expect(try load([], settings: "{}").settings == Settings())
        #expect(try load([]).estate.bindings == [])
    }

    @Test("every setting is read")
    func readsEverything() throws {
        let settings = try load(
            [Documents.estate],
            settings: """
                {defaults: {location: 'westeurope'}, limits: {securityRulesPerGroup: 2000},
                 serviceTags: {CorpNetSaw: ['198.51.100.0/24']},
                 platform: {dns: ['10.1.0.2'], imds: [], blockOutboundSmtp: true},
                 onPremisesPrefixes: {lab: ['172.16.0.0/12']},
                 flowLogs: {enabled: false, nsgVersion: 1, vnetVersion: 'off', jsonLines: false, interval: '30 s', retentionDays: 0,
                   retentionBytes: 1000000, nflogGroup: 9},
                 analytics: {interval: 60, retentionDays: 90}, control: {group: 'staff', adminGroup: 'wheel'},
                 drift: {auditInterval: '10 min'}, metrics: {file: '/srv/nsgd.prom', interval: 30}}
                """
        )
        let read = settings.settings
        #expect(read.defaults.location == "westeurope" && read.limits.securityRulesPerGroup == 2000)
        #expect(settings.estate.serviceTags["corpnetsaw"]?.map(\.description) == ["198.51.100.0/24"])
        #expect(settings.estate.platform.dns.map(\.description) == ["10.1.0.2/32"])
        #expect(settings.estate.platform.imds == [] && settings.estate.platform.kms == PlatformAddresses.azure.kms)
        #expect(read.platform.blocksOutboundSMTP)
        #expect(settings.estate.virtualNetworks.values.first?.furtherPrefixes.map(\.description) == ["172.16.0.0/12"])
        #expect(!read.flowLogs.isEnabled && read.flowLogs.nsgVersion == 1 && read.flowLogs.vnetVersion == nil)
        #expect(!read.flowLogs.writesJSONLines && read.flowLogs.interval == .seconds(30))
        #expect(
            read.flowLogs.retentionDays == nil && read.flowLogs.retentionBytes == 1_000_000
                && read.flowLogs.nflogGroup == 9)
        #expect(read.analytics.interval == .seconds(3600) && read.analytics.retentionDays == 90)
        #expect(read.control.group == "staff" && read.control.adminGroup == "wheel")
        #expect(read.drift.auditInterval == .seconds(600))
        #expect(read.metrics.file == "/srv/nsgd.prom" && read.metrics.interval == .seconds(30))
    }

    static let wrong: [(String, String, String)] = [
        ("{flowLog: {}}", "UnknownProperty", "flowLog"), ("{_ours: 1}", "UnknownProperty", "_ours"),
        ("{flowLogs: {nsgVersion: 3}}", "OutOfRange", "flowLogs.nsgVersion"),
        ("{flowLogs: {vnetVersion: 3}}", "UnknownValue", "flowLogs.vnetVersion"),
        ("{flowLogs: {interval: 0}}", "OutOfRange", "flowLogs.interval"),
        ("{flowLogs: {interval: '9999999999999999999 h'}}", "OutOfRange", "flowLogs.interval"),
        ("{metrics: {file: 'nsgd.prom'}}", "UnknownValue", "metrics.file"),
        ("{metrics: {file: '/srv/nsgd.txt'}}", "UnknownValue", "metrics.file"),
        ("{metrics: {interval: 0}}", "OutOfRange", "metrics.interval"),
        ("{flowLogs: {nflogGroup: 65536}}", "OutOfRange", "flowLogs.nflogGroup"),
        ("{analytics: {interval: 9223372036854775807}}", "OutOfRange", "analytics.interval"),
        ("{limits: {rules: 3}}", "UnknownProperty", "limits.rules"),
        ("{limits: {securityRulesPerGroup: 0}}", "OutOfRange", "limits.securityRulesPerGroup"),
        ("{serviceTags: {Internet: []}}", "UnknownValue", "serviceTags.Internet"),
        ("{serviceTags: {Mine: ['10.0.0.1/8']}}", "InvalidCIDRNotation", "serviceTags.Mine[0]"),
        ("{platform: {dns: '10.0.0.1'}}", "WrongType", "platform.dns"),
        ("{onPremisesPrefixes: {nowhere: []}}", "UnknownReference", "onPremisesPrefixes.nowhere"),
        ("{defaults: {resourceGroup: 'a/b'}}", "UnknownValue", "defaults.resourceGroup"), ("[]", "WrongType", "$"),
    ]

    @Test("C6: an unknown key or a value out of range is a fault", arguments: wrong)
    func refuses(text: String, code: String, path: String) {
        let found = faults([Documents.estate], settings: text)
        #expect(found.map(\.code) == [code])
        #expect(found.map(\.path.description) == [path])
    }

    @Test("C3: a binding names an interface by name or id")
    func binds() throws {
        let id = "\(Documents.group)/networkInterfaces/WEB1"
        for name in ["web1", id] {
            let text = #"{"networkInterfaces": {"\#(name)": {"interface": "veth-web1", "attachment": "guest"}}}"#
            let estate = try load([Documents.estate], bindings: text).estate
            #expect(estate.bindings.map(\.networkInterface) == [ResourceID(id)])
            #expect(estate.bindings.map(\.device) == ["veth-web1"] && estate.bindings.map(\.attachment) == [.guest])
        }
    }

    private static let twins = """
        {virtualNetworks: [{name: 'v', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, subnets: [{name: 'a', addressPrefix: '10.1.0.0/24'}]},
         {name: 'w', addressSpace: {addressPrefixes: ['10.1.0.0/16']}, subnets: [{name: 'b', addressPrefix: '10.1.0.0/24'}]}],
         networkInterfaces: [{name: 'n', ipConfigurations: [{name: 'x', subnet: 'a', privateIPAddress: '10.1.0.4'}]},
          {name: 'm', ipConfigurations: [{name: 'x', subnet: 'b', privateIPAddress: '10.1.0.4'}]}]}
        """

    static let wrongBindings: [(String, [String])] = [
        ("{n: {interface: 'e0', attachment: 'host'}}", []), ("{n: {interface: 'e0', attachment: 'HOST'}}", []),
        ("{n: {interface: 'e0', attachment: 'bridge'}}", ["UnknownValue"]),
        ("{n: {interface: 'e0'}}", ["MissingProperty"]),
        ("{n: {attachment: 'host'}}", ["MissingProperty"]),
        ("{n: {interface: 'e0', attachment: 'host', mtu: 1}}", ["UnknownProperty"]),
        ("{q: {interface: 'e0', attachment: 'host'}}", ["UnknownReference"]),
        ("{n: {interface: 'lo', attachment: 'host'}}", ["InvalidDeviceName"]),
        ("{n: {interface: 'a b', attachment: 'host'}}", ["InvalidDeviceName"]),
        ("{n: {interface: 'a/b', attachment: 'host'}}", ["InvalidDeviceName"]),
        ("{n: {interface: 'ünder', attachment: 'host'}}", ["InvalidDeviceName"]),
        ("{n: {interface: '0123456789abcdef', attachment: 'host'}}", ["InvalidDeviceName"]),
        ("{n: {interface: '0123456789abcde', attachment: 'host'}}", []),
        (
            "{n: {interface: 'e0', attachment: 'host'}, m: {interface: 'e1', attachment: 'guest'}}",
            ["EqualAddressesOnHost"]
        ),
        (
            "{n: {interface: 'e0', attachment: 'host'}, N: {interface: 'e1', attachment: 'guest'}}",
            ["DuplicateBinding"]
        ),
    ]

    @Test("C3, KERNEL 5: faults of bindings", arguments: wrongBindings)
    func refusesBinding(text: String, codes: [String]) {
        #expect(faults([Self.twins], bindings: "{networkInterfaces: \(text)}").map(\.code) == codes)
    }

    @Test("a device is bound once")
    func device() {
        let found = faults(
            [Self.twins.replacing("'b', privateIPAddress: '10.1.0.4'", with: "'b', privateIPAddress: '10.1.0.5'")],
            bindings:
                "{networkInterfaces: {n: {interface: 'e0', attachment: 'host'}, m: {interface: 'e0', attachment: 'guest'}}}"
        )
        #expect(found.map(\.code) == ["DuplicateBinding"])
    }
}
