import ControlProtocol
import Dispatch
import JSONText
import NSGConfig
import NSGEngine
import NetworkTypes
import Synchronization

// Service tags over the control socket.
extension ControlService {
    func updateServiceTags(_ parameters: JSONValue, _ reply: ReplyStream) {
        guard let text = parameters["text"]?.string, !text.isEmpty else { return reply.end(["update": nil]) }
        let name = parameters["name"]?.string ?? StateFolder.serviceTagsName
        enforcer.executor.queue.async {
            let source = SourceText(name: String(name.prefix(256)), text: text)
            switch enforcer.assumeIsolated({ $0.updateServiceTags(source) }) {
            case .success(let update): reply.end(["update": update.json])
            case .failure(.faulty(let faults)):
                reply.fail(.configurationFaulty, ["faults": JSONValue(faults.map(\.json))])
            case .failure(.refused(let reason)): reply.fail(.kernelRefused, ["message": JSONValue(reason)])
            }
        }
    }

    func showServiceTag(_ parameters: JSONValue, _ reply: ReplyStream) {
        guard let configuration = configurationInForce(reply) else { return }
        do throws(UnknownServiceTag) {
            let details = try configuration.details(
                ofServiceTag: parameters["tag"]?.string ?? "", merged: parameters["merged"]?.bool ?? false)
            reply.end(["tag": details])
        } catch { reply.fail(.notFound, ["what": JSONValue(error.description)]) }
    }

    func lookUpServiceTags(_ parameters: JSONValue, _ reply: ReplyStream) {
        let text = parameters["address"]?.string ?? ""
        guard let address = IPAddress(text) else {
            let message = "\(jsonString(String(text.prefix(64)))) is no IP address; write one such as 203.0.113.9"
            return reply.fail(.badQuery, ["message": JSONValue(message)])
        }
        guard let configuration = configurationInForce(reply) else { return }
        reply.end(["matches": JSONValue(configuration.serviceTags(holding: address))])
    }

    private func configurationInForce(_ reply: ReplyStream) -> Configuration? {
        let configuration = enforcer.policy.withLock { $0?.configuration }
        if configuration == nil { reply.fail(.notFound, ["what": "nothing is enforced"]) }
        return configuration
    }
}
