import Glibc

/// A screen of its own on a terminal, drawn anew every two seconds; the one before is back when the value dies, and so
/// when a signal comes that would end the program.
struct LiveScreen: ~Copyable {
    private var signals = sigset_t()
    private static let seconds = 2

    /// Draws one picture after the other until a signal asks for the end: on a terminal over each other, elsewhere one
    /// behind the other. A daemon that is not there ends it at the first; later it is said, and asked again.
    static func run(draw: () throws(CommandFailure) -> [String]) throws(CommandFailure) {
        var lines = try draw()
        guard isatty(STDOUT_FILENO) == 1 else {
            while true {
                Output.line(lines.joined(separator: "\n") + "\n")
                sleep(UInt32(seconds))
                lines = try draw()
            }
        }
        let screen = LiveScreen()
        while screen.show(lines) {
            do throws(CommandFailure) {
                lines = try draw()
            } catch {
                lines = ["nsgctl: \(error.message)", "", "Trying again."]
            }
        }
    }

    private init() {
        unsafe sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH] { unsafe sigaddset(&signals, signal) }
        // From now on they wait until `show` asks for them.
        unsafe sigprocmask(SIG_BLOCK, &signals, nil)
        Output.write("\u{1b}[?1049h\u{1b}[?25l", to: STDOUT_FILENO)
    }

    deinit {
        Output.write("\u{1b}[?25h\u{1b}[?1049l", to: STDOUT_FILENO)
        var signals = signals
        unsafe sigprocmask(SIG_UNBLOCK, &signals, nil)
    }

    /// Draws what fits, and waits. False once a signal asks for the end.
    private func show(_ lines: [String]) -> Bool {
        while true {
            draw(lines)
            var signals = signals
            var time = timespec(tv_sec: Self.seconds, tv_nsec: 0)
            let signal = unsafe sigtimedwait(&signals, nil, &time)
            // The window has another size.
            if signal == SIGWINCH { continue }
            return signal < 0
        }
    }

    private func draw(_ lines: [String]) {
        var size = winsize()
        let isKnown = unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_row > 0 && size.ws_col > 0
        let (rows, columns) = isKnown ? (Int(size.ws_row), Int(size.ws_col)) : (24, 80)
        let shown = lines.prefix(rows).map { line in "\(line.prefix(columns))\u{1b}[K" }
        // In one write, and without clearing first, so that nothing flickers.
        Output.write("\u{1b}[H\(shown.joined(separator: "\r\n"))\u{1b}[J", to: STDOUT_FILENO)
    }
}
