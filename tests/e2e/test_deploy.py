"""What an installation puts in place: units that systemd accepts and finds well shut in, and a package that apt takes."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["SYNCBUS_BIN"]).parent
EXPOSURE_MAX = 3.0  # of 10
PROGRAMS = {"syncbus", "syncbus-broker", "syncbus-sync", "syncbus-order"}
SERVICES = ("syncbus-broker", "syncbus-order", "syncbus-sync@", "syncbus-standby@")
JOBS = ("orders", "customers", "products", "prices", "ddt", "invoices")


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=300, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def settings(path):
    """The assignments of a unit file, as {name: [value, …]}."""
    found = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", path.read_text(), flags=re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="syncbus-deploy-")
        cls.addClassCleanup(folder.cleanup)
        cls.prefix = pathlib.Path(folder.name, "prefix")
        run("cmake", "--install", BUILD, "--prefix", cls.prefix)
        cls.units = cls.prefix / "lib" / "systemd" / "system"
        cls.common = settings(cls.units / "syncbus-.service.d" / "10-common.conf")

    def service(self, name):
        return self.units / f"{name}.service"

    def test_systemd_accepts_every_unit_and_says_nothing_about_it(self):
        units = sorted(self.units.glob("syncbus*.service")) + sorted(self.units.glob("*.target"))
        self.assertEqual({unit.name for unit in units}, {f"{name}.service" for name in SERVICES} | {"syncbus.target"})
        self.assertEqual(run("systemd-analyze", "verify", "--man=no", *units), "")

    def test_no_service_is_exposed(self):
        for name in SERVICES:
            said = run("systemd-analyze", "security", "--offline=true", "--no-pager", self.service(name))
            exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", said).group(1))
            print(f"{name}: {exposure}")
            self.assertLessEqual(exposure, EXPOSURE_MAX, said)

    def test_every_service_tells_of_itself_and_is_watched(self):
        for name in SERVICES:
            own = settings(self.service(name))
            self.assertEqual(own["Type"], ["notify"])
            self.assertNotIn("User", own)
        self.assertEqual(self.common["WatchdogSec"], ["30s"])
        self.assertEqual((self.common["User"], self.common["Group"]), (["syncbus"], ["syncbus"]))
        self.assertEqual((self.common["Restart"], self.common["RestartPreventExitStatus"]), (["on-failure"], ["2"]))

    def test_the_installed_programs_take_what_their_units_say(self):
        for name in SERVICES:
            for line in settings(self.service(name))["ExecStart"]:
                words = line.replace("%i", "prices").split()
                self.assertEqual(pathlib.Path(words[0]).parent, self.prefix / "bin")
                said = run(*words, "--check-config")
                self.assertIn("ok (6 jobs", said)
        first, second = settings(self.service("syncbus-broker"))["ExecReload"]
        self.assertIn("ok (6 jobs", run(*first.split()))
        self.assertEqual(second.split()[1:], ["-HUP", "$MAINPID"])
        self.assertTrue(os.access(second.split()[0], os.X_OK))

    def test_the_sockets_folder_is_for_the_group_alone_and_stays(self):
        broker = settings(self.service("syncbus-broker"))
        self.assertEqual(broker["RuntimeDirectory"], ["syncbus"])
        self.assertEqual(broker["RuntimeDirectoryMode"], ["0750"])
        self.assertEqual(broker["RuntimeDirectoryPreserve"], ["yes"])

    def test_the_target_starts_all_and_its_end_ends_all(self):
        wanted = " ".join(settings(self.units / "syncbus.target")["Wants"]).split()
        self.assertEqual(set(wanted), {"syncbus-broker.service", "syncbus-order.service"} |
                         {f"syncbus-sync@{job}.service" for job in JOBS})
        for name in SERVICES:
            self.assertEqual(settings(self.service(name))["PartOf"], ["syncbus.target"])
            self.assertEqual(settings(self.service(name))["WantedBy"], ["syncbus.target"])
            self.assertEqual(settings(self.service(name))["StartLimitIntervalSec"], ["0"])

    def test_the_user_can_be_made(self):
        # The dry run reads the whole file, against an empty system.
        rules = self.prefix / "lib" / "sysusers.d" / "syncbus.conf"
        with tempfile.TemporaryDirectory(prefix="syncbus-root-") as root:
            said = run("systemd-sysusers", "--dry-run", f"--root={root}", rules)
        self.assertIn("Creating user 'syncbus'", said)

    def test_a_config_that_is_there_stays(self):
        config = self.prefix / "etc" / "syncbus" / "syncbus.yaml"
        before = config.read_text()
        self.addCleanup(config.write_text, before)
        config.write_text(before + "# ours\n")
        run("cmake", "--install", BUILD, "--prefix", self.prefix)
        self.assertEqual(config.read_text(), before + "# ours\n")
        self.assertEqual((self.prefix / "share" / "doc" / "syncbus" / "syncbus.yaml").read_text(), before)


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="syncbus-package-")
        cls.addClassCleanup(folder.cleanup)
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-G", "DEB", "-B", folder.name)
        cls.package, = pathlib.Path(folder.name).glob("*.deb")
        cls.tree = pathlib.Path(folder.name, "tree")
        run("dpkg-deb", "--raw-extract", cls.package, cls.tree)

    def field(self, name):
        return run("dpkg-deb", "--field", self.package, name).strip()

    def test_it_holds_programs_units_library_header_and_config(self):
        self.assertEqual({path.name for path in (self.tree / "usr" / "bin").iterdir()}, PROGRAMS)
        units = self.tree / "usr" / "lib" / "systemd" / "system"
        self.assertTrue((units / "syncbus.target").is_file())
        self.assertTrue((units / "syncbus-.service.d" / "10-common.conf").is_file())
        for name in SERVICES:
            self.assertIn("/usr/bin/", settings(units / f"{name}.service")["ExecStart"][0])
        self.assertTrue((self.tree / "usr" / "lib" / "libsyncbus.so").is_file())
        self.assertTrue((self.tree / "usr" / "include" / "syncbus.h").is_file())
        self.assertTrue((self.tree / "usr" / "lib" / "sysusers.d" / "syncbus.conf").is_file())
        config = self.tree / "etc" / "syncbus" / "syncbus.yaml"
        self.assertIn("ok (6 jobs", run(self.tree / "usr" / "bin" / "syncbus-broker", "--config", config, "--check-config"))

    def test_apt_would_install_it(self):
        self.assertIn("Inst syncbus", run("apt-get", "--simulate", "install", self.package))
        self.assertEqual(self.field("Package"), "syncbus")
        for library in ("libzmq5", "liblmdb0", "libcurl4", "libsystemd0"):
            self.assertIn(library, self.field("Depends"))

    def test_a_changed_config_is_the_owners(self):
        self.assertEqual((self.tree / "DEBIAN" / "conffiles").read_text(), "/etc/syncbus/syncbus.yaml\n")

    def test_its_scripts_can_be_read_by_a_shell(self):
        for name in ("postinst", "prerm", "postrm"):
            script = self.tree / "DEBIAN" / name
            self.assertTrue(os.access(script, os.X_OK))
            run("sh", "-n", script)


if __name__ == "__main__":
    unittest.main()
