# Signs and verifies with dkimpy. A request is a line of words, the last of which is the length of the message that follows; so is the answer,
# which has the length alone. Arguments: file of the RSA key, seed of the Ed25519 key, their key records.
import sys
import dkim

rsa, seed, records = open(sys.argv[1], "rb").read(), sys.argv[2].encode(), {b"rsa": sys.argv[3].encode(), b"ed": sys.argv[4].encode()}


def dns(name, timeout=5):
    return records.get(name.split(b".")[0])


while True:
    line = sys.stdin.buffer.readline()
    if not line:
        break
    words = line.decode().split()
    message = sys.stdin.buffer.read(int(words[-1]))
    try:
        if words[0] == "sign":
            selector, header, body, extra = words[1:5]
            include = [b"from", b"from", b"to", b"subject", b"subject", b"x-odd", b"date"]
            answer = dkim.sign(message, selector.encode(), b"a.example", rsa if selector == "rsa" else seed,
                               canonicalize=(header.encode(), body.encode()), length=extra == "length", include_headers=include,
                               signature_algorithm=b"rsa-sha256" if selector == "rsa" else b"ed25519-sha256",
                               identity=b"joe@sub.a.example" if extra == "identity" else None)
        else:
            answer = b"pass" if dkim.verify(message, dnsfunc=dns) else b"fail"
    except Exception as e:
        answer = b"error " + str(e).encode()
    sys.stdout.buffer.write(b"%d\n" % len(answer) + answer)
    sys.stdout.buffer.flush()
