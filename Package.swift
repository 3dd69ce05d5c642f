// swift-tools-version: 6.2
import PackageDescription

// Arrows of docs/architecture.md, section 1: everything that decides is pure; only the second half touches the kernel.

let strict: [SwiftSetting] = Context.environment["CI"] == nil ? [] : [.treatAllWarnings(as: .error)]
let features = ["ExistentialAny", "InternalImportsByDefault", "MemberImportVisibility"]
let settings = strict + features.map { SwiftSetting.enableUpcomingFeature($0) } + [.strictMemorySafety()]

func pure(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func rim(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .target(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies + ["TestSupport"], swiftSettings: settings)
}

func library(_ name: String, pkgConfig: String, debian: String) -> Target {
    .systemLibrary(name: name, path: "Sources/\(name)", pkgConfig: pkgConfig, providers: [.apt([debian])])
}

let package = Package(
    name: "nsgd",
    products: [
        .executable(name: "nsgd", targets: ["nsgd"]),
        .executable(name: "nsgctl", targets: ["nsgctl"]),
    ],
    targets: [
        // Pure: values in, values out.
        pure("NetworkTypes"),
        tests("NetworkTypesTests", ["NetworkTypes"]),

        pure("JSONText"),
        tests("JSONTextTests", ["JSONText"]),

        pure("NSGModel", ["NetworkTypes"]),
        tests("NSGModelTests", ["NSGModel", "NetworkTypes"]),

        pure("NSGConfig", ["NSGModel", "NetworkTypes", "JSONText"]),
        tests("NSGConfigTests", ["NSGConfig", "NSGEvaluation", "NSGModel", "NetworkTypes", "JSONText"]),

        pure("NSGEvaluation", ["NSGModel", "NetworkTypes"]),
        tests("NSGEvaluationTests", ["NSGEvaluation", "NSGModel", "NetworkTypes"]),

        pure("Nftables", ["NetworkTypes"]),
        tests("NftablesTests", ["Nftables", "NetworkTypes"]),

        pure("NSGCompiler", ["NSGModel", "Nftables", "NetworkTypes"]),
        tests(
            "NSGCompilerTests",
            ["NSGCompiler", "NSGConfig", "NSGEvaluation", "NSGModel", "Nftables", "NetworkTypes"]
        ),

        pure("FlowLog", ["NSGModel", "NetworkTypes", "JSONText"]),
        tests("FlowLogTests", ["FlowLog", "NSGModel", "NetworkTypes", "JSONText"]),

        pure("TrafficReport", ["FlowLog", "NSGModel", "NetworkTypes", "JSONText"]),
        tests(
            "TrafficReportTests",
            ["TrafficReport", "FlowLog", "NSGModel", "NetworkTypes", "JSONText", "ControlProtocol"]
        ),

        pure(
            "NSGEngine",
            [
                "NSGConfig", "NSGEvaluation", "NSGCompiler", "FlowLog", "NSGModel", "Nftables", "NetworkTypes",
                "JSONText",
            ]
        ),
        tests(
            "NSGEngineTests",
            [
                "NSGEngine", "NSGConfig", "NSGEvaluation", "NSGCompiler", "FlowLog", "NSGModel", "Nftables",
                "NetworkTypes", "JSONText",
            ]
        ),

        // The kernel and the machine.
        library("CMnl", pkgConfig: "libmnl", debian: "libmnl-dev"),
        library("CNftnl", pkgConfig: "libnftnl", debian: "libnftnl-dev"),
        library("CConntrack", pkgConfig: "libnetfilter_conntrack", debian: "libnetfilter-conntrack-dev"),
        library("CPcap", pkgConfig: "libpcap", debian: "libpcap-dev"),
        library("CSystemd", pkgConfig: "libsystemd", debian: "libsystemd-dev"),
        library("CSQLite", pkgConfig: "sqlite3", debian: "libsqlite3-dev"),
        .target(name: "CShims"),

        rim("Netlink", ["CMnl", "CShims", "NetworkTypes"]),
        rim("NftablesKernel", ["CMnl", "CNftnl", "CShims", "Netlink", "Nftables", "NetworkTypes"]),
        rim("ConntrackKernel", ["CMnl", "CConntrack", "CShims", "Netlink", "NetworkTypes"]),
        rim("PacketLog", ["CPcap", "CMnl", "CShims", "ConntrackKernel", "Netlink", "NetworkTypes"]),
        rim("SystemServices", ["CSystemd", "CMnl", "CShims", "Netlink", "NSGConfig", "NetworkTypes"]),
        rim("AnalyticsStore", ["CSQLite", "CShims", "TrafficReport", "FlowLog", "NSGModel", "NetworkTypes"]),
        tests("AnalyticsStoreTests", ["AnalyticsStore", "TrafficReport", "FlowLog", "NSGModel", "NetworkTypes"]),

        rim("ControlProtocol", ["JSONText", "CShims", "NetworkTypes"], exclude: ["io.nsgd.Control.varlink"]),
        tests("ControlProtocolTests", ["ControlProtocol", "JSONText", "NetworkTypes"]),

        rim(
            "NSGDaemon",
            [
                "ControlProtocol", "NSGEngine", "NSGConfig", "NSGEvaluation", "NSGCompiler", "FlowLog", "NSGModel",
                "Nftables", "NetworkTypes", "JSONText", "Netlink", "NftablesKernel", "ConntrackKernel", "PacketLog",
                "SystemServices", "AnalyticsStore", "TrafficReport", "CShims",
            ]
        ),
        .executableTarget(name: "nsgd", dependencies: ["NSGDaemon"], swiftSettings: settings),
        .executableTarget(
            name: "nsgctl",
            dependencies: [
                "ControlProtocol", "NSGEngine", "NSGConfig", "NSGCompiler", "FlowLog", "NSGModel", "Nftables",
                "NetworkTypes", "NftablesKernel", "JSONText", "SystemServices", "TrafficReport", "CShims",
            ],
            swiftSettings: settings
        ),

        // Traffic for scripts/bench; not a product.
        .target(name: "CBatches", path: "scripts/bench/batches"),
        .executableTarget(
            name: "bench-traffic", dependencies: ["CBatches"], path: "scripts/bench/traffic",
            swiftSettings: settings
        ),

        // Tests: helpers, and packets through the kernel in namespaces of their own.
        .target(
            name: "TestSupport",
            dependencies: [
                "NetworkTypes", "NSGModel", "NSGEvaluation", "NSGCompiler", "Nftables", "NSGConfig", "CShims",
            ],
            path: "Tests/TestSupport",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "RulesetBenchmark",
            dependencies: [
                "TestSupport", "NSGEngine", "NSGCompiler", "NSGConfig", "NSGModel", "FlowLog", "NftablesKernel",
                "Nftables", "NetworkTypes", "SystemServices", "CShims",
            ],
            path: "Tests/RulesetBenchmark",
            swiftSettings: settings
        ),
        tests(
            "KernelTests",
            [
                "Netlink", "NftablesKernel", "ConntrackKernel", "PacketLog", "SystemServices", "NSGDaemon",
                "NSGCompiler", "NSGConfig", "NSGEvaluation", "NSGEngine", "NSGModel", "Nftables", "NetworkTypes",
                "JSONText", "ControlProtocol", "CShims",
            ]
        ),
    ],
    swiftLanguageModes: [.v6]
)
