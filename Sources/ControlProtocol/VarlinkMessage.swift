package import JSONText

/// A message that is no Varlink; the connection it came from cannot go on.
package struct VarlinkMessageError: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// A call of a method, as https://varlink.org/Service defines it.
package struct VarlinkCall: Hashable, Sendable {
    /// With its interface: `io.nsgd.Control.Ping`.
    package var method: String
    /// An object.
    package var parameters: JSONValue
    /// The caller wants no reply.
    package var oneway: Bool
    /// The caller takes several replies.
    package var more: Bool
    /// The caller wants to speak another protocol after the reply.
    package var upgrade: Bool

    package init(
        method: String, parameters: JSONValue = [:], oneway: Bool = false, more: Bool = false, upgrade: Bool = false
    ) {
        self.method = method
        self.parameters = parameters
        self.oneway = oneway
        self.more = more
        self.upgrade = upgrade
    }

    /// Reads a message without its NUL. Keys other than those of the protocol are refused, and `oneway` with `more`.
    package init(parsing message: [UInt8]) throws(VarlinkMessageError) {
        let fields = try MessageFields(message, allowed: ["method", "parameters", "oneway", "more", "upgrade"])
        guard let method = try fields.string("method") else { throw VarlinkMessageError("the call names no method") }
        self.init(
            method: method,
            parameters: try fields.parameters(),
            oneway: try fields.flag("oneway"),
            more: try fields.flag("more"),
            upgrade: try fields.flag("upgrade")
        )
        guard !(oneway && more) else { throw VarlinkMessageError("a call cannot be both oneway and more") }
    }

    /// What stands before the last dot of the method; empty where there is none.
    package var interface: String { method.lastIndex(of: ".").map { String(method[..<$0]) } ?? "" }

    /// What stands after the last dot of the method.
    package var name: String {
        method.lastIndex(of: ".").map { String(method[method.index(after: $0)...]) } ?? method
    }

    /// The message with its NUL.
    package var bytes: [UInt8] {
        var members: [(String, JSONValue)] = [("method", JSONValue(method)), ("parameters", parameters)]
        for (key, flag) in [("oneway", oneway), ("more", more), ("upgrade", upgrade)] where flag {
            members.append((key, true))
        }
        return JSONValue(object: members).bytes() + [0]
    }
}

/// A reply to a call.
package struct VarlinkReply: Hashable, Sendable {
    /// An object.
    package var parameters: JSONValue
    /// More replies to the same call follow.
    package var continues: Bool
    /// The name of the error, with its interface; nil for success.
    package var error: String?

    package init(parameters: JSONValue = [:], continues: Bool = false, error: String? = nil) {
        self.parameters = parameters
        self.continues = continues
        self.error = error
    }

    /// Reads a message without its NUL. Keys other than those of the protocol are refused, and `continues` with
    /// `error`.
    package init(parsing message: [UInt8]) throws(VarlinkMessageError) {
        let fields = try MessageFields(message, allowed: ["parameters", "continues", "error"])
        self.init(
            parameters: try fields.parameters(),
            continues: try fields.flag("continues"),
            error: try fields.string("error")
        )
        guard !(continues && error != nil) else { throw VarlinkMessageError("an error cannot continue") }
    }

    /// The message with its NUL.
    package var bytes: [UInt8] {
        var members: [(String, JSONValue)] = []
        if let error { members.append(("error", JSONValue(error))) }
        members.append(("parameters", parameters))
        if continues { members.append(("continues", true)) }
        return JSONValue(object: members).bytes() + [0]
    }
}

/// The members of a message, by the types the protocol gives them.
private struct MessageFields {
    private let value: JSONValue

    init(_ message: [UInt8], allowed: Set<String>) throws(VarlinkMessageError) {
        do {
            value = try JSONValue(parsing: message, dialect: .json)
        } catch {
            throw VarlinkMessageError("the message is not JSON: \(error)")
        }
        guard let members = value.object else {
            throw VarlinkMessageError("the message is \(value.kindName), not an object")
        }
        if let stranger = members.first(where: { !allowed.contains($0.key) }) {
            throw VarlinkMessageError(
                "the message has a member \(jsonString(stranger.key)), which Varlink does not know")
        }
    }

    /// null counts as absent, in these three: clients write it for what they leave out.
    private func present(_ key: String) -> JSONValue? {
        guard let field = value[key], !field.isNull else { return nil }
        return field
    }

    func string(_ key: String) throws(VarlinkMessageError) -> String? {
        guard let field = present(key) else { return nil }
        guard let text = field.string else { throw VarlinkMessageError("`\(key)` is \(field.kindName), not a string") }
        return text
    }

    func flag(_ key: String) throws(VarlinkMessageError) -> Bool {
        guard let field = present(key) else { return false }
        guard let flag = field.bool else { throw VarlinkMessageError("`\(key)` is \(field.kindName), not a boolean") }
        return flag
    }

    func parameters() throws(VarlinkMessageError) -> JSONValue {
        guard let field = present("parameters") else { return [:] }
        guard field.object != nil else {
            throw VarlinkMessageError("`parameters` is \(field.kindName), not an object")
        }
        return field
    }
}
