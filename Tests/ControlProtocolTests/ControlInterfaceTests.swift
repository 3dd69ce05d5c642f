import ControlProtocol
import Glibc
import JSONText
import Testing

@Suite("The interface io.nsgd.Control")
struct ControlInterfaceTests {
    @Test("K1: the definition in the repository is the one the daemon gives")
    func textEqualsFile() throws {
        let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        let path = tests.joined(separator: "/") + "/Sources/ControlProtocol/io.nsgd.Control.varlink"
        let file = try unsafe #require(unsafe fopen(path, "r"))
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        #expect(String(decoding: bytes[..<count], as: UTF8.self) == ControlInterface.text)
    }

    @Test("methods and errors of the code are those of the definition")
    func namesAgree() {
        let definition = ControlInterface.definition
        #expect(definition.name == ControlInterface.name)
        #expect(Set(definition.methods.keys) == Set(ControlInterface.Method.allCases.map(\.rawValue)))
        #expect(Set(definition.errors.keys) == Set(ControlInterface.Failure.allCases.map(\.rawValue)))
        #expect(VarlinkService.definition.name == VarlinkService.name && VarlinkService.definition.methods.count == 2)
    }

    @Test(
        "K2: only what changes nothing is open to readers",
        arguments: ControlInterface.Method.allCases
    )
    func access(method: ControlInterface.Method) {
        #expect(
            (method.access == .change)
                == [.reload, .flush, .endFlows, .updateServiceTags, .capture].contains(method))
    }

    @Test(
        "parameters that depart from their type are named",
        arguments: [
            ("Ping", [:], nil), ("Ping", ["x": 1], "x"), ("Ping", ["x": nil], "x"),
            ("Check", [:], nil), ("Check", ["directory": nil], nil), ("Check", ["directory": "/etc"], nil),
            ("Check", ["directory": 1], "directory"),
            ("Compile", [:], "statistics"), ("Compile", ["statistics": "yes"], "statistics"),
            ("Verify", ["query": [:], "explain": true], "query.direction"),
            ("Verify", ["query": [], "explain": true], "query"),
            (
                "VerifyBatch",
                ["queries": [["direction": "Inbound", "protocol": "TCP", "local": "10.0.0.4:80", "remote": 3]]],
                "queries[0].remote"
            ),
            (
                "Verify",
                [
                    "query": [
                        "nic": "web1", "direction": "Inbound", "protocol": "TCP", "local": "10.0.0.4:80",
                        "remote": "203.0.113.9:50000",
                    ], "explain": false,
                ], nil
            ),
        ] as [(String, JSONValue, String?)]
    )
    func departures(method: String, parameters: JSONValue, path: String?) throws {
        let definition = ControlInterface.definition
        let method = try #require(definition.methods[method])
        #expect(definition.departure(of: parameters, from: method.input)?.description == path)
    }

    @Test("K5: an answer of verify fits its type, and a wrong word in it does not")
    func verifyAnswer() throws {
        let answer = { (level: JSONValue) -> JSONValue in
            let stage: JSONValue = [
                "level": level, "networkSecurityGroup": "/subscriptions/0/nsg", "ruleName": "securityRules/web",
                "priority": 100, "access": "Deny", "file": "web.json:12",
            ]
            let noAdminRule: JSONValue = [
                "level": "admin", "networkSecurityGroup": "/subscriptions/0/nm", "ruleName": "", "access": "Allow",
            ]
            return [
                "answer": [
                    "access": "Deny", "ruleName": "", "ruleId": "", "stages": [stage, noAdminRule],
                    "reason": "enableIPForwarding is off and …",
                ]
            ]
        }
        let definition = ControlInterface.definition
        let output = try #require(definition.methods["Verify"]).output
        #expect(definition.departure(of: answer("subnet"), from: output) == nil)
        #expect(definition.departure(of: answer("vnet"), from: output) == ["answer", "stages", 0, "level"])
    }

    @Test(
        "what is no definition is refused",
        arguments: [
            "", "interface", "interface a.b type T", "interface a.b method M()", "interface a.b type T (a: )",
            "interface a.b type T (a: int b: int)", "interface a.b type T (a, b: int)", "interface a.b type T (a: []",
        ]
    )
    func badDefinitions(text: String) {
        #expect(VarlinkInterface(parsing: text) == nil)
    }
}
