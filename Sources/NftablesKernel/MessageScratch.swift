internal import CNftnl
internal import NetworkTypes

/// Room in which libnftnl builds one message: it writes without a look at the end, so that callers bound what goes in.
/// 128 KiB hold the largest attribute (64 KiB) and a header beside it.
@safe struct MessageScratch: ~Copyable {
    private static let capacity = 1 << 17
    private let memory: UnsafeMutableRawPointer

    init() {
        unsafe memory = .allocate(byteCount: Self.capacity, alignment: 16)
        _ = unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: Self.capacity)
    }

    deinit { unsafe memory.deallocate() }

    /// One message of `enum nf_tables_msg_types` of family inet; its sequence number is set when it enters a batch.
    mutating func message<Body: MessageBody & ~Copyable>(
        _ type: nf_tables_msg_types, flags: Int32 = 0, _ body: borrowing Body
    ) -> [UInt8] {
        guard
            let header = unsafe nftnl_nlmsg_build_hdr(
                memory.assumingMemoryBound(to: CChar.self), UInt16(type.rawValue), UInt16(NFPROTO_INET),
                UInt16(flags), 0)
        else { preconditionFailure("nftnl_nlmsg_build_hdr returns its buffer") }
        unsafe body.build(into: header)
        let length = unsafe Int(header.pointee.nlmsg_len)
        precondition(length <= Self.capacity, "a message outgrew its room")
        let bytes = unsafe Array(UnsafeRawBufferPointer(start: memory, count: length))
        // libmnl leaves the padding of attributes as it finds it, so it shall find zeros.
        _ = unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: length)
        return bytes
    }
}

/// What libnftnl writes behind the header of a message.
protocol MessageBody: ~Copyable {
    func build(into message: UnsafeMutablePointer<nlmsghdr>)
}

/// libnftnl gives null only where memory has run out.
func allocated(_ object: OpaquePointer?, _ what: String) throws(KernelError) -> OpaquePointer {
    guard let object = unsafe object else { throw KernelError(errno: 12, doing: "allocate a \(what)") }
    return unsafe object
}

/// libnftnl's setters of text and data fail only where memory has run out.
func requireStored(_ status: Int32, _ what: String) throws(KernelError) {
    guard status >= 0 else { throw KernelError(errno: 12, doing: "store a \(what)") }
}

/// Names that the kernel would cut or refuse are refused here, in words. `NFT_NAME_MAXLEN` is 256 with the NUL.
func requireName(_ name: String, of what: String, limit: Int = 255) throws(KernelError) {
    guard (1...limit).contains(name.utf8.count), !name.utf8.contains(0) else {
        throw KernelError(
            errno: 36, doing: "encode the name of a \(what)", object: name,
            explanation: "1 to \(limit) bytes without NUL are allowed")
    }
}
