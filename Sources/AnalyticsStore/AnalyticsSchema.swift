/// The tables of `analytics.db`. Times are seconds since 1970 where they are of intervals, else milliseconds.
enum AnalyticsSchema {
    /// `PRAGMA user_version`; a file of another one is put aside.
    static let version: Int64 = 1

    /// What every connection that writes is told. A power cut may take the last seconds, and never the file's sense.
    static let writing = """
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = NORMAL;
        PRAGMA journal_size_limit = 16777216;
        PRAGMA trusted_schema = OFF;
        """

    static let creation = """
        CREATE TABLE side (
            id INTEGER PRIMARY KEY,
            direction TEXT NOT NULL, status TEXT NOT NULL,
            nic TEXT NOT NULL, network TEXT NOT NULL, device TEXT NOT NULL, mac TEXT NOT NULL,
            nsg TEXT NOT NULL, rule TEXT NOT NULL, rule_type TEXT NOT NULL,
            nsg_list TEXT NOT NULL, nic_name TEXT NOT NULL,
            UNIQUE (direction, status, nic, network, device, mac, nsg, rule, rule_type)
        );
        CREATE TABLE endpoint (
            id INTEGER PRIMARY KEY, subnet TEXT NOT NULL, vm TEXT NOT NULL, nic TEXT NOT NULL,
            UNIQUE (subnet, vm, nic)
        );
        CREATE TABLE traffic (
            start INTEGER NOT NULL, length INTEGER NOT NULL, side INTEGER NOT NULL,
            source TEXT NOT NULL, destination TEXT NOT NULL, protocol INTEGER NOT NULL, port INTEGER NOT NULL,
            flow_type TEXT NOT NULL, source_end INTEGER NOT NULL, destination_end INTEGER NOT NULL,
            first INTEGER NOT NULL, last INTEGER NOT NULL,
            flows INTEGER NOT NULL, completed INTEGER NOT NULL,
            packets_sent INTEGER NOT NULL, packets_received INTEGER NOT NULL,
            bytes_sent INTEGER NOT NULL, bytes_received INTEGER NOT NULL,
            PRIMARY KEY (start, length, side, source, destination, protocol, port)
        ) WITHOUT ROWID;
        CREATE TABLE interval (length INTEGER PRIMARY KEY);
        CREATE TABLE gap (
            begin INTEGER NOT NULL, end INTEGER NOT NULL, missing INTEGER NOT NULL, reason TEXT NOT NULL,
            nsg TEXT NOT NULL, rule TEXT NOT NULL
        );
        CREATE INDEX gap_end ON gap (end);
        \(view)
        PRAGMA user_version = \(version);
        """

    /// The rows by the names that they have in Azure (FACTS i3), for whoever opens the file. `L4Protocol` is a number
    /// where Azure would have no row; addresses of the Internet stay in `SrcIP` and `DestIP`; of refused flows each
    /// packet counts.
    private static let view = """
        CREATE VIEW NTANetAnalytics AS SELECT
            strftime('%Y-%m-%dT%H:%M:%SZ', t.start, 'unixepoch') AS FlowIntervalStartTime,
            strftime('%Y-%m-%dT%H:%M:%SZ', t.start + t.length, 'unixepoch') AS FlowIntervalEndTime,
            strftime('%Y-%m-%dT%H:%M:%fZ', t.first / 1000.0, 'unixepoch') AS FlowStartTime,
            strftime('%Y-%m-%dT%H:%M:%fZ', max(t.first, t.last) / 1000.0, 'unixepoch') AS FlowEndTime,
            t.flow_type AS FlowType, t.source AS SrcIP, t.destination AS DestIP, t.port AS DestPort,
            CASE t.protocol WHEN 6 THEN 'T' WHEN 17 THEN 'U' ELSE CAST(t.protocol AS TEXT) END AS L4Protocol,
            s.direction AS FlowDirection, s.status AS FlowStatus,
            s.nsg_list AS NSGList, s.rule AS NSGRule, s.rule_type AS NSGRuleType, s.mac AS MACAddress,
            a.subnet AS SrcSubnet, b.subnet AS DestSubnet, a.vm AS SrcVM, b.vm AS DestVM,
            a.nic AS SrcNIC, b.nic AS DestNIC, s.nic AS TargetResourceId,
            CASE WHEN s.direction = 'I' AND s.status = 'A' THEN t.flows ELSE 0 END AS AllowedInFlows,
            CASE WHEN s.direction = 'I' AND s.status = 'D' THEN t.flows ELSE 0 END AS DeniedInFlows,
            CASE WHEN s.direction = 'O' AND s.status = 'A' THEN t.flows ELSE 0 END AS AllowedOutFlows,
            CASE WHEN s.direction = 'O' AND s.status = 'D' THEN t.flows ELSE 0 END AS DeniedOutFlows,
            t.packets_sent AS PacketsSrcToDest, t.packets_received AS PacketsDestToSrc,
            t.bytes_sent AS BytesSrcToDest, t.bytes_received AS BytesDestToSrc, t.completed AS CompletedFlows
        FROM traffic t JOIN side s ON s.id = t.side
            JOIN endpoint a ON a.id = t.source_end JOIN endpoint b ON b.id = t.destination_end;
        """

    static let addRow = """
        INSERT INTO traffic VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
        ON CONFLICT DO UPDATE SET
            flow_type = excluded.flow_type, source_end = excluded.source_end, destination_end = excluded.destination_end,
            first = min(first, excluded.first), last = max(last, excluded.last),
            flows = flows + excluded.flows, completed = completed + excluded.completed,
            packets_sent = packets_sent + excluded.packets_sent,
            packets_received = packets_received + excluded.packets_received,
            bytes_sent = bytes_sent + excluded.bytes_sent, bytes_received = bytes_received + excluded.bytes_received
        """
    static let addSide = "INSERT INTO side VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    static let findSide = """
        SELECT id FROM side WHERE direction = ?1 AND status = ?2 AND nic = ?3 AND network = ?4 AND device = ?5
            AND mac = ?6 AND nsg = ?7 AND rule = ?8 AND rule_type = ?9
        """
    static let addEndpoint = "INSERT INTO endpoint VALUES (NULL, ?1, ?2, ?3)"
    static let findEndpoint = "SELECT id FROM endpoint WHERE subnet = ?1 AND vm = ?2 AND nic = ?3"
    static let addInterval = "INSERT OR IGNORE INTO interval VALUES (?1)"
    static let addGap = "INSERT INTO gap VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    static let oldest = "SELECT start FROM traffic ORDER BY start LIMIT 1"
    /// Of one moment, so that no transaction is large.
    static let expire = "DELETE FROM traffic WHERE start = ?1"
    static let expireGaps = "DELETE FROM gap WHERE end < ?1"
    /// What no row refers to any more.
    static let tidy = """
        DELETE FROM side WHERE id NOT IN (SELECT side FROM traffic);
        DELETE FROM endpoint WHERE id NOT IN (SELECT source_end FROM traffic UNION SELECT destination_end FROM traffic);
        """
}
