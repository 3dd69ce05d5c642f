import ControlProtocol
import JSONText
import NSGConfig
import NSGEngine
import NetworkTypes
import SystemServices

/// `service-tags`: update, show and lookup (K3).
enum ServiceTagsVerb {
    static func run(_ context: Context) throws(CommandFailure) -> ExitStatus {
        let operands = context.arguments.operands
        guard operands.count == 2 else {
            throw usage("service-tags takes update FILE, show TAG or lookup IP; see nsgctl service-tags --help")
        }
        switch operands[0] {
        case "update": return try update(operands[1], context)
        case "show": return try show(operands[1], context)
        case "lookup": return try lookUp(operands[1], context)
        default: throw usage("unknown service-tags '\(operands[0])'; there are update, show and lookup")
        }
    }

    // MARK: Update

    private static func update(_ path: String, _ context: Context) throws(CommandFailure) -> ExitStatus {
        let source = try text(of: path)
        let answer: JSONValue
        if context.isOffline {
            answer = ["update": try offlineUpdate(source, context).json]
        } else {
            // The daemon reads no long message from those who may not change anything, and could not tell them why.
            _ = try context.call(.updateServiceTags, ["text": ""])
            answer = try context.call(
                .updateServiceTags,
                [
                    "text": JSONValue(String(decoding: source.bytes, as: UTF8.self)), "name": JSONValue(source.name),
                ])
        }
        let update = answer["update"] ?? [:]
        for warning in update["warnings"]?.array ?? [] { Output.error("warning: \(warning.string ?? "")") }
        switch context.format {
        case .json: Output.line(answer.text(style: .pretty))
        case .tsv: Output.tsv(summary(update).map { [$0.name, $0.value] })
        case .table: Output.table(summary(update).map { [$0.name, $0.value] })
        }
        return .done
    }

    private static func summary(_ update: JSONValue) -> [(name: String, value: String)] {
        func number(_ key: String) -> String { update[key]?.int.map { "\($0)" } ?? "none" }
        func names(_ key: String) -> String {
            let names = (update[key]?.array ?? []).compactMap(\.string)
            let some = names.prefix(5).joined(separator: ", ") + (names.count > 5 ? ", …" : "")
            return names.isEmpty ? "0" : "\(names.count): \(some)"
        }
        let operations = { (count: Int?) in "\(count ?? 0) operation\(count == 1 ? "" : "s") in the kernel" }
        let result =
            switch update["result"]?.string {
            case "applied": "in force, \(operations(update["messages"]?.int))"
            case "unchanged": "the rules in the kernel stay as they are"
            default: "stored for the next load"
            }
        return [
            ("Result", result),
            ("ChangeNumber", "\(number("changeNumber")), before it \(number("previousChangeNumber"))"),
            ("Added", names("added")), ("Removed", names("removed")), ("Changed", names("changed")),
            ("Prefixes", "\(number("prefixesAdded")) added, \(number("prefixesRemoved")) removed"),
            ("In use", names("inUse")),
        ]
    }

    private static func text(of path: String) throws(CommandFailure) -> SourceText {
        let name = path == "-" ? "standard input" : ResourceName.last(of: path)
        func refusal(_ reason: String) -> CommandFailure {
            CommandFailure(
                status: .refused,
                message: "\(name) \(reason); take the file as Microsoft publishes it: it has about 4 MB")
        }
        let isTooLong = refusal("has more than \(ServiceTagFile.limit) bytes")
        let bytes: [UInt8]
        do throws(KernelError) {
            bytes =
                path == "-"
                ? StandardInput.read(limit: ServiceTagFile.limit)
                : try Files.read(path, limit: ServiceTagFile.limit)
        } catch {
            throw error.isExcess ? isTooLong : CommandFailure(status: .refused, message: "\(error)")
        }
        guard !bytes.isEmpty else { throw refusal("is empty") }
        guard bytes.count <= ServiceTagFile.limit else { throw isTooLong }
        guard String(validating: bytes, as: UTF8.self) != nil else { throw refusal("is no UTF-8 text") }
        return SourceText(name: name, bytes: bytes)
    }

    /// Without the daemon: checked, and put into the state folder.
    private static func offlineUpdate(
        _ source: SourceText, _ context: Context
    ) throws(CommandFailure) -> ServiceTagUpdate {
        let place = context.serviceTagsFile
        let update: ServiceTagUpdate
        do throws(ConfigurationFaults) {
            let file = try ServiceTagFile(source)
            let bytes = try? Files.read(place, limit: ServiceTagFile.limit)
            let before = bytes.flatMap { try? ServiceTagFile(SourceText(name: place, bytes: $0)) }
            update = ServiceTagUpdate(from: before, to: file, try context.configuration(tags: source))
        } catch {
            throw CommandFailure(
                status: .refused, message: "faults, so \(place) stays as it is:\n\(error)")
        }
        do throws(KernelError) {
            try Files.replace(place, with: source.bytes)
        } catch { throw CommandFailure(status: .refused, message: "\(error)") }
        return update
    }

    // MARK: Show

