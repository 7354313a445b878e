"""A client of the MySQL text protocol on Python's standard library: connect, query, close.

It is here so that a host needs MariaDB's server package and nothing more. It knows the two ways of proving who
one is that this service uses (password by mysql_native_password, system user by unix_socket), one statement a
query, and answers that fit in memory. It does not know TLS.
"""

import hashlib
import socket
import struct

_LONG_PASSWORD = 0x1
_CONNECT_WITH_DB = 0x8
_PROTOCOL_41 = 0x200
_TRANSACTIONS = 0x2000
_SECURE_CONNECTION = 0x8000
_PLUGIN_AUTH = 0x80000
_CAPABILITIES = _LONG_PASSWORD | _PROTOCOL_41 | _TRANSACTIONS | _SECURE_CONNECTION | _PLUGIN_AUTH
_UTF8MB4_BIN = 46
_MAX_PACKET = 0xFFFFFF
_COM_QUIT = b"\x01"
_COM_QUERY = b"\x03"


class MysqlError(Exception):
    """The server's own answer that it will not: `errno` as in MariaDB's list of errors."""

    def __init__(self, errno, message):
        super().__init__(f"{message} (error {errno})")
        self.errno = errno


class ProtocolError(Exception):
    """The other end does not speak what this client knows."""


def quote(text):
    """A string literal, for the sql_mode that `Connection` sets."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0") + "'"


def scramble(password, nonce):
    """The proof of mysql_native_password: SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password)))."""
    if not password:
        return b""
    once = hashlib.sha1(password.encode("utf-8")).digest()
    mask = hashlib.sha1(nonce + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, mask))


class Connection:
    """A connection; use it in a `with`. Raises OSError when there is no server, MysqlError when it refuses."""

    def __init__(self, *, user, password="", host=None, port=None, unix_socket=None, database=None, timeout=10.0):
        if unix_socket is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(timeout)
            address = unix_socket
        else:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.settimeout(timeout)
        try:
            self._socket.connect(address)
            self._sequence = 0
            self._log_in(user, password, database)
            self.query("SET sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'")
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self._sequence = 0
            self._send(_COM_QUIT)
        except OSError:
            pass  # the server has gone already
        self._socket.close()

    def query(self, sql):
        """Runs one statement. Rows as dicts of column name to str, or None for NULL; no rows: an empty list."""
        self._sequence = 0
        self._send(_COM_QUERY + sql.encode("utf-8"))
        head = self._receive()
        if head[0] == 0x00:
            return []
        if head[0] == 0xFB:
            raise ProtocolError("LOAD DATA LOCAL is not supported")
        count, _ = _length(head, 0)
        names = [_column_name(self._receive()) for _ in range(count)]
        self._receive()  # the mark between columns and rows
        rows = []
        while True:
            packet = self._receive()
            if packet[0] == 0xFE and len(packet) < 9:
                return rows
            rows.append(dict(zip(names, _values(packet, count))))

    def _log_in(self, user, password, database):
        nonce = _nonce(self._receive())
        capabilities = _CAPABILITIES | (_CONNECT_WITH_DB if database else 0)
        proof = scramble(password, nonce)
        self._send(
            struct.pack("<IIB23x", capabilities, _MAX_PACKET, _UTF8MB4_BIN)
            + user.encode("utf-8") + b"\0"
            + bytes([len(proof)]) + proof
            + (database.encode("utf-8") + b"\0" if database else b"")
            + b"mysql_native_password\0"
        )
        answer = self._receive()
        while answer[0] == 0xFE:
            plugin, _, data = answer[1:].partition(b"\0")
            if plugin == b"mysql_native_password":
                self._send(scramble(password, data[:20]))
            elif plugin == b"unix_socket":
                self._send(b"")
            else:
                raise ProtocolError(f"the server wants to authenticate by {plugin.decode('ascii', 'replace')}")
            answer = self._receive()
        if answer[0] != 0x00:
            raise ProtocolError(f"unexpected answer 0x{answer[0]:02x} to the log-in")

    def _send(self, payload):
        if len(payload) >= _MAX_PACKET:
            raise ProtocolError("the statement is longer than 16 MiB")
        self._socket.sendall(struct.pack("<I", len(payload))[:3] + bytes([self._sequence]) + payload)
        self._sequence = (self._sequence + 1) % 256

    def _receive(self):
        payload = b""
        while True:
            header = self._read(4)
            size = int.from_bytes(header[:3], "little")
            self._sequence = (header[3] + 1) % 256
            payload += self._read(size)
            if size < _MAX_PACKET:
                break
        if not payload:
            raise ProtocolError("empty packet")
        if payload[0] == 0xFF:
            message = payload[3:].decode("utf-8", "replace")
            raise MysqlError(struct.unpack_from("<H", payload, 1)[0], message[6:] if message[:1] == "#" else message)
        return payload

    def _read(self, size):
        data = bytearray()
        while len(data) < size:
            chunk = self._socket.recv(size - len(data))
            if not chunk:
                raise ConnectionResetError("the server closed the connection")
            data += chunk
        return bytes(data)


def _nonce(greeting):
    """The 20 bytes to prove a password with, out of the server's greeting."""
    if greeting[0] != 10:
        raise ProtocolError(f"protocol version {greeting[0]}: not MySQL or MariaDB?")
    after_version = greeting.index(b"\0", 1) + 1
    first = greeting[after_version + 4 : after_version + 12]
    # filler 1, capabilities 2, character set 1, status 2, capabilities 2, length 1, reserved 10
    rest = after_version + 12 + 19
    return first + greeting[rest : rest + 12]


def _length(data, at):
    """A length-encoded integer (None for NULL), and where what follows it begins."""
    first = data[at]
    if first == 0xFB:
        return None, at + 1
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first)
    if width is None:
        return first, at + 1
    return int.from_bytes(data[at + 1 : at + 1 + width], "little"), at + 1 + width


def _values(data, count):
    values, at = [], 0
    for _ in range(count):
        size, at = _length(data, at)
        if size is None:
            values.append(None)
        else:
            values.append(data[at : at + size].decode("utf-8", "replace"))
            at += size
    return values


def _column_name(definition):
    # catalog, schema, table, original table, name
    return _values(definition, 5)[4]
