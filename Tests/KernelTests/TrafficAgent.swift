/// The program of a machine's agent. It reads one JSON object a line and answers each with one line.
enum TrafficAgent {
    static let program = #"""
        import json, select, socket, struct, sys, threading, time

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

        def reflect(s):
            while True:
                try:
                    data, peer = s.recvfrom(65536)
                    askers.append((s, peer))
                    s.sendto(data, peer)
                except OSError: pass

        def serve(c):
            for port in c["ports"]:
                for kind in (socket.AF_INET, socket.AF_INET6):
                    s = socket.socket(kind, socket.SOCK_STREAM if c["protocol"] == "tcp" else socket.SOCK_DGRAM)
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if kind == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    s.bind(("::" if kind == socket.AF_INET6 else "", port))
                    if c["protocol"] == "tcp": s.listen(512)
                    threading.Thread(target=accept if c["protocol"] == "tcp" else reflect, args=(s,), daemon=True).start()
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
        def probe(c):
            asked = {}
            for target in c["to"]:
                s = opened(target[0], socket.SOCK_DGRAM)
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

        actions = {f.__name__: f for f in (serve, connect, exchange, push, close, datagram, probe, flows, flood, calm, bind_log, generation, unix)}
        for line in sys.stdin:
            command = json.loads(line)
            try: answer = actions[command["do"]](command)
            except Exception as e: answer = {"problem": repr(e)}
            print(json.dumps(answer), flush=True)
        """#
}
