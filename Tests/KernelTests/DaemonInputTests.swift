import JSONText
import TestSupport
import Testing

/// Documents with faults, and callers that mean no good. C4, K1, E5.
@Suite(.serialized, .enabled(if: isInTestNamespace, "needs a network namespace of its own (NSGD_KERNEL_TESTS=1)"))
struct DaemonInputTests {
    private typealias Rule = EstateDocuments.Rule

    /// Files that a case writes over the sound documents, and what each line of the answer must hold.
    private struct Case {
        var name: String
        var files: [String: String]
        var faults: [[String]]
    }

    private static func group(_ rules: String) -> String {
        #"{"networkSecurityGroups": [{"name": "extra", "properties": {"securityRules": [\#(rules)]}}]}"#
    }

    private static func rule(_ name: String, priority: String, source: String = "*") -> String {
        #"""
        {"name": "\#(name)", "properties": {"priority": \#(priority), "direction": "Inbound", "access": "Allow",
        "protocol": "Tcp", "sourceAddressPrefix": "\#(source)", "sourcePortRange": "*", "destinationAddressPrefix": "*",
        "destinationPortRange": "22"}}
        """#
    }

    private static let file = "policy.d/90-bad.json"
    private static let properties = "networkSecurityGroups[0].properties.securityRules[0].properties"
    private static let cases: [Case] = [
        Case(name: "broken JSON", files: [file: "{\"networkSecurityGroups\": ["], faults: [[file, "InvalidJSON"]]),
        Case(
            name: "a wrong type", files: [file: group(rule("r", priority: "{}"))],
            faults: [[file, "\(properties).priority", "WrongType"]]),
        Case(
            name: "priority 99", files: [file: group(rule("r", priority: "99"))],
            faults: [[file, "\(properties).priority", "SecurityRuleInvalidPriority", "99", "100"]]),
        Case(
            name: "a priority twice",
            files: [file: group(rule("r", priority: "100") + "," + rule("s", priority: "100"))],
            faults: [[file, "SecurityRuleConflict", "100"]]),
        Case(
            name: "an unknown tag", files: [file: group(rule("r", priority: "100", source: "NoSuchTag"))],
            faults: [[file, "\(properties).sourceAddressPrefix", "NoSuchTag"]]),
        Case(
            name: "a reference to nothing",
            files: [
                file: """
                {"networkInterfaces": [{"name": "extra", "properties": {"networkSecurityGroup": "nothing", "ipConfigurations": [
                {"name": "p", "properties": {"privateIPAddress": "10.1.0.99", "subnet": "lab/front"}}]}}]}
                """
            ], faults: [[file, "networkInterfaces[0].properties.networkSecurityGroup", "UnknownReference", "nothing"]]),
        Case(
            name: "faults in two files",
            files: [
                file: group(rule("r", priority: "99")),
                "policy.d/91-bad.json": #"{"virtualNetworks": [{"name": "w", "properties": {"addressSpace": 7}}]}"#,
                "bindings.json": #"{"networkInterfaces": {"nobody": {"interface": "va", "attachment": "guest"}}}"#,
            ],
            faults: [
                [file, "SecurityRuleInvalidPriority"], ["policy.d/91-bad.json"], ["bindings.json", "nobody"],
            ]),
    ]

    @Test("faulty documents are refused whole, all faults in one run, and what is in force stays (C4)")
    func faults() throws {
        let estate = EstateDocuments.guests(
            "a", "b", rules: [.allow("AllowWeb", 100, "Tcp", "80"), .deny("DenyRest", 4000)])
        try TestNetwork.with(estate) { network in
            let daemon = try network.startDaemon()
            let (a, b) = (network["a"], network["b"])
            try b.serve("tcp", 80, 81)
            let unreadable = Case(
                name: "a file that cannot be read", files: [:], faults: [[Self.file, "UnreadableFile"]])
            let generation = try network.generation()
            for wrong in Self.cases + [unreadable] {
                for (path, text) in wrong.files { try network.write(text, to: path) }
                if wrong.files.isEmpty { try run(["mkdir", "\(network.configuration)/\(Self.file)"]) }

                let check = try daemon.control("check", network.configuration, offline: true)
                let reload = try daemon.control("reload")
                for (verb, answer) in [("check", check), ("reload", reload)] {
                    #expect(answer.status == 1, "\(wrong.name): \(verb): \(answer.output)")
                    let lines = answer.output.split(separator: "\n")
                    for words in wrong.faults {
                        #expect(
                            lines.contains { line in words.allSatisfy { line.contains($0) } },
                            "\(wrong.name): \(verb): \(words) in \(answer.output)")
                    }
                }
                try run(["rm", "-rf", "\(network.configuration)/policy.d/90-bad.json"])
                try run(["rm", "-rf", "\(network.configuration)/policy.d/91-bad.json"])
                try network.write(estate)
            }
            #expect(try network.generation() == generation)
            #expect(try daemon.status()["lastReload"]?["result"]?.string == "failed")
            #expect(try a.reaches(b.address, 80, expecting: true))
            #expect(try !a.reaches(b.address, 81, expecting: false))
            #expect(try daemon.control("check", network.configuration, offline: true).status == 0)
            #expect(try daemon.reload().result == "unchanged")
        }
    }

    @Test(
        "with faulty documents the next start loads the last good ones, and says so; without those it enforces nothing (E5)"
    )
    func faultyStart() throws {
        let estate = EstateDocuments.guests(
            "a", "b", rules: [.allow("AllowWeb", 100, "Tcp", "80"), .deny("DenyRest", 4000)])
        try TestNetwork.with(estate) { network in
            let (a, b) = (network["a"], network["b"])
            try b.serve("tcp", 80, 81)
            let first = try network.startDaemon()
            #expect(first.stop())
            try network.write("{", to: Self.file)
            try network.router.run(["nft", "flush", "ruleset"])
            let second = try network.startDaemon()
            #expect(try second.status()["problems"]?.array?.isEmpty == false)
            #expect(try a.reaches(b.address, 80, expecting: true))
            #expect(try !a.reaches(b.address, 81, expecting: false))
            #expect(second.stop())

            try network.router.run(["nft", "flush", "ruleset"])
            try run(["rm", "-rf", "\(network.folder)/state"])
            let third = try network.launchDaemon()
            let hasFailed = eventually { !third.isRunning }
            #expect(hasFailed && network.journal.contains("InvalidJSON"))
            #expect(try network.router.run(["nft", "list", "ruleset"]).isEmpty)
        }
    }

    @Test("garbage, half a message, a megabyte, forty callers: it goes on answering (K1)")
    func hostileCallers() throws {
        let estate = EstateDocuments.guests("a", rules: [.deny("DenyRest", 4000)])
        try TestNetwork.with(estate) { network in
            let daemon = try network.startDaemon()
            let caller = network["a"]
            let call = { (text: String, times: Int, count: Int) in
                try caller.ask(
                    "unix",
                    [
                        ("id", 1), ("path", JSONValue(daemon.socket)), ("text", JSONValue(text)),
                        ("times", JSONValue(times)), ("count", JSONValue(count)),
                    ])
            }
            let half = #"{"method": "io.nsgd.Control.Sta"#
            let deep = String(repeating: "[", count: 1000)
            let callers: [(text: String, times: Int, count: Int)] = [
                ("garbage\u{0}\u{1}", 10, 1), (half, 1, 1), ("{\"method\": 7}\u{0}", 3, 1), (deep + "\u{0}", 1, 1),
                ("x", 1 << 20, 1), ("{\"method\":\"io.nsgd.Control.Status\",\"more\":true}\u{0}", 1000, 1),
                (half, 1, 40),
                ("", 1, 40),
            ]
            for (text, times, count) in callers {
                _ = try call(text, times, count)
                // There are places for 32 callers at a time.
                if count > 32 { try caller.disconnect(1) }
                let answers = try eventually { try daemon.control("status").status == 0 }
                #expect(answers && daemon.isRunning, "\(count) times \(text.prefix(30))")
                try caller.disconnect(1)
            }
            #expect(try daemon.reload().result == "unchanged")
        }
    }
}
