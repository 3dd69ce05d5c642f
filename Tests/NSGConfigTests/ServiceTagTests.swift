import NSGConfig
import NSGModel
import NetworkTypes
import Testing

/// S10, C6: the file of service tags, and what documents make of it.
@Suite struct ServiceTagTests {
    static let weekly = """
        {"changeNumber": 7, "cloud": "Public", "values": [
          {"name": "Storage", "id": "Storage", "properties": {"changeNumber": 3, "region": "", "regionId": 0,
            "platform": "Azure", "systemService": "AzureStorage", "addressPrefixes": ["203.0.113.0/25", "2001:db8::/32"],
            "networkFeatures": ["API", "NSG"]}},
          {"name": "Storage.WestEurope", "id": "Storage.WestEurope", "properties": {"changeNumber": 2,
            "region": "westeurope", "regionId": 18, "platform": "Azure", "systemService": "AzureStorage",
            "addressPrefixes": ["203.0.113.0/26", "203.0.113.64/26"], "networkFeatures": null}},
          {"name": "AzureFrontDoor.Frontend", "id": "AzureFrontDoor.Frontend", "properties": {"changeNumber": 1,
            "region": "", "regionId": 0, "platform": "Azure", "systemService": "AzureFrontDoor",
            "addressPrefixes": ["198.51.100.0/24"], "networkFeatures": ["NSG"]}}]}
        """

    /// As `az network list-service-tags` prints the discovery API's answer: numbers are texts, no features.
    static let discovered = """
        {"changeNumber": "8", "cloud": "Public", "id": "/subscriptions/0/providers/Microsoft.Network/serviceTags/public",
         "name": "public", "nextLink": null, "type": "Microsoft.Network/serviceTags", "values": [
          {"id": "Storage", "name": "Storage", "serviceTagChangeNumber": null, "properties": {"changeNumber": "4",
            "region": "", "state": "GA", "systemService": "AzureStorage", "addressPrefixes": ["203.0.113.0/24"]}}]}
        """

    static func naming(_ tags: String...) -> String {
        Documents.securityGroup(
            tags.enumerated().map { index, tag in
                Documents.rule(
                    "r\(index)", ["priority": "\(100 + index)", "sourceAddressPrefix": "\"\(tag)\""])
            })
    }

    @Test("the weekly file and the discovery API's answer are read")
    func formats() throws {
        let file = try ServiceTagFile(SourceText(name: "t.json", text: Self.weekly))
        #expect(file.changeNumber == 7 && file.cloud == "Public" && file.prefixCount == 5)
        #expect(file.names == ["AzureFrontDoor.Frontend", "Storage", "Storage.WestEurope"])
        #expect(file.entries["storage"]?.changeNumber == 3)
        #expect(file.entries["storage"]?.networkFeatures == ["API", "NSG"])
        #expect(file.entries["storage.westeurope"]?.isOfferedForSecurityGroups == false)
        let answer = try ServiceTagFile(SourceText(name: "t.json", text: Self.discovered))
        #expect(answer.changeNumber == 8 && answer.entries["storage"]?.changeNumber == 4)
        #expect(answer.entries["storage"]?.isOfferedForSecurityGroups == true)
    }

    static let wrong: [(text: String, code: String, message: String)] = [
        (String(weekly.dropLast(300)), "InvalidJSON", "the text ends inside"),
        ("<html></html>", "InvalidJSON", "found `<`"), ("", "InvalidJSON", "the text is empty"),
        ("[1]", "WrongType", "it is an array"), ("{}", "WrongType", "but nothing"),
        (
            #"{"syncToken": "1", "prefixes": [{"ip_prefix": "198.51.100.0/24"}]}"#, "WrongType",
            "syncToken, prefixes"
        ),
        (#"{"$schema": "s", "resources": []}"#, "WrongType", "$schema, resources"),
        (#"{"changeNumber": 1, "values": []}"#, "WrongType", "values is no list"),
        (
            #"{"values": [{"name": "A", "properties": {"addressPrefixes": ["198.51.100.1/24"]}}]}"#,
            "InvalidCIDRNotation", "198.51.100.1/24"
        ),
        (
            #"{"values": [{"name": "A", "properties": {"addressPrefixes": ["198.51.100.0/33"]}}]}"#,
            "InvalidCIDRNotation", "198.51.100.0/33"
        ),
        (
            #"{"values": [{"name": "A", "properties": {"changeNumber": 1}}, {"name": "B", "properties": {"addressPrefixes": []}}]}"#,
            "MissingProperty", "addressPrefixes"
        ),
        (
            #"{"values": [{"name": "A", "properties": {"addressPrefixes": []}}, {"name": "a", "properties": {"addressPrefixes": []}}]}"#,
            "DuplicateResource", "twice"
        ),
        (
            #"{"values": [{"name": "A B", "properties": {"addressPrefixes": []}}]}"#, "UnknownValue",
            "cannot be the name"
        ),
        (
            #"{"nextLink": "https://next", "values": [{"name": "A", "properties": {"addressPrefixes": []}}]}"#,
            "UnknownValue", "first part"
        ),
    ]

    @Test("what is no such file is refused whole, with a reason", arguments: wrong)
    func refused(text: String, code: String, message: String) {
        let error = #expect(throws: ConfigurationFaults.self) {
            _ = try ServiceTagFile(SourceText(name: "t.json", text: text))
        }
        #expect(error?.faults.map(\.code) == [code], "\(error?.description ?? "")")
        #expect(error?.faults.first?.message.contains(message) == true, "\(error?.description ?? "")")
    }

    @Test("a file beyond the bound is refused before it is parsed")
    func tooLong() {
        let bytes = [UInt8](repeating: 0x20, count: ServiceTagFile.limit + 1)
        let error = #expect(throws: ConfigurationFaults.self) {
            _ = try ServiceTagFile(SourceText(name: "t.json", bytes: bytes))
        }
        #expect(error?.faults.map(\.code) == ["LimitReached"])
    }

