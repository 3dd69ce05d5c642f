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
}
