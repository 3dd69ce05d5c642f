import JSONText
import NSGCompiler
import NSGConfig
import NSGEngine
import NetworkTypes
import SystemServices

/// What must survive a restart: the numbers of rules, and the last documents that were without fault (E4, E5).
struct StateFolder: Sendable {
    let path: String

    init(_ path: String) throws(KernelError) {
        self.path = path
        try Files.createFolder(path, mode: 0o700)
    }

    var serviceTags: String { "\(path)/service-tags.json" }
    var lastGood: String { "\(path)/last-good" }
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

    /// Keeps the documents of a policy that is in force, each file replaced in one step, those that are no more
    /// removed.
    func storeLastGood(_ sources: ConfigurationSources) throws(KernelError) {
        let folder = "\(lastGood)/policy.d"
        try Files.createFolder(folder, mode: 0o700)
        let named = sources.policies.map { ($0, folder + "/" + $0.name.split(separator: "/").suffix(1).joined()) }
        for (source, path) in named { try replaceIfChanged(path, with: source.bytes) }
        let kept = Set(named.map(\.1))
        for name in try Files.list(folder) where !kept.contains("\(folder)/\(name)") {
            try Files.remove("\(folder)/\(name)")
        }
        for (source, name) in [(sources.settings, "nsgd.json"), (sources.bindings, "bindings.json")] {
            if let source {
                try replaceIfChanged("\(lastGood)/\(name)", with: source.bytes)
            } else {
                try Files.remove("\(lastGood)/\(name)")
            }
        }
    }

    private func replaceIfChanged(_ path: String, with bytes: [UInt8]) throws(KernelError) {
        if let present = try? Files.read(path, limit: bytes.count), present == bytes { return }
        try Files.replace(path, with: bytes, mode: 0o600)
    }
}
