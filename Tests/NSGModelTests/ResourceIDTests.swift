import NSGModel
import Testing

@Suite("ids of resources")
struct ResourceIDTests {
    private static let network = ResourceID(
        subscription: "11111111-2222-3333-4444-555555555555", resourceGroup: "Lab", type: "virtualNetworks", name: "hub"
    )

    @Test("compared without case, printed as written")
    func comparesWithoutCase() {
        let shouted = ResourceID(Self.network.description.uppercased())
        #expect(shouted == Self.network && Set([shouted, Self.network]).count == 1)
        #expect(shouted.description != Self.network.description)
        #expect(shouted.resourceGroup == "LAB" && shouted.subscription == Self.network.subscription)
    }

    @Test("a child's parent is the resource that holds it; the top has none")
    func parents() {
        let subnet = Self.network.child("subnets", "web")
        #expect((subnet.name, subnet.type) == ("web", "subnets"))
        #expect(subnet.parent == Self.network)
        #expect(Self.network.parent == nil)
    }

    @Test("any text is an id, with empty parts where it has none", arguments: ["", "/", "hub", "a/b"])
    func toleratesAnyText(text: String) {
        let id = ResourceID(text)
        #expect(id.subscription.isEmpty && id.resourceGroup.isEmpty && id.parent == nil)
    }
}
