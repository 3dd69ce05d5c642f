import Dispatch
import Synchronization

/// Works out two things at a time.
func sideBySide<First: Sendable, Second: Sendable>(
    _ first: @Sendable () -> First, _ second: @Sendable () -> Second
) -> (First, Second) {
    let done = Mutex<(first: First?, second: Second?)>((nil, nil))
    DispatchQueue.concurrentPerform(iterations: 2) { part in
        if part == 0 {
            let result = first()
            done.withLock { $0.first = result }
        } else {
            let result = second()
            done.withLock { $0.second = result }
        }
    }
    guard let first = done.withLock({ $0.first }), let second = done.withLock({ $0.second }) else {
        preconditionFailure("a part was not done")
    }
    return (first, second)
}
