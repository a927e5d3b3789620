"""Who knocks at the ports of a daemon."""
import socket
import ssl


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def over_tls(where, keys, data=b""):
    """A TLS client with these keys (none: no certificate); what it was answered, or why it failed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if keys:
        context.load_cert_chain(str(keys / "certificate.pem"), str(keys / "key.pem"))
    context.set_alpn_protocols(["skippipe-control/1"])
    try:
        with socket.create_connection(where, timeout=20) as line, context.wrap_socket(line) as secure:
            if data:
                secure.sendall(data)
            return "answered %d bytes" % len(secure.recv(4096))
    except OSError as problem:
        return "refused: %s" % problem


def certificate_of(where, keys):
    """What the daemon at `where` shows to one with these keys."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(str(keys / "certificate.pem"), str(keys / "key.pem"))
    context.set_alpn_protocols(["skippipe-control/1"])
    with socket.create_connection(where, timeout=20) as line, context.wrap_socket(line) as secure:
        return secure.getpeercert(binary_form=True)
