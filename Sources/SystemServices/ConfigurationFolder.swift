package import NSGConfig
import NetworkTypes

/// A folder laid out like `/etc/nsgd` (SPEC, section 1), and the service tags beside it.
package enum ConfigurationFolder {
    /// An estate of a thousand groups with a thousand rules 400 MB would be a fault.
    private static let limit = 64 << 20

    /// Reads every document. What is absent is left out; what cannot be read is a fault.
    /// - Parameter serviceTags: path of `service-tags.json`, or nil.
    package static func read(_ folder: String, serviceTags: String?) throws(ConfigurationFaults) -> ConfigurationSources
    {
        var known: KnownFiles?
        return try read(folder, serviceTags: serviceTags, known: &known, 0)
    }

    /// The same, without those documents of policy that are as they were (`SourceText.isUnread`).
    /// - Parameters:
    ///   - files: what was read before; then what has been read now.
    ///   - now: nanoseconds since 1970.
    package static func read(
        _ folder: String, serviceTags: String?, noting files: inout KnownFiles, at now: UInt64 = Clock.sinceEpoch
    ) throws(ConfigurationFaults) -> ConfigurationSources {
        var known: KnownFiles? = files
        let sources = try read(folder, serviceTags: serviceTags, known: &known, now)
        if let known { files = known }
        return sources
    }

    private static func read(
        _ folder: String, serviceTags: String?, known: inout KnownFiles?, _ now: UInt64
    ) throws(ConfigurationFaults) -> ConfigurationSources {
        var faults: [Fault] = []
        func sparedText(_ name: String, at path: String, isNeeded: Bool, limit: Int = limit) -> SourceText? {
            let stamp = known == nil ? nil : FileStamp(of: path, at: now)
            if let fingerprint = known?.fingerprint(of: path, stamp) {
                return SourceText(unread: name, fingerprint: fingerprint)
            }
            let source = text(name, at: path, isNeeded: isNeeded, limit: limit)
            known?.note(path, stamp, source?.fingerprint)
            return source
        }
        func text(_ name: String, at path: String, isNeeded: Bool, limit: Int = limit) -> SourceText? {
            do throws(KernelError) {
                let bytes = try Files.read(path, limit: limit)
                return SourceText(name: name, bytes: bytes, fingerprint: SourceText.Fingerprint(of: bytes))
            } catch {
                if isNeeded || !error.isAbsence { faults.append(.unreadableFile(name, reason: "\(error)")) }
                return nil
            }
        }
        var names: [String] = []
        do throws(KernelError) {
            names = try Files.list("\(folder)/policy.d")
        } catch {
            faults.append(.unreadableFile("policy.d", reason: "\(error)"))
        }
        let sources = ConfigurationSources(
            settings: text("nsgd.json", at: "\(folder)/nsgd.json", isNeeded: false),
            policies: names.compactMap { sparedText("policy.d/\($0)", at: "\(folder)/policy.d/\($0)", isNeeded: true) },
            bindings: text("bindings.json", at: "\(folder)/bindings.json", isNeeded: false),
            serviceTags: serviceTags.flatMap {
                sparedText("service-tags.json", at: $0, isNeeded: false, limit: ServiceTagFile.limit)
            })
        guard faults.isEmpty else { throw ConfigurationFaults(faults) }
        return sources
    }
}

extension KernelError {
    /// `ENOENT`
    package var isAbsence: Bool { errno == 2 }
}

extension SourceText.Fingerprint {
    /// SipHash under the key that the standard library draws for each process.
    package init(of bytes: [UInt8]) {
        var hasher = Hasher()
        unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        self.init(count: bytes.count, hash: hasher.finalize())
    }
}