    @Test("any case, regional and dotted names; own tags win; tags without the feature are taken with a note")
    func names() throws {
        let loaded = try load(
            [Self.naming("storage.westeurope", "AZUREFRONTDOOR.frontend", "Storage")],
            settings: "{serviceTags: {STORAGE: ['192.0.2.0/24']}}", serviceTags: Self.weekly)
        let estate = loaded.estate
        #expect(estate.prefixes(of: ServiceTag("storage")).map(\.description) == ["192.0.2.0/24"])
        #expect(estate.canonicalName(of: ServiceTag("storage")) == "STORAGE")
        #expect(estate.canonicalName(of: ServiceTag("storage.westEUROPE")) == "Storage.WestEurope")
        #expect(estate.canonicalName(of: ServiceTag("INTERNET")) == "Internet")
        #expect(estate.canonicalName(of: ServiceTag("VIRTUAL_NETWORK")) == "VirtualNetwork")
        #expect(loaded.notes.filter { $0.contains("does not offer") }.count == 1)
    }

    @Test("an unknown tag is Azure's fault, with the name that is near")
    func unknown() {
        let found = faults([Self.naming("Storage.WestEurop")], serviceTags: Self.weekly)
        #expect(found.map(\.code) == ["SecurityRuleInvalidAddressPrefix"])
        #expect(found.first?.remedy.contains("did you mean the tag Storage.WestEurope?") == true)
        // A file that cannot be read is one fault, not one for each rule besides.
        #expect(faults([Self.naming("Storage")], serviceTags: "{}").map(\.code) == ["WrongType"])
    }

    @Test("another file changes the tags and nothing else; one that lacks a tag in use is refused, at the rule's line")
    func replaced() throws {
        let loaded = try load([Self.naming("storage", "Internet")], serviceTags: Self.weekly)
        let next = try ServiceTagFile(SourceText(name: "t.json", text: Self.discovered))
        var replaced = try loaded.replacing(serviceTags: next)
        #expect(replaced.estate.prefixes(of: ServiceTag("Storage")).map(\.description) == ["203.0.113.0/24"])
        #expect(replaced.serviceTagFile == next && replaced.estate.serviceTags.count == 1)
        replaced.estate.serviceTags = loaded.estate.serviceTags
        replaced.estate.serviceTagNames = loaded.estate.serviceTagNames
        #expect(replaced.estate == loaded.estate)

        let regional = try load([Self.naming("Internet", "Storage.WestEurope")], serviceTags: Self.weekly)
        let error = #expect(throws: ConfigurationFaults.self) { _ = try regional.replacing(serviceTags: next) }
        let fault = try #require(error?.faults.first)
        #expect(error?.faults.count == 1 && fault.code == "SecurityRuleInvalidAddressPrefix")
        #expect(fault.file == "policy.d/0.json" && fault.line == 3)
    }

    @Test(
        "names near to a word",
        arguments: [
            ("Storag", "Storage"), ("storage.west", "Storage.WestEurope"),
            ("AzureFrontDoor", "AzureFrontDoor.Frontend"),
            ("zzzz", nil),
        ] as [(String, String?)])
    func near(word: String, expected: String?) throws {
        let names = try load([], serviceTags: Self.weekly).serviceTagNames(near: word)
        if let expected { #expect(names.contains(expected), "\(names)") } else { #expect(names.isEmpty) }
    }
}
