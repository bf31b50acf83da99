"""`make install` and the Debian package, from the program under test."""

import os
import pathlib
import subprocess

import pytest

from servers import program

ROOT = pathlib.Path(__file__).parents[2]


def install(root):
    done = subprocess.run(
        ["make", "--no-print-directory", "install", f"PROGRAM={program()}"], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "DESTDIR": str(root), "PREFIX": "/opt/carillon"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("host")
    install(root)
    return root


def test_what_is_installed_runs_and_takes_the_installed_settings(tree):
    done = subprocess.run(
        [tree / "opt/carillon/bin/carillon", "check", tree / "etc/carillon/settings.json"], capture_output=True,
        text=True, env={**os.environ, "CARILLON_API_KEY": "k" * 32, "CARILLON_JWT_SECRET": "s" * 32})
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_installed_files_name_the_program_where_it_is(tree):
    entry = (tree / "opt/carillon/share/carillon/supervisor/carillon.conf").read_text()
    assert "command=/opt/carillon/bin/carillon router" in entry
    assert "/usr/local/" not in entry
    assert (tree / "usr/lib/tmpfiles.d/carillon.conf").read_text() == "d /run/carillon 0750 carillon carillon -\n"
    assert (tree / "opt/carillon/share/carillon/nginx/carillon.conf").exists()


def test_settings_are_for_the_owner_and_stay_as_they_are(tree):
    settings = tree / "etc/carillon/settings.json"
    assert settings.stat().st_mode & 0o777 == 0o640
    settings.write_text("{}")
    assert "is kept" in install(tree)
    assert settings.read_text() == "{}"


def test_the_debian_package_has_all_and_names_what_it_needs(tmp_path):
    done = subprocess.run(
        [ROOT / "scripts/make-deb", program(), tmp_path], capture_output=True, text=True,
        # The program under test is a debug build, with Swift's libraries beside it.
        env={**os.environ, "ALLOW_FOREIGN_LIBRARIES": "1", "COMPRESSION": "none"})
    assert done.returncode == 0, done.stdout + done.stderr
    package = done.stdout.strip().splitlines()[-1]
    fields = subprocess.run(["dpkg-deb", "--field", package], capture_output=True, text=True, check=True).stdout
    for wanted in ["Package: carillon", "libhiredis0.14", "librabbitmq4", "zlib1g"]:
        assert wanted in fields
    files = subprocess.run(["dpkg-deb", "--contents", package], capture_output=True, text=True, check=True).stdout
    for wanted in ["./usr/bin/carillon", "./etc/carillon/settings.json", "./usr/share/carillon/supervisor/serve.conf"]:
        assert wanted in files
    assert all(" root/root " in line for line in files.splitlines())
    control = tmp_path / "control"
    subprocess.run(["dpkg-deb", "--control", package, control], check=True)
    assert (control / "conffiles").read_text() == "/etc/carillon/settings.json\n"
    for script in ["postinst", "postrm"]:
        subprocess.run(["sh", "-n", control / script], check=True)
