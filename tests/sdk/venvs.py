"""One virtual environment for each generation of the official SDK that we promise to serve.

Run by `make sdk-venvs` and by the test itself; what is there already is left alone. Prints the
version and the interpreter of each. Exits 3 when the package index cannot be reached.
"""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The last of the first generation; the first of the second; the last before rotating a secret
# answered with the new one; the newest.
VERSIONS = ("1.99.1", "2.0.0", "2.6.2", "2.9.1")
INDEX_UNREACHABLE = 3
INSTALL_S_MAX = 300


def main() -> int:
    for version in VERSIONS:
        folder = ROOT / ".venvs" / f"svix-{version}"
        if not _has(folder, version) and not _make(folder, version):
            return INDEX_UNREACHABLE
        print(version, _python(folder), flush=True)
    return 0


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _has(folder: Path, version: str) -> bool:
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = packages / "site-packages" / f"svix-{version}.dist-info"
    return _python(folder).exists() and found.exists()


def _make(folder: Path, version: str) -> bool:
    print(f"installing svix {version} into {folder} (once) ...", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=False, symlinks=True)
    # The pip that runs us installs into it: a second one would take longer than the package.
    command = [sys.executable, "-m", "pip", "--python", str(_python(folder)), "install"]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", f"svix=={version}"]
    try:
        subprocess.run(
            [*command, *quiet], check=True, timeout=INSTALL_S_MAX, stdin=subprocess.DEVNULL
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"svix {version} cannot be installed: {error}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