    private static func show(_ tag: String, _ context: Context) throws(CommandFailure) -> ExitStatus {
        let merged = context.arguments.has("--merged")
        let details: JSONValue
        if context.isOffline {
            let configuration = try context.presentConfiguration()
            do throws(UnknownServiceTag) {
                details = try configuration.details(ofServiceTag: tag, merged: merged)
            } catch { throw CommandFailure(status: .refused, message: error.description) }
        } else {
            details =
                try context.call(.showServiceTag, ["tag": JSONValue(tag), "merged": JSONValue(merged)])["tag"] ?? [:]
        }
        switch context.format {
        case .json: Output.line(JSONValue(object: [("tag", details)]).text(style: .pretty))
        case .tsv: Output.tsv(prefixRows(details))
        case .table: showTable(details)
        }
        return .done
    }

    private static func prefixRows(_ details: JSONValue) -> [[String]] {
        (details["expansions"]?.array ?? []).flatMap { expansion in
            let network = expansion["virtualNetwork"]?.string.map { [ResourceName.last(of: $0)] } ?? []
            return (expansion["prefixes"]?.array ?? []).map { [$0.string ?? ""] + network }
        }
    }

    private static func showTable(_ details: JSONValue) {
        let number = { (key: String) in details[key]?.int.map { "\($0)" } }
        let kind =
            switch details["kind"]?.string {
            case "file": "of Microsoft's file" + (number("fileChangeNumber").map { ", changeNumber \($0)" } ?? "")
            case "setting": "of serviceTags in nsgd.json"
            default: "computed"
            }
        var lines = [["Tag", details["name"]?.string ?? ""], ["Kind", kind]]
        if let own = number("changeNumber") { lines.append(["ChangeNumber", own]) }
        if let features = details["networkFeatures"]?.array {
            lines.append(["Features", features.compactMap(\.string).joined(separator: " ")])
        }
        let rows = prefixRows(details)
        lines.append(["Prefixes", "\(rows.count)"])
        Output.table(lines)
        let rules = (details["rules"]?.array ?? []).map { rule in
            let text = { (key: String) in rule[key]?.string ?? "" }
            return [
                ResourceName.last(of: text("owner")), text("ruleName"), text("direction"), text("access"),
                (rule["sides"]?.array ?? []).compactMap(\.string).joined(separator: ","), text("file"),
            ]
        }
        Output.line("")
        if rules.isEmpty {
            Output.line("No rule names it.")
        } else {
            Output.table([["Owner", "Rule", "Direction", "Access", "Side", "File"]] + rules)
        }
        Output.line("")
        Output.table(rows)
    }

    // MARK: Look up

    private static func lookUp(_ text: String, _ context: Context) throws(CommandFailure) -> ExitStatus {
        guard let address = IPAddress(text) else {
            throw usage("lookup: '\(text)' is no IP address; write one such as 203.0.113.9")
        }
        let matches =
            context.isOffline
            ? try context.presentConfiguration().serviceTags(holding: address)
            : try context.call(.lookUpServiceTags, ["address": JSONValue(text)])["matches"]?.array ?? []
        let rows = matches.map { match in
            let network = match["virtualNetwork"]?.string.map { ResourceName.last(of: $0) } ?? ""
            return [
                match["prefix"]?.string ?? "", match["name"]?.string ?? "", match["kind"]?.string ?? "", network,
            ]
        }
        switch context.format {
        case .json: Output.line(JSONValue(object: [("matches", JSONValue(matches))]).text(style: .pretty))
        case .tsv: Output.tsv(rows)
        case .table where rows.isEmpty: Output.line("no service tag holds \(address)")
        case .table: Output.table([["Prefix", "Tag", "Kind", "VirtualNetwork"]] + rows)
        }
        return .done
    }
}

extension Context {
    /// Files instead of the daemon: documents are given, or a state folder and no socket.
    fileprivate var isOffline: Bool {
        arguments.value("--config") != nil || arguments.value("--state") != nil && arguments.value("--socket") == nil
    }

    fileprivate var serviceTagsFile: String { "\(stateFolder)/\(Installation.serviceTagsFile)" }

    /// The documents of `--config`, or none, with the service tags of the state folder or of another text.
    fileprivate func configuration(tags: SourceText? = nil) throws(ConfigurationFaults) -> Configuration {
        var sources = ConfigurationSources(policies: [])
        if let folder = arguments.value("--config") {
            sources = try ConfigurationFolder.read(folder, serviceTags: tags == nil ? serviceTagsFile : nil)
        } else if tags == nil {
            do throws(KernelError) {
                let bytes = try Files.read(serviceTagsFile, limit: ServiceTagFile.limit)
                sources.serviceTags = SourceText(name: Installation.serviceTagsFile, bytes: bytes)
            } catch {
                if !error.isAbsence {
                    throw ConfigurationFaults([
                        .unreadableFile(Installation.serviceTagsFile, reason: "\(error)")
                    ])
                }
            }
        }
        if let tags { sources.serviceTags = tags }
        return try NSGConfig.configuration(from: sources)
    }

    fileprivate func presentConfiguration() throws(CommandFailure) -> Configuration {
        do throws(ConfigurationFaults) {
            return try configuration()
        } catch {
            throw CommandFailure(status: .refused, message: "the documents have faults:\n\(error)")
        }
    }
}

extension KernelError {
    /// `EFBIG`
    fileprivate var isExcess: Bool { errno == 27 }
}
