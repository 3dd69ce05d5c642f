package import JSONText
package import NSGEvaluation
package import NSGModel

/// What IP flow verify answers (K5).
package struct FlowAnswer: Hashable, Sendable {
    package var interface: ResourceID
    package var query: FlowQuery
    package var decision: Decision

    /// Azure's answer with `stages` beside it. `ruleId` is a custom rule's id, and "" for a default rule, as recorded.
    package var json: JSONValue {
        let rule = decision.deciding?.rule
        var members: [(String, JSONValue)] = [
            ("access", JSONValue(decision.access.rawValue)), ("ruleName", JSONValue(rule?.qualifiedName ?? "")),
            ("ruleId", JSONValue(rule.map { $0.isDefault ? "" : $0.id.description } ?? "")),
            ("stages", JSONValue(decision.stages.map(\.json))),
        ]
        if decision.isExempt { members.append(("platform", true)) }
        return JSONValue(object: members)
    }
}

extension StageDecision {
    var json: JSONValue {
        var members: [(String, JSONValue)] = [
            ("level", JSONValue(level.rawValue)), ("networkSecurityGroup", JSONValue(group.description)),
            ("ruleName", JSONValue(rule.qualifiedName)), ("priority", JSONValue(rule.priority.value)),
            ("access", JSONValue(access.rawValue)),
        ]
        if let location = rule.location { members.append(("file", JSONValue(location.description))) }
        return JSONValue(object: members)
    }
}

extension Policy {
    package func answer(_ query: FlowQuery) throws(FlowQuery.Problem) -> FlowAnswer {
        let interface = try networkInterface(query.target)
        return FlowAnswer(
            interface: interface, query: query,
            decision: evaluator.decision(for: query.flow, at: interface, query.direction))
    }

    /// `answer` and, per list, every rule that was tried with which of its conditions held (FACTS h3).
    package func explanation(of query: FlowQuery) throws(FlowQuery.Problem) -> JSONValue {
        let interface = try networkInterface(query.target)
        let trials = evaluator.trials(of: query.flow, at: interface, query.direction)
        let lists = zip(book.lists(of: interface, query.direction), trials).map { list, trials in
            JSONValue(object: [
                ("level", JSONValue(list.key.level.rawValue)),
                ("networkSecurityGroup", JSONValue(list.key.group.description)),
                ("rulesEvaluationResult", JSONValue(trials.map(\.json))),
            ])
        }
        return JSONValue(object: [
            ("networkInterface", JSONValue(interface.description)), ("direction", JSONValue(query.direction.rawValue)),
            ("flow", JSONValue(query.flow.description)), ("evaluatedNetworkSecurityGroups", JSONValue(lists)),
        ])
    }

    private func networkInterface(_ target: FlowQuery.Target) throws(FlowQuery.Problem) -> ResourceID {
        let interfaces = estate.networkInterfaces
        func fits(_ id: ResourceID, _ text: String) -> Bool {
            id == ResourceID(text) || id.name.lowercased() == text.lowercased()
        }
        let found: [ResourceID]
        let asked: String
        switch target {
        case .networkInterface(let text):
            asked = "network interface '\(text)'"
            found = interfaces.keys.filter { fits($0, text) }
        case .virtualMachine(let text):
            asked = "virtual machine '\(text)'"
            found = interfaces.values.filter { $0.virtualMachine.map { fits($0, text) } ?? false }.map(\.id)
        }
        guard let only = found.first, found.count == 1 else {
            let names = (found.isEmpty ? Array(interfaces.keys) : found).sorted().prefix(20).map(\.description)
            let listed = names.isEmpty ? "there are none" : names.joined(separator: ", ")
            throw FlowQuery.Problem(
                found.isEmpty
                    ? "no \(asked) in the policy; there are: \(listed)"
                    : "\(asked) stands for several network interfaces; name one by nic: \(listed)")
        }
        return only
    }
}

extension Trial {
    fileprivate var json: JSONValue {
        JSONValue(object: [
            ("name", JSONValue(rule.flowLogName)), ("priority", JSONValue(rule.priority.value)),
            ("access", JSONValue(rule.access.rawValue)), ("protocolMatched", JSONValue(protocolMatched)),
            ("sourceMatched", JSONValue(sourceMatched)), ("sourcePortMatched", JSONValue(sourcePortMatched)),
            ("destinationMatched", JSONValue(destinationMatched)),
            ("destinationPortMatched", JSONValue(destinationPortMatched)), ("matched", JSONValue(matched)),
        ])
    }
}

extension Policy {
    /// An answer, or `{"error": …}`: a question that cannot be read does not stop those behind it (K5).
    package func batchAnswer(_ document: JSONValue) -> JSONValue {
        do throws(FlowQuery.Problem) {
            return try answer(FlowQuery(document)).json
        } catch {
            return ["error": JSONValue(error.description)]
        }
    }
}
