import JSONText
import NSGModel
import NetworkTypes

/// A route table, as far as routes bear on rules: their prefixes belong to the tag `VirtualNetwork` (FACTS d1), and a
/// default route that leads elsewhere ends the exemption of KMS (S9).
struct RouteTableDraft: ResourceDraft {
    var id: ResourceID
    var place: Place
    var routes: [RouteDraft]

    init?(_ element: Element, _ defaults: Settings.Defaults) {
        guard let fields = Fields(element, .routeTable), let id = fields.identity(.routeTable, defaults) else {
            return nil
        }
        self.id = id
        place = element.place
        routes = fields.elements("routes").compactMap { RouteDraft($0) }
    }

    /// What the routes add to the tag.
    var tagPrefixes: [IPPrefix] {
        routes.filter { $0.nextHop != .internet && $0.nextHop != .drop }.map(\.prefix)
    }

    var divertsDefaultRoute: Bool { routes.contains { $0.isDefault && $0.nextHop != .internet } }
}

struct RouteDraft {
    enum NextHop: String, CaseIterable {
        case virtualNetworkGateway = "VirtualNetworkGateway"
        case vnetLocal = "VnetLocal"
        case internet = "Internet"
        case virtualAppliance = "VirtualAppliance"
        case drop = "None"
    }

    var prefix: IPPrefix
    var nextHop: NextHop

    /// `0.0.0.0/0`.
    var isDefault: Bool { prefix.length == 0 && prefix.family == .ipv4 }

    /// Nil after a report, or a note: the prefixes of a service tag lie on the Internet.
    init?(_ element: Element) {
        guard let fields = Fields(element, .route) else { return nil }
        let nextHop = fields.choice("nextHopType", of: NextHop.self)
        guard let destination = fields.required("addressPrefix"), let text = destination.text() else { return nil }
        if ServiceTag.isName(text), IPPrefix(text) == nil {
            destination.note("passed over: a route to the service tag \(shown(text)) adds nothing to VirtualNetwork")
            return nil
        }
        guard let prefix = destination.prefix(), let nextHop else { return nil }
        self.prefix = prefix
        self.nextHop = nextHop
    }
}

extension Schema {
    fileprivate static let routeTable = Schema(
        "a route table", reads: ["name", "routes"], passesOver: ["subnets", "disableBgpRoutePropagation"],
        unknown: .refusedWhenNear, isResource: true)
    fileprivate static let route = Schema(
        "a route", reads: ["name", "addressPrefix", "nextHopType"],
        passesOver: ["nextHopIpAddress", "hasBgpOverride", "nextHop"], unknown: .refusedWhenNear, isResource: true)
}
