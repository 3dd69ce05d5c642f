import FlowLog
package import JSONText
import NSGModel
import NetworkTypes

// The summary as the method `Traffic` gives it, and back.

extension TrafficSummary {
    package var json: JSONValue {
        JSONValue(object: [
            ("from", JSONValue(from.description)), ("to", JSONValue(to.description)),
            (
                "totals",
                [
                    "allowed": JSONValue(totals.allowed), "denied": JSONValue(totals.denied),
                    "packets": JSONValue(totals.packets), "bytes": JSONValue(totals.bytes),
                    "talkers": JSONValue(totals.talkers), "missing": JSONValue(totals.missing),
                ]
            ),
            ("talkers", JSONValue(talkers.map(\.json))), ("denied", JSONValue(denials.map(\.json))),
            ("ports", JSONValue(ports.map(\.json))), ("rules", JSONValue(rules.map(\.json))),
            ("ruleCount", JSONValue(ruleCount)), ("neverFired", JSONValue(neverFired.map(\.json))),
            ("neverFiredCount", JSONValue(neverFiredCount)),
            (
                "timeline",
                [
                    "step": JSONValue(timeline.step),
                    "points": JSONValue(
                        timeline.points.map { point in
                            [
                                "start": JSONValue(point.start.description), "allowed": JSONValue(point.allowed),
                                "denied": JSONValue(point.denied), "bytes": JSONValue(point.bytes),
                            ]
                        }),
                ]
            ),
            (
                "deniedMatrix",
                [
                    "sources": JSONValue(matrix.sources), "ports": JSONValue(matrix.ports),
                    "cells": JSONValue(
                        matrix.cells.map { cell in
                            [
                                "source": JSONValue(cell.source.description),
                                "protocol": JSONValue(Int(cell.protocol.rawValue)), "port": JSONValue(Int(cell.port)),
                                "flows": JSONValue(cell.flows),
                            ]
                        }),
                ]
            ),
            ("gaps", JSONValue(gaps.map(\.json))), ("rowsLost", JSONValue(rowsLost)),
        ])
    }

    /// Nil for what is no summary; single elements that are not understood are left out.
    package init?(_ json: JSONValue) {
        guard let from = json.time("from"), let to = json.time("to") else { return nil }
        self.init(from: from, to: to)
        if let json = json["totals"] {
            totals.allowed = json.count("allowed")
            totals.denied = json.count("denied")
            totals.packets = json.count("packets")
            totals.bytes = json.count("bytes")
            totals.talkers = json.count("talkers")
            totals.missing = json.count("missing")
        }
        talkers = json.elements("talkers").compactMap { Talker($0) }
        denials = json.elements("denied").compactMap { Denial($0) }
        ports = json.elements("ports").map { Port($0) }
        rules = json.elements("rules").map { Rule($0) }
        ruleCount = json.count("ruleCount")
        neverFired = json.elements("neverFired").map { Rule($0) }
        neverFiredCount = json.count("neverFiredCount")
        timeline.step = json["timeline"]?.count("step") ?? 0
        timeline.points = (json["timeline"]?.elements("points") ?? []).compactMap { point in
            point.time("start").map { start in
                Timeline.Point(
                    start: start, allowed: point.count("allowed"), denied: point.count("denied"),
                    bytes: point.count("bytes"))
            }
        }
        matrix.sources = json["deniedMatrix"]?.count("sources") ?? 0
        matrix.ports = json["deniedMatrix"]?.count("ports") ?? 0
        matrix.cells = (json["deniedMatrix"]?.elements("cells") ?? []).compactMap { cell in
            IPAddress(cell.text("source")).map { source in
                DenialMatrix.Cell(
                    source: source, protocol: cell.protocol, port: cell.port, flows: cell.count("flows"))
            }
        }
        gaps = json.elements("gaps").compactMap { Gap($0) }
        rowsLost = json.count("rowsLost")
    }
}

extension TrafficSummary.Talker {
    fileprivate var json: JSONValue {
        [
            "source": JSONValue(source.description), "destination": JSONValue(destination.description),
            "sourceName": JSONValue(sourceName), "destinationName": JSONValue(destinationName),
            "flowType": JSONValue(flowType), "flows": JSONValue(flows), "denied": JSONValue(denied),
            "packets": JSONValue(packets), "bytes": JSONValue(bytes),
        ]
    }

    fileprivate init?(_ json: JSONValue) {
        guard let source = IPAddress(json.text("source")), let destination = IPAddress(json.text("destination")) else {
            return nil
        }
        self.init(
            source: source, destination: destination, sourceName: json.text("sourceName"),
            destinationName: json.text("destinationName"), flowType: json.text("flowType"), flows: json.count("flows"),
            denied: json.count("denied"), packets: json.count("packets"), bytes: json.count("bytes"))
    }
}

