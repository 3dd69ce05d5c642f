import ControlProtocol
import JSONText
import Testing

@Suite("Varlink messages")
struct VarlinkMessageTests {
    @Test("the framer gives the same messages wherever the stream is cut")
    func framerAtEverySplit() throws {
        let messages: [[UInt8]] = [Array("{\"a\":1}".utf8), [], Array("ü".utf8), [1]]
        let stream = messages.flatMap { (message: [UInt8]) -> [UInt8] in message + [0] } + [0x7b as UInt8]
        for split in 0...stream.count {
            var framer = VarlinkFramer(limit: 7)
            var given: [[UInt8]] = []
            for part in [stream[..<split], stream[split...]] {
                framer.append(part)
                while let message = try framer.next() { given.append(message) }
            }
            #expect(given == messages && framer.count == 1)
        }
        var framer = VarlinkFramer(limit: 7)
        var given: [[UInt8]] = []
        for byte in stream {
            framer.append([byte])
            while let message = try framer.next() { given.append(message) }
        }
        #expect(given == messages)
    }

    @Test("a message may have as many bytes as the limit, and no more", arguments: [1, 1000, 1 << 20])
    func framerLimit(limit: Int) throws {
        var framer = VarlinkFramer(limit: limit)
        framer.append(repeatElement(1, count: limit))
        #expect(try framer.next() == nil)
        framer.append([0])
        #expect(try framer.next()?.count == limit)
        framer.append(repeatElement(1, count: limit + 1))
        #expect(throws: VarlinkFramer.TooLong(limit: limit)) { try framer.next() }
        framer.append([0])
        #expect(throws: VarlinkFramer.TooLong(limit: limit)) { try framer.next() }
    }

    @Test(
        "calls are read and written",
        arguments: [
            (#"{"method":"a.B.C","parameters":{}}"#, VarlinkCall(method: "a.B.C")),
            (
                #"{"method":"a.B","parameters":{"x":[1]},"more":true}"#,
                VarlinkCall(method: "a.B", parameters: ["x": [1]], more: true)
            ),
            (#"{"method":"a.B","parameters":{},"oneway":true}"#, VarlinkCall(method: "a.B", oneway: true)),
            (#"{"method":"a.B","parameters":{},"upgrade":true}"#, VarlinkCall(method: "a.B", upgrade: true)),
        ]
    )
    func calls(text: String, call: VarlinkCall) throws {
        #expect(try VarlinkCall(parsing: Array(text.utf8)) == call)
        #expect(call.bytes == Array(text.utf8) + [0])
    }

    @Test("a call's optional members may be absent or null")
    func optionalMembers() throws {
        let text = #"{"more":null,"oneway":false,"method":"io.nsgd.Control.Ping","parameters":null,"upgrade":null}"#
        let call = try VarlinkCall(parsing: Array(text.utf8))
        #expect(call == VarlinkCall(method: "io.nsgd.Control.Ping"))
        #expect(call.interface == "io.nsgd.Control" && call.name == "Ping")
        let bare = VarlinkCall(method: "Ping")
        #expect(bare.interface.isEmpty && bare.name == "Ping")
    }

    @Test(
        "what is no call is refused",
        arguments: [
            "", "{}", "[]", "null", "{", #"{"method":1}"#, #"{"method":null}"#, #"{"method":"a.B","parameters":[]}"#,
            #"{"method":"a.B","more":1}"#, #"{"method":"a.B","extra":1}"#, #"{"method":"a.B","method":"a.B"}"#,
            #"{"method":"a.B","oneway":true,"more":true}"#, #"{method:"a.B"}"#, #"{"method":"a.B"} x"#,
        ]
    )
    func refusedCalls(text: String) {
        #expect(throws: VarlinkMessageError.self) { try VarlinkCall(parsing: Array(text.utf8)) }
    }

    @Test(
        "replies are read and written",
        arguments: [
            (#"{"parameters":{}}"#, VarlinkReply()),
            (#"{"parameters":{"x":1},"continues":true}"#, VarlinkReply(parameters: ["x": 1], continues: true)),
            (#"{"error":"a.B","parameters":{"x":1}}"#, VarlinkReply(parameters: ["x": 1], error: "a.B")),
        ]
    )
    func replies(text: String, reply: VarlinkReply) throws {
        #expect(try VarlinkReply(parsing: Array(text.utf8)) == reply)
        #expect(reply.bytes == Array(text.utf8) + [0])
    }

    @Test(
        "what is no reply is refused",
        arguments: [
            "", "[]", #"{"error":1}"#, #"{"parameters":1}"#, #"{"continues":"x"}"#, #"{"reply":{}}"#,
            #"{"error":"a.B","continues":true}"#,
        ]
    )
    func refusedReplies(text: String) {
        #expect(throws: VarlinkMessageError.self) { try VarlinkReply(parsing: Array(text.utf8)) }
    }
}
