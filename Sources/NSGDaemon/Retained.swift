import Synchronization
import SystemServices

/// Keeps alive what works by itself until the process ends.
final class Retained: Sendable {
    private let objects = Mutex<[any AnyObject & Sendable]>([])
    func hold(_ object: any AnyObject & Sendable) { objects.withLock { $0.append(object) } }
}

/// A value as an object.
final class Boxed<Value>: @unchecked Sendable {
    // Unchecked: the value is held, and never touched again.
    private let value: Value
    init(_ value: Value) { self.value = value }
}

/// Between the watcher of devices, which is there first, and those who follow it.
final class LinkHandOver: Sendable {
    private let follower = Mutex<(@Sendable (LinkTable) -> Void)?>(nil)
    func begin(_ follower: @escaping @Sendable (LinkTable) -> Void) { self.follower.withLock { $0 = follower } }
    func take(_ table: LinkTable) { follower.withLock { $0 }?(table) }
}

/// Keeps the signals that come before there is anything to tell.
final class SignalHandOver: Sendable {
    private struct State {
        var pending: [SignalSource.Signal] = []
        var follower: (@Sendable (SignalSource.Signal) -> Void)?
    }

    private let state = Mutex(State())

    func begin(_ follower: @escaping @Sendable (SignalSource.Signal) -> Void) {
        let pending = state.withLock { state in
            state.follower = follower
            defer { state.pending = [] }
            return state.pending
        }
        for signal in pending { follower(signal) }
    }

    func take(_ signal: SignalSource.Signal) {
        let follower = state.withLock { state in
            if state.follower == nil { state.pending.append(signal) }
            return state.follower
        }
        follower?(signal)
    }
}
