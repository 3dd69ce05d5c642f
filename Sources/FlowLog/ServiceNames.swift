package import NetworkTypes

/// `L7Protocol` of traffic analytics: the name that a port usually has. It tells nothing about what was spoken.
package enum ServiceNames {
    package static func name(of port: UInt16, _ protocol: IPProtocol) -> String? {
        `protocol`.hasPorts ? names[port] : nil
    }

    /// Source: the IANA's registry of service names, of which these are the ones met most.
    private static let names: [UInt16: String] = [
        20: "ftp-data", 21: "ftp", 22: "ssh", 23: "telnet", 25: "smtp", 53: "dns", 67: "dhcp", 68: "dhcp",
        80: "http", 88: "kerberos", 110: "pop3", 111: "rpcbind", 123: "ntp", 135: "epmap", 137: "netbios-ns",
        138: "netbios-dgm", 139: "netbios-ssn", 143: "imap", 161: "snmp", 162: "snmptrap", 389: "ldap", 443: "https",
        445: "microsoft-ds", 465: "submissions", 500: "isakmp", 514: "syslog", 587: "submission", 631: "ipp",
        636: "ldaps", 853: "domain-s", 993: "imaps", 995: "pop3s", 1433: "ms-sql-s", 1521: "oracle", 1688: "kms",
        1812: "radius", 1883: "mqtt", 1900: "ssdp", 2049: "nfs", 2379: "etcd-client", 3268: "msft-gc",
        3306: "mysql", 3389: "rdp", 4500: "ipsec-nat-t", 5060: "sip", 5061: "sips", 5353: "mdns", 5432: "postgresql",
        5671: "amqps", 5672: "amqp", 5900: "vnc", 5985: "winrm", 5986: "winrm-https", 6379: "redis",
        6443: "kubernetes", 8080: "http-alt", 8443: "https-alt", 9092: "kafka", 9100: "node-exporter",
        9200: "elasticsearch", 11211: "memcached", 27017: "mongodb",
    ]
}
