internal import Synchronization

/// Values that a closure on another queue gathers, for a test to look at.
package final class Gathered<Element: Sendable>: Sendable {
    private let storage = Mutex<[Element]>([])

    package init() {}

    package func append(_ element: Element) { storage.withLock { $0.append(element) } }
    package func append(contentsOf elements: [Element]) { storage.withLock { $0 += elements } }
    package var all: [Element] { storage.withLock { $0 } }
}
