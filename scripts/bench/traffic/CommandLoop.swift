import Glibc

/// What cannot go on, in words that fit into a JSON string.
struct TrafficError: Error, CustomStringConvertible {
    var description: String

    init(description: String) { self.description = description }

    /// A system call that failed just now.
    init(doing what: String) {
        description = unsafe "\(what): \(String(cString: strerror(errno)))"
    }
}

/// What one side of the traffic does when it is told to.
protocol CommandHandler: ~Copyable {
    /// The members of the answer, as JSON.
    mutating func answer(to command: String, _ arguments: [String]) throws -> String
}

/// A command a line from standard input, an answer a line to standard output, until the input ends.
enum CommandLoop {
    static func run(_ handler: consuming some CommandHandler & ~Copyable) {
        var handler = handler
        say("{\"ready\": true}")
        while let line = readLine() {
            let words = line.split(separator: " ").map(String.init)
            guard let command = words.first else { continue }
            do {
                say("{\(try handler.answer(to: command, Array(words.dropFirst())))}")
            } catch {
                say("{\"error\": \"\(command): \(error)\"}")
            }
        }
    }

    static func say(_ text: String) {
        var line = text + "\n"
        line.withUTF8 { bytes in _ = unsafe write(STDOUT_FILENO, bytes.baseAddress, bytes.count) }
    }

    /// Whether the next command is there already; does not wait. For senders that go on until they are told otherwise.
    static var isTold: Bool {
        var standardInput = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&standardInput, 1, 0) > 0
    }
}

extension [String] {
    /// The number at a place of the command.
    func number(_ index: Int) throws -> Double {
        guard indices.contains(index), let value = Double(self[index]), value >= 0, value < 1e15 else {
            throw TrafficError(description: "argument \(index + 1) must be a number")
        }
        return value
    }

    func port(_ index: Int) throws -> UInt16 {
        guard let port = UInt16(exactly: try number(index)) else {
            throw TrafficError(description: "argument \(index + 1) must be a port")
        }
        return port
    }
}
