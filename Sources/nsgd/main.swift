import Glibc
import NSGDaemon

exit(Daemon.run(Array(CommandLine.arguments.dropFirst())))
