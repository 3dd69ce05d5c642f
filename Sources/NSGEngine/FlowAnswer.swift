package import JSONText
package import NSGEvaluation
package import NSGModel
import NetworkTypes

/// What IP flow verify answers (K5).
package struct FlowAnswer: Hashable, Sendable {
    package var interface: ResourceID
    package var query: FlowQuery
    package var decision: Decision
    /// Why the packet is dropped whatever the rules say, in one line (S13, S14); nil where the rules answer.
    package var reason: String?
    /// What the one who asks may have overlooked, in one line; nil where there is nothing to say.
    package var note: String?

    private var isDropped: Bool { decision.platform.map { !$0.isExemption } ?? false }
    package var access: Access { isDropped ? .deny : decision.access }

    /// Azure's answer with `stages` beside it. `ruleId` is a custom rule's id, and "" for a default rule, as recorded.
    /// Where no rule decides none is named, and `reason` says what does.
    package var json: JSONValue {
        let rule = isDropped ? nil : decision.deciding?.rule
        var members: [(String, JSONValue)] = [
            ("access", JSONValue(access.rawValue)), ("ruleName", JSONValue(rule?.qualifiedName ?? "")),
            ("ruleId", JSONValue(rule.map { $0.isDefault || $0.name.isEmpty ? "" : $0.id.description } ?? "")),
            ("stages", JSONValue(decision.stages.map(\.json))),
        ]
        if decision.platform?.isExemption ?? false { members.append(("platform", true)) }
        if let reason { members.append(("reason", JSONValue(reason))) }
        if let note { members.append(("note", JSONValue(note))) }
        return JSONValue(object: members)
    }
}

extension StageDecision {
    var json: JSONValue {
        var members: [(String, JSONValue)] = [
            ("level", JSONValue(level.rawValue)), ("networkSecurityGroup", JSONValue(owner.description)),
            ("ruleName", JSONValue(rule.qualifiedName)),
        ]
        if !rule.isNoAdminRule { members.append(("priority", JSONValue(rule.priority.value))) }
        members.append(("access", JSONValue(access.rawValue)))
        if let location = rule.location { members.append(("file", JSONValue(location.description))) }
        return JSONValue(object: members)
    }
}

extension Policy {
    package func answer(_ query: FlowQuery) throws(FlowQuery.Problem) -> FlowAnswer {
        let interface = try networkInterface(query.target)
        let decision = evaluator.decision(for: query.flow, at: interface, query.direction)
        let foreign = foreignAddress(in: query, at: interface)
        let notes = [Self.note(on: decision), note(on: foreign, at: interface, decision)].compactMap(\.self)
        return FlowAnswer(
            interface: interface, query: query, decision: decision, reason: Self.reason(of: decision, foreign),
            note: notes.isEmpty ? nil : notes.joined(separator: "; "))
    }

    private static func reason(of decision: Decision, _ foreign: String?) -> String? {
        switch decision.platform {
        case .foreignAddress: foreign.map { "enableIPForwarding is off and \($0)" }
        case .blocksSMTP: "the platform blocks TCP port 25 to the Internet (platform.blockOutboundSmtp)"
        case .service, .link, nil: nil
        }
    }

    /// Exemptions do not change what the rules say, as in Azure (K5).
    private static func note(on decision: Decision) -> String? {
        guard case .service(let service) = decision.platform, decision.access == .deny else { return nil }
        return "the platform's service \(service.rawValue) is reached all the same"
            + (service.tag.map { "; a Deny rule for \($0) would filter it" } ?? "")
    }

    private func note(on foreign: String?, at id: ResourceID, _ decision: Decision) -> String? {
        guard decision.platform != .foreignAddress, let interface = estate.networkInterfaces[id],
            !interface.enableIPForwarding, !interface.addresses.isEmpty
        else { return nil }
        return foreign
    }

    /// That the local address is none of the interface's; nil where it is.
    private func foreignAddress(in query: FlowQuery, at id: ResourceID) -> String? {
        guard let interface = estate.networkInterfaces[id] else { return nil }
        let local = query.direction == .inbound ? query.flow.destination : query.flow.source
        guard !interface.addresses.contains(local) else { return nil }
        let listed = interface.addresses.map(\.description).joined(separator: ", ")
        return "local \(local) is no address of network interface \(interface.name), which has \(listed)"
    }

    /// Per list that is asked, every rule that was tried with which of its conditions held (FACTS h3). What ends a list
    /// of admin rules without a match is no rule of Azure's, and left out.
    package func explanation(of query: FlowQuery) throws(FlowQuery.Problem) -> JSONValue {
        let interface = try networkInterface(query.target)
        let stages = evaluator.decision(for: query.flow, at: interface, query.direction).stages
        // Fewer stages than lists where an AlwaysAllow ends the evaluation.
        let trials = evaluator.trials(of: query.flow, at: interface, query.direction)
        let lists = zip(stages, trials).map { stage, trials in
            JSONValue(object: [
                ("level", JSONValue(stage.level.rawValue)),
                ("networkSecurityGroup", JSONValue(stage.owner.description)),
                ("rulesEvaluationResult", JSONValue(trials.filter { !$0.rule.isNoAdminRule }.map(\.json))),
            ])
        }
        return JSONValue(object: [
            ("networkInterface", JSONValue(interface.description)), ("direction", JSONValue(query.direction.rawValue)),
            ("flow", JSONValue(query.flow.description)), ("evaluatedNetworkSecurityGroups", JSONValue(lists)),
        ])
    }

    /// The only one that a question can mean.
    func networkInterface(_ target: FlowQuery.Target) throws(FlowQuery.Problem) -> ResourceID {
        let interfaces = estate.networkInterfaces
        let asked: String
        let found: [ResourceID]
        let candidates: [ResourceID]
        switch target {
        case .networkInterface(let text):
            asked = "network interface '\(text)'"
            candidates = Array(interfaces.keys)
            found = candidates.filter { $0.isMeant(by: text) }
        case .virtualMachine(let text):
            asked = "virtual machine '\(text)'"
            candidates = Array(Set(interfaces.values.compactMap(\.virtualMachine)))
            found = interfaces.values.filter { $0.virtualMachine?.isMeant(by: text) ?? false }.map(\.id)
        }
        guard let only = found.first else {
            let names = Self.shortNames(of: candidates, among: candidates)
            throw FlowQuery.Problem("no \(asked) in the policy; there \(names.map { "are: \($0)" } ?? "is none")")
        }
        guard found.count == 1 else {
            let names = Self.shortNames(of: found, among: Array(interfaces.keys)) ?? ""
            throw FlowQuery.Problem("\(asked) stands for several network interfaces; name one by nic: \(names)")
        }
        return only
    }

    /// Names, or ids where another resource has the same name; nil for none.
    private static func shortNames(of ids: [ResourceID], among all: [ResourceID]) -> String? {
        let limit = 20
        let uses = Dictionary(all.map { ($0.name.lowercased(), 1) }, uniquingKeysWith: +)
        let sorted = ids.sorted { ($0.name.lowercased(), $0) < ($1.name.lowercased(), $1) }
        let names = sorted.prefix(limit).map { id in
            uses[id.name.lowercased()] == 1 ? id.name : id.description
        }
        guard !names.isEmpty else { return nil }
        return names.joined(separator: ", ") + (ids.count > limit ? " and \(ids.count - limit) more" : "")
    }
}

extension ResourceID {
    /// Whether an operator who writes `text` may mean this: its id or its name, in any case.
    fileprivate func isMeant(by text: String) -> Bool {
        self == ResourceID(text) || name.lowercased() == text.lowercased()
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