extension TrafficSummary.Denial {
    fileprivate var json: JSONValue {
        [
            "source": JSONValue(source.description), "destination": JSONValue(destination.description),
            "protocol": JSONValue(Int(self.protocol.rawValue)), "port": JSONValue(Int(port)),
            "direction": JSONValue(direction.rawValue), "networkSecurityGroup": JSONValue(group),
            "ruleName": JSONValue(rule), "flows": JSONValue(flows), "last": JSONValue(last.description),
        ]
    }

    fileprivate init?(_ json: JSONValue) {
        guard let source = IPAddress(json.text("source")), let destination = IPAddress(json.text("destination")),
            let last = json.time("last")
        else { return nil }
        self.init(
            source: source, destination: destination, protocol: json.protocol, port: json.port,
            direction: json.direction, group: json.text("networkSecurityGroup"), rule: json.text("ruleName"),
            flows: json.count("flows"), last: last)
    }
}

extension TrafficSummary.Port {
    fileprivate var json: JSONValue {
        [
            "protocol": JSONValue(Int(self.protocol.rawValue)), "port": JSONValue(Int(port)), "name": JSONValue(name),
            "flows": JSONValue(flows), "denied": JSONValue(denied), "bytes": JSONValue(bytes),
        ]
    }

    fileprivate init(_ json: JSONValue) {
        self.init(
            protocol: json.protocol, port: json.port, flows: json.count("flows"), denied: json.count("denied"),
            bytes: json.count("bytes"))
    }
}

extension TrafficSummary.Rule {
    fileprivate var json: JSONValue {
        var members: [(String, JSONValue)] = [
            ("networkSecurityGroup", JSONValue(group)), ("ruleName", JSONValue(name)), ("type", JSONValue(type)),
            ("direction", JSONValue(direction.rawValue)), ("access", JSONValue(access)),
        ]
        if let priority { members.append(("priority", JSONValue(priority))) }
        if let hits { members.append(("hits", JSONValue(hits))) }
        return JSONValue(object: members + [("flows", JSONValue(flows)), ("bytes", JSONValue(bytes))])
    }

    fileprivate init(_ json: JSONValue) {
        self.init(
            group: json.text("networkSecurityGroup"), name: json.text("ruleName"), type: json.text("type"),
            direction: json.direction, priority: json["priority"]?.int, access: json.text("access"),
            hits: json["hits"]?.int.map { UInt64(clamping: $0) }, flows: json.count("flows"),
            bytes: json.count("bytes"))
    }
}

extension TrafficSummary.Gap {
    fileprivate var json: JSONValue {
        [
            "from": JSONValue(from.description), "to": JSONValue(to.description), "missing": JSONValue(missing),
            "reason": JSONValue(reason), "networkSecurityGroup": JSONValue(group), "ruleName": JSONValue(rule),
        ]
    }

    fileprivate init?(_ json: JSONValue) {
        guard let from = json.time("from"), let to = json.time("to") else { return nil }
        self.init(
            from: from, to: to, missing: json.count("missing"), reason: json.text("reason"),
            group: json.text("networkSecurityGroup"), rule: json.text("ruleName"))
    }
}

extension JSONValue {
    fileprivate func time(_ key: String) -> Timestamp? { self[key]?.string.flatMap { Timestamp(rfc3339: $0) } }
    fileprivate func count(_ key: String) -> UInt64 { self[key]?.int.map { UInt64(clamping: $0) } ?? 0 }
    fileprivate func text(_ key: String) -> String { self[key]?.string ?? "" }
    fileprivate func elements(_ key: String) -> [JSONValue] { self[key]?.array ?? [] }
    fileprivate var `protocol`: IPProtocol { IPProtocol(rawValue: UInt8(clamping: self["protocol"]?.int ?? 0)) }
    fileprivate var port: UInt16 { UInt16(clamping: self["port"]?.int ?? 0) }
    fileprivate var direction: Direction { self["direction"]?.string.flatMap(Direction.init(rawValue:)) ?? .inbound }
}

// MARK: The question

extension TrafficQuery {
    package struct Problem: Error, CustomStringConvertible {
        package var description: String
    }

    /// The parameters of the method.
    package init(_ json: JSONValue) throws(Problem) {
        let text = json.text("since")
        guard let since = Timestamp(rfc3339: text) else {
            throw Problem(description: "since: '\(text)' is no time; write one such as 2026-11-20T14:03:02Z")
        }
        self.init(
            since: since, networkInterface: json["nic"]?.string, limit: json["limit"]?.int ?? 10,
            parts: json["parts"]?.array.map { Set($0.compactMap(\.string).compactMap(Part.init(rawValue:))) }
                ?? Set(Part.allCases),
            points: json["points"]?.int ?? 96)
    }

    package var json: JSONValue {
        var members: [(String, JSONValue)] = [("since", JSONValue(since.description))]
        if let networkInterface { members.append(("nic", JSONValue(networkInterface))) }
        members.append(("limit", JSONValue(limit)))
        members.append(("points", JSONValue(points)))
        members.append(("parts", JSONValue(parts.map(\.rawValue).sorted().map { JSONValue($0) })))
        return JSONValue(object: members)
    }
}
