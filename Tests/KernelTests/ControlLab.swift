import ControlProtocol
import Glibc
import JSONText
import TestSupport
import Testing

/// Steps for `Tests/Varlink/client.py`.
enum VarlinkStep {
    case call(String, _ parameters: JSONValue = [:], of: String = ControlInterface.name)
    /// With more; `beside` is run until so many replies have come.
    case follow(String, _ parameters: JSONValue = [:], count: Int, beside: [String] = [])
    case run([String])

    var json: JSONValue {
        switch self {
        case .call(let method, let parameters, let interface):
            ["interface": JSONValue(interface), "method": JSONValue(method), "parameters": parameters]
        case .follow(let method, let parameters, let count, let beside):
            JSONValue(
                object: [
                    ("interface", JSONValue(ControlInterface.name)), ("method", JSONValue(method)),
                    ("parameters", parameters),
                    ("more", true), ("count", JSONValue(count)),
                ] + (beside.isEmpty ? [] : [("beside", JSONValue(beside.map { JSONValue($0) }))]))
        case .run(let arguments): ["run": JSONValue(arguments.map { JSONValue($0) })]
        }
    }
}

struct VarlinkAnswer {
    let step: VarlinkStep
    let json: JSONValue

    var error: String? { json["error"]?.string }
    var parameters: JSONValue { json["parameters"] ?? [:] }
    /// The parameters of each reply.
    var messages: [JSONValue] { json["messages"]?.array ?? [] }
    var reply: JSONValue { messages.first ?? [:] }

    /// Replies, or the error, have the types that the interface gives them: no member is missing, and none is too many.
    func expectConformance() {
        let definition = ControlInterface.definition
        let method: String
        switch step {
        case .run: return
        case .call(let name, _, _), .follow(let name, _, _, _): method = name
        }
        if let error {
            let name = error.split(separator: ".").last.map(String.init) ?? ""
            guard let type = definition.errors[name], error.hasPrefix(definition.name) else {
                Issue.record("\(method): \(error) is no error of the interface: \(parameters)")
                return
            }
            #expect(definition.departure(of: parameters, from: type) == nil, "\(method): \(parameters)")
            return
        }
        guard let type = definition.methods[method]?.output, !messages.isEmpty else {
            Issue.record("\(method): no reply")
            return
        }
        for message in messages {
            #expect(definition.departure(of: message, from: type) == nil, "\(method): \(message)")
        }
        // What the package made of them is all of them: nothing was left out as unknown.
        let taken = (json["replies"]?.array ?? []).map { Self.withoutNulls($0) }
        #expect(taken == messages.map { Self.withoutNulls($0) }, "\(method)")
    }

    private static func withoutNulls(_ value: JSONValue) -> JSONValue {
        if let members = value.object {
            return JSONValue(
                object: members.filter { !$0.value.isNull }.map { ($0.key, withoutNulls($0.value)) }.sorted {
                    $0.0 < $1.0
                })
        }
        return value.array.map { JSONValue($0.map { withoutNulls($0) }) } ?? value
    }
}

/// Where `scripts/varlink-client` puts the package.
enum VarlinkClient {
    static let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(
        separator: "/")
    static let python = "\(root)/.build/varlink-client/bin/python"
    static var isInstalled: Bool { (try? run([python, "-c", "import varlink"])) != nil }
}

/// A daemon with a small policy for one guest, whose packets to UDP port 9000 it refuses.
final class ControlLab {
    static let device = "nsgt-g"
    let folder: String
    var policyFile: String { "\(folder)/config/policy.d/policy.json" }
    private let daemon: Subprocess
    private let guest: PeerNamespace

    init() throws {
        folder = try String(run(["mktemp", "-d"]).prefix { $0 != "\n" })
        guest = try PeerNamespace()
        try guest.connect(Self.device, address: "10.82.0.1/24", peer: "10.82.0.4/24")
        try run(["mkdir", "-p", "\(folder)/config/policy.d"])
        Self.write(
            "\(folder)/config/bindings.json",
            #"{"networkInterfaces": {"guest": {"interface": "nsgt-g", "attachment": "guest"}}}"#)
        Self.write("\(folder)/config/policy.d/policy.json", Self.policy(deniedPort: 9000))
        daemon = try Subprocess([
            "\(VarlinkClient.root)/.build/debug/nsgd", "--config", "\(folder)/config", "--state", "\(folder)/state",
            "--logs",
            "\(folder)/logs", "--socket", "\(folder)/control.sock",
        ])
        let isReady = eventually { (try? ControlClient(path: folder + "/control.sock", seconds: 1)) != nil }
        guard isReady else {
            daemon.stop()
            throw CommandFailure(command: ["nsgd"], status: -1, output: daemon.finish().output)
        }
    }

    deinit {
        daemon.stop()
        for arguments in [
            ["nft", "delete", "table", "inet", "nsgd"], ["ip", "link", "del", Self.device], ["rm", "-r", folder],
            ["conntrack", "-F"],
        ] { _ = try? run(arguments) }
    }

    static func policy(deniedPort: Int) -> String {
        """
        {
          "virtualNetworks": [{"name": "lab", "properties": {
            "addressSpace": {"addressPrefixes": ["10.82.0.0/16"]},
            "subnets": [
              {"name": "s", "properties": {"addressPrefix": "10.82.0.0/24", "networkSecurityGroup": "group"}}]}}],
          "networkSecurityGroups": [{"name": "group", "properties": {"securityRules": [
            {"name": "no-\(deniedPort)", "properties": {"priority": 100, "direction": "Outbound", "access": "Deny",
              "protocol": "Udp", "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*",
              "destinationPortRange": "\(deniedPort)"}}]}}],
          "networkInterfaces": [{"name": "guest", "properties": {"ipConfigurations": [
            {"name": "ip", "properties": {"privateIPAddress": "10.82.0.4", "subnet": "lab/s"}}]}}]
        }
        """
    }

    /// Gives the path.
    func write(_ name: String, _ text: String) -> String { Self.write("\(folder)/\(name)", text) }

    @discardableResult
    private static func write(_ path: String, _ text: String) -> String {
        guard let file = unsafe fopen(path, "w") else { return path }
        unsafe fputs(text, file)
        unsafe fclose(file)
        return path
    }

    /// A command that sends a datagram, from another port each time.
    var refusedPacket: [String] {
        ["nsenter", "-t", "\(guest.process)", "-n", "bash", "-c", "echo x > /dev/udp/10.82.0.1/9000"]
    }

    /// Asks one after the other, each over a connection of its own.
    func ask(_ steps: [VarlinkStep]) throws -> [VarlinkAnswer] {
        let lines = steps.map { $0.json.text() + "\n" }.joined()
        let output = try run(
            [VarlinkClient.python, "\(VarlinkClient.root)/Tests/Varlink/client.py", folder + "/control.sock"],
            input: lines)
        let answers = try output.split(separator: "\n").map { try JSONValue(parsing: String($0), dialect: .json) }
        try #require(answers.count == steps.count, "\(output)")
        return zip(steps, answers).map { VarlinkAnswer(step: $0, json: $1) }
    }
}
