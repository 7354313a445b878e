"""Tests of the alerts of hosts. Run by `python3 -m unittest discover -s stacks/tests`."""

import collections
import os
import resource
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "host_scripts"))

import alert_disk_usage
import alert_open_files

Usage = collections.namedtuple("Usage", "total used free")
GB = 10**9


def disk(used, free, **parameters):
    """What is found on one file system; None: it cannot be looked at."""
    names = {"warning": alert_disk_usage.WARNING_PERCENT, "critical": alert_disk_usage.CRITICAL_PERCENT}
    given = {names.get(key, alert_disk_usage.FREE_BYTES): value for key, value in parameters.items()}
    usage = mock.Mock(return_value=Usage(used + free, used, free))
    with mock.patch("alert_disk_usage.file_systems", lambda paths: ["/"]):
        with mock.patch("shutil.disk_usage", usage):
            return alert_disk_usage.execute({}, given, "h1")


def files(limit, **parameters):
    """What is found with this limit."""
    names = {"warning": alert_open_files.WARNING_FILES, "critical": alert_open_files.CRITICAL_FILES}
    given = {names[key]: value for key, value in parameters.items()}
    with mock.patch("resource.getrlimit", lambda what: (limit, limit)):
        return alert_open_files.execute({}, given, "h1")


class DiskUsage(unittest.TestCase):
    def test_states(self):
        self.assertEqual(disk(49 * GB, 51 * GB)[0], "OK")
        self.assertEqual(disk(50 * GB, 50 * GB)[0], "WARNING")
        self.assertEqual(disk(80 * GB, 20 * GB)[0], "CRITICAL")
        self.assertEqual(disk(1 * GB, 4 * GB)[0], "WARNING")

    def test_parameters(self):
        self.assertEqual(disk(30 * GB, 70 * GB, warning="20", critical="40")[0], "WARNING")
        self.assertEqual(disk(30 * GB, 70 * GB, warning=10, critical=20)[0], "CRITICAL")
        self.assertEqual(disk(1 * GB, 4 * GB, least="1000")[0], "OK")
        self.assertEqual(disk(49 * GB, 51 * GB, warning="much")[0], "OK")

    def test_text(self):
        self.assertEqual(disk(25 * GB, 75 * GB)[1], ["/ is 25 % full: 75 GB of 100 GB are free"])
        self.assertEqual(disk(2.96 * GB, 1.04 * GB)[1], ["/ is 74 % full: 1.0 GB of 4.0 GB are free"])
        self.assertEqual(alert_disk_usage.spoken(2e15), "2000 TB")

    def test_worst_first(self):
        sizes = {"/": Usage(100 * GB, 10 * GB, 90 * GB), "/data": Usage(100 * GB, 90 * GB, 10 * GB)}
        with mock.patch("alert_disk_usage.file_systems", lambda paths: list(sizes)):
            with mock.patch("shutil.disk_usage", sizes.get):
                state, text = alert_disk_usage.execute({}, {}, "h1")
        self.assertEqual(state, "CRITICAL")
        self.assertTrue(text[0].startswith("/data is 90 % full"), text)
        self.assertIn("; / is 10 % full", text[0])

    def test_what_cannot_be_looked_at(self):
        with mock.patch("shutil.disk_usage", side_effect=PermissionError(13, "Permission denied")):
            self.assertEqual(
                alert_disk_usage.execute({}, {}, "h1"),
                ("UNKNOWN", ["/ cannot be looked at: Permission denied"]),
            )

    def test_this_host(self):
        state, text = alert_disk_usage.execute({}, {}, "h1")
        self.assertIn(state, ("OK", "WARNING", "CRITICAL"))
        self.assertEqual(len(text), 1)
        self.assertEqual(list(alert_disk_usage.file_systems(("/", "/"))), ["/"])


class OpenFiles(unittest.TestCase):
    def test_states(self):
        self.assertEqual(files(1024), ("OK", ["The limit of open files is 1024"]))
        self.assertEqual(files(200000)[0], "WARNING")
        self.assertEqual(files(800000)[0], "CRITICAL")
        self.assertEqual(
            files(resource.RLIM_INFINITY), ("CRITICAL", ["The limit of open files is none"])
        )

    def test_parameters(self):
        self.assertEqual(files(1024, warning="1000", critical="2000")[0], "WARNING")
        self.assertEqual(files(1024, warning=10, critical=20)[0], "CRITICAL")


if __name__ == "__main__":
    unittest.main()
