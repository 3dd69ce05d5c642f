/// The program of a machine's agent. It reads one JSON object a line and answers each with one line.
enum TrafficAgent {
    static let program = #"""
        import itertools, json, select, socket, struct, sys, threading, time

        connections = {}
        accepted = []
        askers = []
        stream = None

        def family(ip): return socket.AF_INET6 if ":" in ip else socket.AF_INET

        def opened(ip, kind, port=0):
            s = socket.socket(family(ip), kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("::" if ":" in ip else "", port))
            return s

        def echo(conn):
            with conn:
                try:
                    while data := conn.recv(65536): conn.sendall(data)
                except OSError: pass

        def accept(listener):
            while True:
                conn, _ = listener.accept()
                accepted.append(conn)
                threading.Thread(target=echo, args=(conn,), daemon=True).start()

        # Answers from the address that was asked: IP_PKTINFO and IPV6_PKTINFO, of whatever link but for link-local ones.
        def reflect(s, kind):
            level, option, receive = (41, 50, 49) if kind == socket.AF_INET6 else (0, 8, 8)
            s.setsockopt(level, receive, 1)
            while True:
                try:
                    data, ancillary, _, peer = s.recvmsg(65536, 256)
                    askers.append((s, peer))
                    place = next(value for _, number, value in ancillary if number == option)
                    if kind == socket.AF_INET: place = bytes(4) + place[4:]
                    elif place[0] != 0xfe: place = place[:16] + bytes(4)
                    s.sendmsg([data], [(level, option, place)], 0, peer)
                except OSError: pass

        def serve(c):
            for port in c["ports"]:
                for kind in (socket.AF_INET, socket.AF_INET6):
                    s = socket.socket(kind, socket.SOCK_STREAM if c["protocol"] == "tcp" else socket.SOCK_DGRAM)
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if kind == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    s.bind(("::" if kind == socket.AF_INET6 else "", port))
                    if c["protocol"] == "tcp": s.listen(512)
                    target, args = (accept, (s,)) if c["protocol"] == "tcp" else (reflect, (s, kind))
                    threading.Thread(target=target, args=args, daemon=True).start()
            return {}

        def connect(c):
            s = opened(c["to"][0], socket.SOCK_STREAM, c["from"])
            s.settimeout(c["within"])
            try: s.connect(tuple(c["to"]))
            except socket.timeout: result = "timeout"
            except ConnectionRefusedError: result = "refused"
            except OSError as e: result = type(e).__name__ + " " + str(e)
            else:
                connections[c["id"]] = s
                return {"result": "open", "port": s.getsockname()[1]}
            s.close()
            return {"result": result}

        def exchange(c):
            s = connections[c["id"]]
            s.settimeout(c["within"])
            text = b"to and fro"
            try:
                s.sendall(text)
                back = b""
                while len(back) < len(text):
                    part = s.recv(len(text) - len(back))
                    if not part: return {"result": "closed"}
                    back += part
                return {"result": "same" if back == text else "other"}
            except socket.timeout: return {"result": "timeout"}
            except OSError as e: return {"result": type(e).__name__}

        # What a server says of its own accord, over every connection and to everyone who ever asked.
        def push(c):
            for conn in accepted:
                try: conn.send(b"news")
                except OSError: pass
            for s, peer in set(askers):
                try: s.sendto(b"news", peer)
                except OSError: pass
            return {}

        def close(c):
            kept = connections.pop(c["id"], [])
            for s in kept if isinstance(kept, list) else [kept]: s.close()
            return {}

        def datagram(c):
            with opened(c["to"][0], socket.SOCK_DGRAM, c["from"]) as s:
                s.settimeout(c["within"])
                s.connect(tuple(c["to"]))
                try:
                    s.send(b"question")
                    return {"result": "answered" if s.recv(100) else ""}
                except socket.timeout: return {"result": "silence"}
                except OSError as e: return {"result": type(e).__name__}

        # One datagram to each of many, from ports of their own, all at once. Where `enough` have answered, the rest have a
        # little longer.
        # Below those that the kernel chooses. One that came again would find the flow of an earlier probe alive.
        probe_ports = itertools.count(20000)

        def probe(c):
            asked = {}
            for target in c["to"]:
                s = opened(target[0], socket.SOCK_DGRAM, next(probe_ports))
                s.connect(tuple(target))
                s.send(b"question")
                asked[s] = target
            answered, end = [], time.monotonic() + c["within"]
            waiting = list(asked)
            while waiting and (left := end - time.monotonic()) > 0:
                for s in select.select(waiting, [], [], left)[0]:
                    waiting.remove(s)
                    try:
                        s.recv(100)
                        answered.append(asked[s])
                        if len(answered) == c["enough"]: end = min(end, time.monotonic() + 0.2)
                    except OSError: pass
            for s in asked: s.close()
            return {"answered": answered}

