import NSGConfig
import NSGEngine
import NSGModel
import NetworkTypes
import Synchronization
import SystemServices

/// Why a file of service tags was not taken; the one before is in place and in force.
enum ServiceTagRefusal: Error, Sendable {
    case faulty([Fault])
    case refused(String)
}

extension Enforcer {
    /// Replaces the file of service tags (K3) and enforces the policy in force with it, not documents that have been
    /// edited since and that nobody has asked to load (S10). The new file is on disk before the rules change, and takes
    /// the old one's name after they have.
    func updateServiceTags(_ source: SourceText) -> Result<ServiceTagUpdate, ServiceTagRefusal> {
        defer { UnusedMemory.release() }
        do throws(ConfigurationFaults) {
            let file = try ServiceTagFile(source)
            guard let present = policy.withLock({ $0 }) else { return try store(file, source) }
            let configuration = try present.configuration.replacing(serviceTags: file)
            return enforce(configuration, file, source, after: present.configuration.serviceTagFile)
        } catch { return .failure(.faulty(error.faults)) }
    }

    /// Nothing is enforced: the next load takes the file, together with the documents that are there now.
    private func store(
        _ file: ServiceTagFile, _ source: SourceText
    ) throws(ConfigurationFaults) -> Result<ServiceTagUpdate, ServiceTagRefusal> {
        var sources = try ConfigurationFolder.read(options.configuration, serviceTags: state.serviceTags)
        let before = sources.serviceTags.flatMap { try? ServiceTagFile($0) }
        sources.serviceTags = source
        let update = ServiceTagUpdate(from: before, to: file, try configuration(from: sources))
        do throws(KernelError) {
            try state.stageServiceTags(source.bytes)
            try state.adoptStagedServiceTags()
        } catch { return .failure(.refused("the file cannot be kept: \(error)")) }
        return .success(update)
    }

    private func enforce(
        _ wanted: Configuration, _ file: ServiceTagFile, _ source: SourceText, after before: ServiceTagFile?
    ) -> Result<ServiceTagUpdate, ServiceTagRefusal> {
        var update = ServiceTagUpdate(from: before, to: file, wanted)
        retireNumbers()
        guard let policy = compiled(wanted) else {
            return .failure(.refused(Self.tooManyRules.description))
        }
        do throws(KernelError) {
            try state.stageServiceTags(source.bytes)
        } catch { return .failure(.refused("the file cannot be kept, so nothing was changed: \(error)")) }
        // The last good documents need not be those of the last load.
        filesRead = KnownFiles()
        let outcome = enforce(policy, lastGood(with: source))
        record(outcome)
        switch outcome {
        case .applied(let summary, _):
            (update.result, update.messages) = (.applied, summary.messages)
        case .unchanged: update.result = .unchanged
        case .faulty(let faults):
            state.dropStagedServiceTags()
            return .failure(.faulty(faults))
        case .refused(let reason):
            // Swapped in and not proven is in force all the same, and so is its file.
            guard self.policy.withLock({ $0?.configuration.serviceTagFile }) == file, before != file else {
                state.dropStagedServiceTags()
                return .failure(.refused(reason))
            }
            update.warnings.append(reason)
        }
        do throws(KernelError) {
            try state.adoptStagedServiceTags()
        } catch {
            update.warnings.append("the new tags are in force, and the next load will take the old file: \(error)")
        }
        for warning in update.warnings { journal.log(.warning, warning) }
        return .success(update)
    }

    /// The documents in force as kept for a start with faulty ones, with the new file; nil where none are kept.
    private func lastGood(with source: SourceText) -> ConfigurationSources? {
        var sources = state.lastGood.sources()
        sources?.serviceTags = SourceText(name: StateFolder.serviceTagsName, bytes: source.bytes)
        return sources
    }
}
