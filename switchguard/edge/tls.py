"""TLS to a device: its certificate is from an authority that we trust, or it is the very one on file.

Devices sign their own certificates, for names that nobody uses and often for a day. So a certificate that stands in
`ca_file` itself is taken as an SSH host key is: whoever shows it and has its key is the device, whatever the name and
the dates in it. Anything else has to be signed by an authority of that file (without one, of this machine), be valid
today, and be for the host that was asked for. There is no way to accept any certificate.
"""

import re
import socket
import ssl
from pathlib import Path

from switchguard.errors import NotConfigured, UnknownHostKey

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def verifying(device: str, ca_file: str | None) -> ssl.SSLContext:
    """NotConfigured for a file without certificates."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise NotConfigured(device, f"{ca_file} holds no certificate: {error.strerror}") from error


def connect(device: str, host: str, port: int, ca_file: str | None, timeout_s: float) -> ssl.SSLSocket:
    """OSError for what goes wrong on the way, of which ssl.SSLCertVerificationError is a certificate that is neither
    vouched for nor on file: then nothing was sent."""
    context = verifying(device, ca_file)
    try:
        return _wrapped(context, host, port, timeout_s)
    except ssl.SSLCertVerificationError:
        line = None if ca_file is None else _on_file(host, port, ca_file, timeout_s)
        if line is None:
            raise
        return line


def distrusted(device: str, where: str, error: ssl.SSLCertVerificationError) -> UnknownHostKey:
    why = f"{where} shows a certificate that is not to be trusted: {error.verify_message}"
    return UnknownHostKey(device, f"{why}; `ca_file` names who vouches for it, or the certificate")


def _on_file(host: str, port: int, ca_file: str, timeout_s: float) -> ssl.SSLSocket | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # compared below, before anything is said
    line = _wrapped(context, host, port, timeout_s)
    known = {ssl.PEM_cert_to_DER_cert(text) for text in _PEM.findall(Path(ca_file).read_text())}
    if line.getpeercert(binary_form=True) in known:
        return line
    line.close()
    return None


def _wrapped(context: ssl.SSLContext, host: str, port: int, timeout_s: float) -> ssl.SSLSocket:
    line = socket.create_connection((host, port), timeout_s)
    try:
        return context.wrap_socket(line, server_hostname=host)
    except BaseException:
        line.close()
        raise