        def echo_request(six, number):
            rest = struct.pack("!HH", number, 1) + b"to and fro"
            head = struct.pack("!BBH", 128 if six else 8, 0, 0)
            words = struct.unpack("!%dH" % (len(head + rest) // 2), head + rest)
            total = sum(words)
            total = (total & 0xffff) + (total >> 16)
            return head[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + rest

        def begin(t, number):
            six, kind = ":" in t["address"], {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "icmp": socket.SOCK_RAW}
            s = socket.socket(family(t["address"]), kind[t["protocol"]],
                              0 if t["protocol"] != "icmp" else socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
            s.setblocking(False)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((t["source"] or ("::" if six else ""), t["sourcePort"]))
            # Of a link-local address the resolver finds the link.
            try: s.connect(socket.getaddrinfo(t["address"], t["port"], type=socket.SOCK_DGRAM)[0][4])
            except BlockingIOError: pass
            if t["protocol"] == "udp": s.send(b"?" * t["size"])
            if t["protocol"] == "icmp": s.send(echo_request(six, number))
            return s

        # "" where nothing is known yet.
        def progress(s, t, number):
            if t["protocol"] == "tcp":
                code = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                return "error %d" % code if code else "answered"
            data = s.recv(65536)
            if t["protocol"] == "udp": return "answered"
            data = data if ":" in t["address"] else data[(data[0] & 15) * 4:]
            return "answered" if data[0] in (0, 129) and data[4:6] == struct.pack("!H", number) else ""

        # One first packet to each of many, all at once, and what came of each: "answered", "silence" or an error. Where
        # `enough` have been answered, the rest have a little longer.
        def attempt(c):
            targets, results, waiting, poll = c["to"], {}, {}, select.poll()
            base = int(time.monotonic() * 1000)
            for index, t in enumerate(targets):
                try:
                    s = begin(t, (base + index) & 0xffff)
                    waiting[s.fileno()] = (s, index)
                    poll.register(s, select.POLLOUT if t["protocol"] == "tcp" else select.POLLIN)
                except OSError as e: results[index] = type(e).__name__
            end = time.monotonic() + c["within"]
            while waiting and (left := end - time.monotonic()) > 0:
                for descriptor, _ in poll.poll(left * 1000):
                    s, index = waiting[descriptor]
                    try: result = progress(s, targets[index], (base + index) & 0xffff)
                    except OSError as e: result = type(e).__name__
                    if not result: continue
                    results[index] = result
                    poll.unregister(s)
                    waiting.pop(descriptor)[0].close()
                if list(results.values()).count("answered") == c["enough"]: end = min(end, time.monotonic() + 0.25)
            for s, _ in waiting.values(): s.close()
            return {"results": [results.get(index, "silence") for index in range(len(targets))]}

        # Many short flows to one port, one after the other. For UDP `packets` of 20 bytes each, answered or not.
        def flows(c):
            done = 0
            for number in range(c["count"]):
                tcp = c["protocol"] == "tcp"
                with opened(c["to"][0], socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as s:
                    s.settimeout(c["within"])
                    try:
                        s.connect(tuple(c["to"]))
                        for _ in range(c["packets"]):
                            try: s.send(b"x" * 20)
                            except ConnectionRefusedError: pass  # of the packet before
                            if c["answered"]: s.recv(100)
                        done += 1
                    except OSError: pass
            return {"done": done}

        def sending(c, state):
            s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            source, target = socket.inet_aton(c["source"]), socket.inet_aton(c["destination"])
            address = (c["destination"], 0)
            began, total = time.monotonic(), 0
            while not state["stop"]:
                due = int((time.monotonic() - began) * c["rate"])
                for _ in range(min(due - total, 200)):
                    kind = total % len(c["ports"])
                    turn = total // len(c["ports"])
                    from_port, to_port = 1024 + turn % 64000, c["ports"][kind] + turn // 64000 % 10
                    packet = struct.pack("!BBHHHBBH4s4sHHHH", 0x45, 0, 32, 0, 0, 64, 17, 0, source, target,
                                         from_port, to_port, 12, 0) + struct.pack("!I", turn & 0xffffffff)
                    try: s.sendto(packet, address)
                    except OSError as e:
                        state["problem"] = str(e)
                        continue
                    state["sent"][kind] += 1
                    total += 1
                time.sleep(0.001)

        def flood(c):
            global stream
            state = {"stop": False, "sent": [0] * len(c["ports"])}
            thread = threading.Thread(target=sending, args=(c, state), daemon=True)
            thread.start()
            stream = (thread, state)
            return {}

        def calm(c):
            thread, state = stream
            state["stop"] = True
            thread.join()
            return state

        # Takes an NFLOG group and keeps it: NFULNL_MSG_CONFIG with NFULNL_CFG_CMD_BIND.
        def bind_log(c):
            s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
            s.bind((0, 0))
            body = struct.pack("!BBH", 0, 0, c["group"]) + struct.pack("=HHBxxx", 5, 1, 1)
            s.send(struct.pack("=IHHII", 16 + len(body), 4 << 8 | 1, 5, 1, 0) + body)
            error = struct.unpack("=i", s.recv(4096)[16:20])[0]
            connections[c["id"]] = s
            return {"problem": "errno %d" % -error} if error else {}

        # NFT_MSG_GETGEN; NFTA_GEN_ID is the first attribute of the answer.
        def generation(c):
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as s:
                s.bind((0, 0))
                s.send(struct.pack("=IHHII", 20, 10 << 8 | 16, 1, 1, 0) + bytes(4))
                return {"generation": struct.unpack("!I", s.recv(4096)[24:28])[0]}

        # Opens `count` connections to a Unix socket, writes `text` `times` times to each, and keeps them.
        def unix(c):
            kept = []
            for _ in range(c["count"]):
                s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                s.settimeout(5)
                s.connect(c["path"])
                try: s.sendall((c["text"] * c["times"]).encode())
                except OSError: pass
                kept.append(s)
            connections[c["id"]] = kept
            return {}

        actions = {f.__name__: f for f in (serve, connect, exchange, push, close, datagram, probe, attempt, flows, flood, calm, bind_log, generation, unix)}
        for line in sys.stdin:
            command = json.loads(line)
            try: answer = actions[command["do"]](command)
            except Exception as e: answer = {"problem": repr(e)}
            print(json.dumps(answer), flush=True)
        """#
}
