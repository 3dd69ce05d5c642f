/// Text with HTML's own characters escaped; fit for content and for attributes in quotation marks. Control characters
/// and what turns the direction of text become `·`: names come from documents that anybody may have written.
func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        case "'": result += "&#39;"
        default:
            let isControl =
                scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
            result.unicodeScalars.append(isControl ? "·" : scalar)
        }
    }
    return result
}

/// A drawing that is put together shape by shape. Lengths are in its own units, of which it is `width` wide; it scales
/// to the page. Colours come from the classes of `HTMLReport.style`.
struct Drawing {
    static let width = 1000.0
    let height: Double
    /// What a screen reader says in its place.
    let label: String
    private var shapes = ""

    enum Anchor: String {
        case start, middle, end
    }

    init(height: Double, label: String) {
        self.height = height
        self.label = label
    }

    var svg: String {
        """
        <div class="drawing"><svg viewBox="0 0 \(length(Self.width)) \(length(height))" role="img" \
        aria-label="\(escaped(label))">\(shapes)</svg></div>

        """
    }

    /// - Parameter title: shown where the pointer rests.
    mutating func rectangle(
        _ x: Double, _ y: Double, _ width: Double, _ height: Double, _ style: String, radius: Double = 0,
        opacity: Double? = nil, title: String? = nil
    ) {
        let rounding = radius > 0 ? " rx=\"\(length(min(radius, width / 2, height / 2)))\"" : ""
        let strength = opacity.map { " fill-opacity=\"\(Figures.decimal($0 * 100, places: 0))%\"" } ?? ""
        shapes +=
            "<rect class=\"\(style)\" x=\"\(length(x))\" y=\"\(length(y))\" width=\"\(length(width))\" "
            + "height=\"\(length(height))\"\(rounding)\(strength)"
            + (title.map { "><title>\(escaped($0))</title></rect>" } ?? "/>")
    }

    mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) {
        shapes +=
            "<line class=\"\(style)\" x1=\"\(length(x1))\" y1=\"\(length(y1))\" x2=\"\(length(x2))\" y2=\"\(length(y2))\"/>"
    }

    mutating func text(_ x: Double, _ y: Double, _ text: String, _ style: String, _ anchor: Anchor = .start) {
        let place = anchor == .start ? "" : " text-anchor=\"\(anchor.rawValue)\""
        shapes += "<text class=\"\(style)\" x=\"\(length(x))\" y=\"\(length(y))\"\(place)>\(escaped(text))</text>"
    }

    private func length(_ value: Double) -> String {
        value < 0 ? "-" + Figures.decimal(-value, places: 1) : Figures.decimal(value, places: 1)
    }
}

/// The text, or its beginning where it is longer.
func shortened(_ text: String, to count: Int) -> String { text.count <= count ? text : text.prefix(count - 1) + "…" }
