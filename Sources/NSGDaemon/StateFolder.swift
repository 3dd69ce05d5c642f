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
    let numbers: NumbersFile
    let lastGood: LastGoodDocuments

    /// Locks the folder as long as the process lives: two daemons with one state would give one number to two rules.
    init(_ path: String) throws(KernelError) {
        self.path = path
        try Files.createFolder(path, mode: 0o700)
        try Files.lock("\(path)/lock")
        numbers = NumbersFile(folder: path)
        lastGood = LastGoodDocuments(folder: path)
    }

    /// As faults call the file.
    static let serviceTagsName = "service-tags.json"
    var serviceTags: String { "\(path)/\(Self.serviceTagsName)" }
    private var stagedServiceTags: String { "\(serviceTags).staged" }
    private var accounts: String { "\(path)/accounts.json" }
    private var owedEvaluation: String { "\(path)/evaluation-owed" }

    // MARK: Evaluation of live flows

    /// Whether a run ended after a change of policy and before live flows had been evaluated by the new one (S6).
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
