import JSONText
import NSGCompiler
import NSGEngine
import Testing

@Suite("Numbers of rules (E4)")
struct NumberingFileTests {
    @Test("survive a restart")
    func roundTrip() throws {
        let numbering = try TwoMachines.policy().numbering
        let text = NumberingFile.text(numbering)
        #expect(NumberingFile.numbering(try JSONValue(parsing: text, dialect: .json)) == numbering)
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

    @Test("a damaged file is told", arguments: ["{}", #"{"version":3,"rules":[]}"#, "[1]"])
    func damaged(text: String) throws {
        #expect(NumberingFile.numbering(try JSONValue(parsing: text, dialect: .json)) == nil)
    }
}
