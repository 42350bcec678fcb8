# Seals and verifies with dkimpy. Requests on the standard input: "verify N" or "seal DOMAIN N", then N bytes of a message; the
# answer is "N", then N bytes: the result and its reason, or the set of header fields. Arguments: key file, key record.
import sys
import dkim

key = open(sys.argv[1], "rb").read()
record = sys.argv[2].encode()
while True:
    words = sys.stdin.buffer.readline().split()
    if not words:
        break
    message = sys.stdin.buffer.read(int(words[-1]))
    if words[0] == b"seal":
        try:
            fields = dkim.arc_sign(message, b"sel", words[1], key, words[1], include_headers=[b"from", b"to", b"subject"])
            answer = b"".join(fields)
        except Exception as e:
            answer = b"error " + repr(e).encode()
    else:
        cv, _, reason = dkim.arc_verify(message, dnsfunc=lambda name, timeout=5: record)
        answer = cv + b" " + reason.encode()
    sys.stdout.buffer.write(b"%d\n" % len(answer) + answer)
    sys.stdout.buffer.flush()
