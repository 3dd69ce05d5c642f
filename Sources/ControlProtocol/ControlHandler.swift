import JSONText

/// Answers the calls of `io.nsgd.Control`. Both functions are called on the server's queue and must not block it: long
/// work goes elsewhere, and takes the `ReplyStream` with it.
package protocol ControlHandler: Sendable {
    /// The call names a method of the interface, its parameters have the types the interface gives them, and the
    /// peer is allowed to make it. A stream that is dropped without an end answers `MethodNotImplemented`.
    func handle(_ call: VarlinkCall, from peer: Peer, reply: ReplyStream)

    /// Whether a peer may call the methods that need this access (SPEC K2).
    func allows(_ peer: Peer, _ access: ControlInterface.Access) -> Bool
}

/// What `org.varlink.service.GetInfo` says.
package struct ControlIdentity: Hashable, Sendable {
    package var vendor: String
    package var product: String
    package var version: String
    package var url: String

    package init(vendor: String, product: String, version: String, url: String) {
        self.vendor = vendor
        self.product = product
        self.version = version
        self.url = url
    }
}

/// What one client, and all of them, may ask of the server.
package struct ControlLimits: Hashable, Sendable {
    /// Clients at a time; further ones are closed at once.
    package var clients = 32
    /// Bytes of one message from a client that may only read.
    package var messageBytes = 1 << 20
    /// Bytes of one message from an administrator: a file of service tags of 32 MB in quotation marks, each of its
    /// characters an escape of two.
    package var administratorMessageBytes = 65 << 20
    /// Bytes that may wait for a client to read them; at the next reply beyond them it is dropped.
    package var queuedBytes = 4 << 20
    /// How long a client may take over a message it has begun.
    package var messageMilliseconds = 30_000
    /// How long a client that asks nothing keeps its place when there is none left.
    package var idleMilliseconds = 10_000

    package init() {}
}

/// Sends each call where it belongs.
struct ControlRouter: Sendable {
    let identity: ControlIdentity
    let handler: any ControlHandler

    func route(_ call: VarlinkCall, from peer: Peer, reply: ReplyStream) {
        if call.upgrade { return reply.fail(.methodNotImplemented(call.method)) }
        switch call.interface {
        case VarlinkService.name:
            guard isWellFormed(call, by: VarlinkService.definition, reply) else { return }
            introduce(call, reply)
        case ControlInterface.name:
            guard let method = ControlInterface.Method(rawValue: call.name) else {
                return reply.fail(.methodNotFound(call.method))
            }
            guard handler.allows(peer, method.access) else { return reply.fail(.permissionDenied) }
            guard isWellFormed(call, by: ControlInterface.definition, reply) else { return }
            handler.handle(call, from: peer, reply: reply)
        default:
            reply.fail(.interfaceNotFound(call.interface))
        }
    }

    private func isWellFormed(_ call: VarlinkCall, by definition: VarlinkInterface, _ reply: ReplyStream) -> Bool {
        guard let method = definition.methods[call.name] else {
            reply.fail(.methodNotFound(call.method))
            return false
        }
        guard let path = definition.departure(of: call.parameters, from: method.input) else { return true }
        reply.fail(.invalidParameter("\(path)"))
        return false
    }

    private func introduce(_ call: VarlinkCall, _ reply: ReplyStream) {
        let texts = [VarlinkService.name: VarlinkService.text, ControlInterface.name: ControlInterface.text]
        switch call.name {
        case "GetInfo":
            reply.end([
                "vendor": JSONValue(identity.vendor), "product": JSONValue(identity.product),
                "version": JSONValue(identity.version), "url": JSONValue(identity.url),
                "interfaces": [JSONValue(VarlinkService.name), JSONValue(ControlInterface.name)],
            ])
        default:
            let interface = call.parameters["interface"]?.string ?? ""
            guard let text = texts[interface] else { return reply.fail(.interfaceNotFound(interface)) }
            reply.end(["description": JSONValue(text)])
        }
    }
}
