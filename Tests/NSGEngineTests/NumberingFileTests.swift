import JSONText
import NSGCompiler
import NSGEngine
import NSGModel
import NetworkTypes
import Testing

@Suite("Numbers of rules (E4)")
struct NumberingFileTests {
    @Test("survive a restart")
    func roundTrip() throws {
        let numbering = try TwoMachines.policy().numbering
        let content = try #require(NumberingFile.content(NumberingFile.text(numbering)))
        #expect(content.numbering == numbering && content.isWhole && content.lineCount == numbering.rules.count)
    }

    @Test("a change is a few lines at the end, and the file then says what a new one would")
    func appending() throws {
        var first = try TwoMachines.policy().numbering
        let whole = NumberingFile.text(first)
        first.noteSaved()
        #expect(NumberingFile.addition(first).isEmpty)
        let policy = try TwoMachines.policy(webPort: 81, numbering: first)
        var changed = policy.numbering
        #expect(changed.unsaved.count == 1)
        let given = NumberingFile.addition(changed)
        #expect(NumberingFile.content(whole + given)?.numbering == changed)
        changed.noteSaved()
        changed.retire(absentFrom: policy.book, carriedBy: [])
        #expect(changed.unsaved.count == 1)
        let content = try #require(NumberingFile.content(whole + given + NumberingFile.addition(changed)))
        #expect(content.numbering == changed && content.isWhole)
        #expect(content.lineCount == first.rules.count + 2)
    }

    @Test("wherever the machine died while it wrote, what was there before is read")
    func torn() throws {
        var numbering = try TwoMachines.policy().numbering
        let whole = NumberingFile.text(numbering)
        numbering.noteSaved()
        let changed = try TwoMachines.policy(webPort: 81, numbering: numbering).numbering
        let addition = NumberingFile.addition(changed)
        for length in addition.indices.dropFirst() {
            let content = try #require(NumberingFile.content(whole + addition[..<length]), "\(length)")
            #expect(content.numbering == numbering && !content.isWhole && content.damagedLines == 0, "\(length)")
        }
        // The size of the file came to the disk, and the text did not.
        let zeros = [UInt8](repeating: 0, count: addition.count - 1) + [UInt8(ascii: "\n")]
        let content = try #require(NumberingFile.content(whole + zeros))
        #expect(content.numbering == numbering && !content.isWhole && content.damagedLines == 1)
    }

    @Test("the file of earlier releases is read: versions there are the texts that they are digests of now")
    func earlierFormat() throws {
        let text = """
            {"version":2,"rules":[{"number":7,"owner":"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/\
            networkSecurityGroups/web","direction":"Inbound","name":"AllowWeb","kind":"custom","priority":100,\
            "access":"Allow","version":"Tcp 10.0.0.0/8,fd00::/8 * virtualnetwork 80,8000-8010 Allow 100"}]}
            """
        let numbering = try #require(NumberingFile.earlierFormat(try JSONValue(parsing: text, dialect: .json)))
        let owner = ResourceID(
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkSecurityGroups/WEB")
        let rule = SecurityRule(
            id: owner.child("securityRules", "AllowWeb"), owner: owner, name: "AllowWeb", protocol: .tcp,
            source: .prefixes(["10.0.0.0/8", "fd00::/8"].compactMap { IPPrefix($0) }), sourcePorts: [.any],
            destination: .serviceTag(.virtualNetwork), destinationPorts: [PortRange(80), PortRange(8000...8010)],
            access: .allow, priority: Priority(100), direction: .inbound)
        #expect(numbering.number(of: rule) == RuleNumber(7))
    }

    @Test("of a list are known without a look at its rules, and are those of the rules")
    func ofLists() throws {
        let first = try TwoMachines.policy()
        for list in first.book.boundLists {
            #expect(first.numbering.numbers(of: list) == list.rules.compactMap { first.numbering.number(of: $0.rule) })
        }
        let second = try #require(Policy(first.configuration, numbering: first.numbering, after: first))
        #expect(second.book.boundLists.map(\.version) == first.book.boundLists.map(\.version))
        #expect(second.numbering == first.numbering && second.numbering.unsaved == first.numbering.unsaved)
    }

    @Test("stay with a version of a rule: a change gets a new one, the way back the old one")
    func versions() throws {
        let first = try TwoMachines.policy()
        let changed = try TwoMachines.policy(webPort: 81, numbering: first.numbering)
        let back = try TwoMachines.policy(webPort: 80, numbering: changed.numbering)
        let name = { (policy: Policy, port: Int) in
            policy.numbering.rules.filter { $0.value.name == "AllowWeb" }.map(\.key).sorted()
        }
        #expect(name(first, 80).count == 1)
        #expect(name(changed, 81).count == 2)
        #expect(back.ruleset == first.ruleset)
        #expect(changed.ruleset != first.ruleset)
    }

    @Test("are not given to another rule while a flow carries them")
    func retiring() throws {
        let first = try TwoMachines.policy()
        let old = try TwoMachines.number("AllowWeb", of: "web", in: first)
        let changed = try TwoMachines.policy(webPort: 81, numbering: first.numbering)
        var numbering = changed.numbering
        numbering.retire(absentFrom: changed.book, carriedBy: [old])
        #expect(numbering.rules[old] != nil)
        numbering.retire(absentFrom: changed.book, carriedBy: [])
        #expect(numbering.rules[old] == nil)
    }

    @Test(
        "a damaged file is told", arguments: ["{}", #"{"version":2,"rules":[]}"#, "[1]", "", #"{"format":4}"# + "\n"])
    func damaged(text: String) {
        #expect(NumberingFile.content(Array(text.utf8)) == nil)
    }
}
