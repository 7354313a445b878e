"""Tests of the client against a server that plays back packets; the real server is in the stack's own test."""

import os
import socket
import struct
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "package", "scripts"))

from mysql_client import Connection, MysqlError, ProtocolError, quote, scramble  # noqa: E402

NONCE = b"12345678abcdefghijkl"
OK = b"\x00\x00\x00\x02\x00\x00\x00"
END = b"\xfe\x00\x00\x02\x00"


def greeting(version=10):
    return bytes([version]) + b"10.11.19-MariaDB\0" + struct.pack("<I", 7) + NONCE[:8] + b"\0" + b"\xff\xf7\x2e\x02\x00\xff\x81" + b"\x15" + b"\0" * 10 + NONCE[8:] + b"\0" + b"mysql_native_password\0"


def text(value):
    return b"\xfb" if value is None else bytes([len(value)]) + value


def column(name):
    return text(b"def") + text(b"") * 3 + text(name) + text(name) + b"\x0c" + b"\0" * 12


class Server:
    """Answers the n-th packet it gets with the n-th list of packets; what it got is in `got`."""

    def __init__(self, *answers, first=None):
        self.got = []
        self._answers = answers
        self._first = greeting() if first is None else first
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        self._thread.join(5)
        self._listener.close()

    def _serve(self):
        peer, _ = self._listener.accept()
        with peer, peer.makefile("rb") as reader:
            self._send(peer, 0, self._first)
            for packets in self._answers:
                header = reader.read(4)
                if len(header) < 4:
                    return
                self.got.append(reader.read(int.from_bytes(header[:3], "little")))
                sequence = header[3] + 1
                for packet in packets:
                    sequence = self._send(peer, sequence, packet)
            reader.read()

    @staticmethod
    def _send(peer, sequence, packet):
        for at in range(0, len(packet) + 1, 0xFFFFFF):
            part = packet[at : at + 0xFFFFFF]
            peer.sendall(struct.pack("<I", len(part))[:3] + bytes([sequence % 256]) + part)
            sequence += 1
        return sequence


class MysqlClientTest(unittest.TestCase):
    def connect(self, *answers, first=None, **login):
        server = Server(*answers, first=first)
        self.addCleanup(server.close)
        connection = Connection(host="127.0.0.1", port=server.port, user="ann", timeout=5, **login)
        self.addCleanup(connection.close)
        return server, connection

    def test_proves_the_password_without_sending_it(self):
        server, _ = self.connect([OK], [OK], password="secret")
        answer = server.got[0]
        self.assertIn(b"ann\0\x14" + scramble("secret", NONCE), answer)
        self.assertNotIn(b"secret", answer)

    def test_scramble_is_what_the_server_checks(self):
        # The server knows SHA1(SHA1(password)) and undoes the mask with it.
        from hashlib import sha1
        once = sha1(b"secret").digest()
        mask = sha1(NONCE + sha1(once).digest()).digest()
        self.assertEqual(bytes(a ^ b for a, b in zip(scramble("secret", NONCE), mask)), once)
        self.assertEqual(scramble("", NONCE), b"")

    def test_follows_the_server_to_another_way_to_log_in(self):
        server, _ = self.connect([b"\xfemysql_native_password\0" + NONCE[::-1] + b"\0"], [OK], [OK], password="secret")
        self.assertEqual(server.got[1], scramble("secret", NONCE[::-1]))
        server, _ = self.connect([b"\xfeunix_socket\0"], [OK], [OK])
        self.assertEqual(server.got[1], b"")

    def test_says_which_way_to_log_in_it_does_not_know(self):
        with self.assertRaisesRegex(ProtocolError, "authenticate by client_ed25519"):
            self.connect([b"\xfeclient_ed25519\0"])

    def test_reads_rows_with_nulls_and_long_values(self):
        long = b"x" * 70_000
        row = text(None) + b"\xfd" + len(long).to_bytes(3, "little") + long
        _, connection = self.connect([OK], [OK], [b"\x02", column(b"a"), column(b"b"), END, row, text(b"") + text("é".encode()), END])
        self.assertEqual(connection.query("SELECT a, b"), [{"a": None, "b": "x" * 70_000}, {"a": "", "b": "é"}])

    def test_joins_a_packet_that_was_cut_at_16_mib(self):
        long = b"y" * 0x1000000
        row = b"\xfe" + len(long).to_bytes(8, "little") + long
        _, connection = self.connect([OK], [OK], [b"\x01", column(b"a"), END, row, END])
        self.assertEqual(len(connection.query("SELECT a")[0]["a"]), 0x1000000)

    def test_raises_the_servers_error_with_its_number(self):
        _, connection = self.connect([OK], [OK], [b"\xff\x7a\x04#42S02Table 'a.b' doesn't exist"])
        with self.assertRaises(MysqlError) as caught:
            connection.query("SELECT 1 FROM a.b")
        self.assertEqual((caught.exception.errno, str(caught.exception)), (1146, "Table 'a.b' doesn't exist (error 1146)"))

    def test_raises_the_refusal_of_a_log_in(self):
        with self.assertRaisesRegex(MysqlError, "Access denied"):
            self.connect([b"\xff\x15\x04#28000Access denied for user 'ann'"])

    def test_raises_a_refusal_that_comes_instead_of_a_greeting(self):
        with self.assertRaisesRegex(MysqlError, "Too many connections"):
            self.connect(first=b"\xff\x10\x04Too many connections")

    def test_does_not_wait_for_ever_for_a_server_that_goes(self):
        _, connection = self.connect([OK], [OK])
        connection._socket.shutdown(socket.SHUT_RD)
        with self.assertRaises(OSError):
            connection.query("SELECT 1")

    def test_refuses_what_is_not_mysql(self):
        with self.assertRaisesRegex(ProtocolError, "protocol version 72"):
            self.connect(first=b"HTTP/1.1 400 Bad Request\r\n")

    def test_quotes(self):
        self.assertEqual(quote("it's \\ all"), "'it''s \\\\ all'")


if __name__ == "__main__":
    unittest.main()
