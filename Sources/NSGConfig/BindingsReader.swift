import JSONText
import NSGModel

/// One line of `bindings.json` (C3).
struct BindingDraft {
    var networkInterface: Reference
    var place: Place
    var device: String
    var devicePlace: Place
    var attachment: Attachment

    /// Nil after a report.
    init?(_ name: String, _ element: Element) {
        guard let fields = Fields(element, .binding) else { return nil }
        let device = fields.required("interface")?.deviceName()
        let attachment = fields.choice("attachment", of: Attachment.self)
        guard let device, let attachment else { return nil }
        networkInterface = Reference(text: name, place: element.place)
        place = element.place
        self.device = device
        devicePlace = fields["interface"]?.place ?? element.place
        self.attachment = attachment
    }

    static func drafts(_ document: Element) -> [BindingDraft] {
        guard let fields = Fields(document, .bindings), let interfaces = fields["networkInterfaces"]?.members() else {
            return []
        }
        return interfaces.compactMap { BindingDraft($0.key, $0.element) }
    }
}

extension Schema {
    fileprivate static let bindings = own("bindings.json", ["networkInterfaces"])
    fileprivate static let binding = own("a binding", ["interface", "attachment"])
}

extension Element {
    /// What the kernel takes as the name of a network device (`dev_valid_name`), less what no terminal shows.
    fileprivate func deviceName() -> String? {
        guard let text = text() else { return nil }
        let isValid =
            (1...15).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }
            && text != "." && text != ".." && text != "lo"
        guard isValid else {
            report(
                .invalidDeviceName,
                text == "lo" ? "loopback is never filtered" : "\(shown(text)) cannot be the name of a network device",
                remedy: "name a device as `ip link` does: 1 to 15 printable characters without blanks, '/' and ':'")
            return nil
        }
        return text
    }
}
