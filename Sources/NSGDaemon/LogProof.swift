import FlowLog
import JSONText
import NSGEngine
import NSGModel
import Nftables

/// The flow log held against the kernel's counters, rule by rule (F5): `counted` of each is
/// `recorded + missing - excess + onTheWay`.
struct LogProof: Sendable {
    var lines: [(name: CounterName, line: DecisionLedger.Line)]

    var json: JSONValue {
        JSONValue(
            lines.map { name, line in
                var members: [(String, JSONValue)] = [("counter", JSONValue(name.description))]
                if let rule = line.rule, rule.rule.kind != .platform {
                    members += [
                        ("networkSecurityGroup", JSONValue(rule.rule.group.description)),
                        ("rule", JSONValue(rule.rule.qualifiedName)), ("direction", JSONValue(rule.direction.rawValue)),
                    ]
                    if rule.rule.owner != rule.rule.group {
                        members.append(("ruleCollection", JSONValue(rule.rule.owner.description)))
                    }
                }
                members += [
                    ("access", line.isRefusing ? "Deny" : "Allow"),
                    ("since", JSONValue(line.account.since.description)), ("counted", JSONValue(line.counted)),
                    ("recorded", JSONValue(line.account.recorded)), ("waiting", JSONValue(line.waiting)),
                    ("missing", JSONValue(line.account.declared)), ("excess", JSONValue(line.account.excess)),
                    ("onTheWay", JSONValue(line.onTheWay)),
                ]
                return JSONValue(object: members)
            })
    }
}
