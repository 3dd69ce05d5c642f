import FlowLog
import JSONText
import NSGCompiler
import NSGConfig
import NSGEngine
import NetworkTypes
import Nftables
import SystemServices

/// What must survive a restart: the numbers of rules, and the last documents that were without fault (E4, E5).
struct StateFolder: Sendable {
    let path: String

    /// Locks the folder as long as the process lives: two daemons with one state would give one number to two rules.
    init(_ path: String) throws(KernelError) {
        self.path = path
        try Files.createFolder(path, mode: 0o700)
        try Files.lock("\(path)/lock")
    }

    /// As faults call the file.
    static let serviceTagsName = "service-tags.json"
    var serviceTags: String { "\(path)/\(Self.serviceTagsName)" }
    private var stagedServiceTags: String { "\(serviceTags).staged" }
    private var lastGood: String { "\(path)/last-good.json" }
    private var accounts: String { "\(path)/accounts.json" }
    private var owedEvaluation: String { "\(path)/evaluation-owed" }
    private var numbers: String { "\(path)/rule-numbers.json" }

    /// Nil where there is none, or it cannot be read; then flows of an earlier run are not attributed.
    func numbering() -> (numbering: RuleNumbering?, problem: String?) {
        do throws(KernelError) {
            let bytes = try Files.read(numbers, limit: 512 << 20)
            guard let document = try? JSONValue(parsing: bytes, dialect: .json),
                let numbering = NumberingFile.numbering(document)
            else { return (nil, "\(numbers) is damaged; flows that are open are attributed anew") }
            return (numbering, nil)
        } catch {
            return (nil, error.isAbsence ? nil : "\(error)")
        }
    }

    func store(_ numbering: RuleNumbering) throws(KernelError) {
        try Files.replace(numbers, with: Array(NumberingFile.text(numbering).utf8))
    }

    // MARK: The last documents without a fault

    /// Keeps the documents of a policy that is in force, service tags included, in one file that is replaced in one
    /// step.
    func storeLastGood(_ sources: ConfigurationSources) throws(KernelError) {
        let named: [(String, SourceText?)] =
            [("settings", sources.settings), ("bindings", sources.bindings), ("serviceTags", sources.serviceTags)]
        func text(_ source: SourceText) -> JSONValue {
            ["name": JSONValue(source.name), "text": JSONValue(String(decoding: source.bytes, as: UTF8.self))]
        }
        var members = named.compactMap { name, source in source.map { (name, text($0)) } }
        members.append(("policies", JSONValue(sources.policies.map(text))))
        let bytes = Array(JSONValue(object: members).text(style: .compact).utf8)
        if let present = try? Files.read(lastGood, limit: bytes.count), present == bytes { return }
        try Files.replace(lastGood, with: bytes, mode: 0o600)
    }

    /// Nil where there are none.
    func lastGoodSources() -> ConfigurationSources? {
        func source(_ value: JSONValue?) -> SourceText? {
            guard let name = value?["name"]?.string, let text = value?["text"]?.string else { return nil }
            return SourceText(name: name, text: text)
        }
        guard let bytes = try? Files.read(lastGood, limit: 1 << 30),
            let document = try? JSONValue(parsing: bytes, dialect: .json), let policies = document["policies"]?.array
        else { return nil }
        return ConfigurationSources(
            settings: source(document["settings"]), policies: policies.compactMap(source),
            bindings: source(document["bindings"]), serviceTags: source(document["serviceTags"]))
    }

    // MARK: Evaluation of live flows

    /// Whether a run ended between a change of policy and the end of the evaluation of live flows that it asked for (S6).
    var owesEvaluation: Bool { (try? Files.read(owedEvaluation, limit: 1)) != nil }

    /// Stays from before the swap until all flows are evaluated.
    func note(owesEvaluation: Bool) throws(KernelError) {
        if owesEvaluation {
            try Files.replace(owedEvaluation, with: [])
        } else if self.owesEvaluation {
            try Files.remove(owedEvaluation)
        }
    }

    // MARK: Service tags

    /// Puts a new file beside the one in use: what can fail for want of room has failed before the rules change.
    func stageServiceTags(_ bytes: [UInt8]) throws(KernelError) { try Files.replace(stagedServiceTags, with: bytes) }
    func adoptStagedServiceTags() throws(KernelError) { try Files.rename(stagedServiceTags, to: serviceTags) }
    func dropStagedServiceTags() { try? Files.remove(stagedServiceTags) }

    // MARK: Accounts of an orderly end

    /// What an earlier run had accounted for when it ended in order; taken once.
    func takeAccounts() -> DecisionLedger.Accounts? {
        defer { try? Files.remove(accounts) }
        guard let bytes = try? Files.read(accounts, limit: 64 << 20),
            let document = try? JSONValue(parsing: bytes, dialect: .json),
            let time = document["time"]?.int.flatMap(UInt64.init(exactly:)), let counters = document["counters"]?.object
        else { return nil }
        return DecisionLedger.Accounts(
            time: Timestamp(nanoseconds: time),
            counters: Dictionary(
                counters.compactMap { member in
                    member.value.int.flatMap(UInt64.init(exactly:)).map { (CounterName(member.key), $0) }
                }
            ) { first, _ in first })
    }

    func store(_ ledger: DecisionLedger.Accounts) throws(KernelError) {
        let counters = ledger.counters.sorted { $0.key < $1.key }.map { ($0.key.description, JSONValue($0.value)) }
        let document = JSONValue(object: [
            ("time", JSONValue(ledger.time.nanoseconds)), ("counters", JSONValue(object: counters)),
        ])
        try Files.replace(accounts, with: Array(document.text(style: .compact).utf8))
    }
}
