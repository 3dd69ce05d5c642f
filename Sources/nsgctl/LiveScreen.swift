import Glibc

/// A picture in the terminal that is drawn anew now and then, until a signal (Ctrl-C) ends the program.
enum LiveScreen {
    /// To a screen of its own, which goes with the program. Without a terminal the pictures follow one another.
    /// - Parameters:
    ///   - seconds: between two pictures.
    ///   - draw: gives the whole picture, in lines; what does not fit the terminal is cut off.
    static func run(every seconds: Int, draw: () throws(CommandFailure) -> String) throws(CommandFailure) -> Never {
        let isTerminal = isatty(STDOUT_FILENO) == 1
        if isTerminal { open() }
        while true {
            let picture: String
            do throws(CommandFailure) {
                picture = try draw()
            } catch {
                if isTerminal { restoreTerminal() }
                throw error
            }
            Output.write(isTerminal ? fitted(picture) : picture + "\n\n", to: STDOUT_FILENO)
            sleep(UInt32(clamping: seconds))
        }
    }

    /// The alternate screen, without a cursor.
    private static func open() {
        for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            signal(number) { number in
                // Nothing but what a signal handler may call.
                restoreTerminal()
                signal(number, SIG_DFL)
                raise(number)
            }
        }
        Output.write("\u{1b}[?1049h\u{1b}[?25l", to: STDOUT_FILENO)
    }

    /// From the upper left corner, over the picture before it.
    private static func fitted(_ picture: String) -> String {
        let (rows, columns) = size
        let lines = picture.split(separator: "\n", omittingEmptySubsequences: false).prefix(rows)
        let text = lines.map { $0.prefix(columns) + "\u{1b}[K" }.joined(separator: "\n")
        return "\u{1b}[H" + text + "\u{1b}[J"
    }

    /// Of the terminal; of a usual one where it does not tell.
    private static var size: (rows: Int, columns: Int) {
        var window = winsize()
        guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0, window.ws_row > 0, window.ws_col > 0 else {
            return (24, 80)
        }
        return (Int(window.ws_row), Int(window.ws_col))
    }
}

/// With one system call, so that a signal handler may call it.
private func restoreTerminal() {
    let sequence: StaticString = "\u{1b}[?25h\u{1b}[?1049l"
    _ = unsafe write(STDOUT_FILENO, sequence.utf8Start, sequence.utf8CodeUnitCount)
}
