"""`execspec guard build` and `guard show`: an image of a certificate that still holds, and of no other."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import execspec_fast as es
import pytest
from execspec_fast import Guard
from execspec_fast.certificates.wire import VerifyCode
from execspec_fast.cli.limits_file import load_limits
from execspec_fast.cli.main import main
from execspec_fast.errors import FormatError
from execspec_fast.guarding.image import COLUMNS

EXAMPLES = Path(__file__).parents[1] / "examples" / "registry"


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A checkpoint and its certificate, in the current folder."""
    shutil.copytree(EXAMPLES / "openvla-libero", tmp_path / "ckpt")
    monkeypatch.chdir(tmp_path)
    assert main(["certify", "ckpt#libero_goal", "--controller", "libero", "--output", "goal.cert.json"]) == 0
    return tmp_path


def build(*more: str, certificate: str = "goal.cert.json") -> int:
    return main(["guard", "build", certificate, "-o", "goal.img", *more])


def built() -> Guard:
    return Guard.from_image(Path("goal.img").read_bytes())


def test_an_image_names_the_places_in_the_certificate(here, capsys):
    assert build("--mode", "enforce", "--siblings") == 0
    image = built().contents
    certificate = json.loads((here / "goal.cert.json").read_text())
    assert image.digest == certificate["intended"]["digest"]
    assert image.source == f"goal.cert.json (digest {certificate['digest']})"
    assert image.channels[0].sources["envelope"] == "goal.cert.json#/intended/domain"
    assert image.channels[6].values == (-1.0, 1.0)  # after the client's ops for that controller
    others = {each["executed"]["digest"] for each in certificate["comparisons"]}
    assert {one.digest for one in image.candidates[1:]} == others
    assert len(image.candidates) == 5
    told = capsys.readouterr().out
    assert told == built().banner()
    assert "mode        enforce" in told


def test_the_stage_before_the_client_has_its_gripper(here):
    assert build("--stage", "unnormalized") == 0
    assert built().contents.stage == "unnormalized"
    assert built().contents.channels[6].values == ()


def test_limits_of_a_file_are_added_and_named(here):
    Path("more.toml").write_text(
        '[gate]\nlow = -0.5\nhigh = [0.5, 0.5, 0.5, 1, 1, 1, 1]\njump = 0.3\nmargin = 0.1\nmax_age = 0.2\n'
        'latch = [2, 9]\n'
        'dtype = ["float32", "float64"]\nulps = 4\nwalk = 3\nrelative = true\n'
        '[watch]\nnames = ["x", "y"]\nunit = "m"\nposition = [[-1, -2], [1, 2]]\nvelocity = 0.5\nmax_dt = 0.01\n'
    )  # fmt: skip
    assert build("--limits", "more.toml") == 0
    image = built().contents
    assert image.column("low")[0, 0] == -0.5
    assert image.channels[0].sources["envelope"] == (
        "goal.cert.json#/intended/domain, within limits more.toml [gate]; margin more.toml [gate]"
    )
    assert image.channels[0].sources["jump"] == "more.toml [gate]"
    assert image.channels[0].sources["tolerance"] == "4 ULP of float32, more.toml [gate]"
    assert image.channels[0].sources["walk"] == "more.toml [gate]; delta (declared: given by the user)"
    assert (image.max_age, image.max_age_source, image.latch) == (0.2, "more.toml [gate]", (2, 9))
    assert [channel.limits["low"] for channel in image.watch.channels] == [-1, -2]
    assert image.watch.channels[0].sources["velocity"] == "more.toml [watch]"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gate = 3", r"\[gate\] must be a table"),
        ("[gat]\n", "unknown field 'gat'; did you mean 'gate'"),
        ("[gate]\njmp = 1", "unknown field 'jmp'; did you mean 'jump'"),
        ("[watch]\nspeed = 1", "unknown field 'speed'"),
        ("[watch]\nvelocity = 1", "field 'names' is missing"),
        ('[watch]\nnames = ["a"]\nvelocity = -1', "channel a: velocity = -1 must be positive"),
        ("[gate", "no valid TOML"),
        ("[gate]\nx = '\xff'", "no valid TOML"),
    ],
)
def test_a_mistyped_limit_is_an_error(tmp_path, text, why):
    file = tmp_path / "limits.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(FormatError, match=why):
        load_limits(str(file))
    with pytest.raises(FormatError, match="cannot be read"):
        load_limits(str(tmp_path / "none.toml"))


def test_a_bad_limit_builds_nothing(here, capsys):
    Path("more.toml").write_text("[gate]\njump = -1\n")
    assert build("--limits", "more.toml") == 2
    assert "channel 0: jump = -1 must be positive" in capsys.readouterr().err
    assert not Path("goal.img").exists()


def edited(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"libero_goal", b"libero_gaol", 1))


def figures_changed(file: Path) -> None:
    for stats in (file.parent / "ckpt").glob("*.json"):
        stats.write_text(stats.read_text().replace("0.9375", "0.9475"))


def expired(file: Path) -> None:
    made = es.certify(es.load_spec("ckpt#libero_goal"), controller="libero", now=datetime(2020, 1, 1, tzinfo=UTC))
    file.write_bytes(made.to_json())


@pytest.mark.parametrize(
    ("harm", "code", "why"),
    [
        (lambda file: file.unlink(), VerifyCode.MISSING, "no such file; nothing was built"),
        (edited, VerifyCode.EDITED, "edited"),
        (lambda file: file.write_text("{}"), VerifyCode.UNREADABLE, "not a certificate"),
        (figures_changed, VerifyCode.DIFFERS, "not as certified"),
        (expired, VerifyCode.EXPIRED, "expired at 2020-06-29"),
        (lambda file: shutil.move("ckpt", "away"), VerifyCode.MISSING, "name it with --spec"),
    ],
)
def test_a_certificate_that_does_not_hold_builds_nothing(here, capsys, harm, code, why):
    harm(here / "goal.cert.json")
    assert build() == code
    assert why in capsys.readouterr().err
    assert not Path("goal.img").exists()


def test_a_checkpoint_that_has_moved_is_named(here):
    shutil.move("ckpt", "away")
    assert build("--spec", "away#libero_goal") == 0
    assert built().contents.spec == "away#libero_goal"


def test_a_pair_and_limits_of_a_certificate(here, capsys):
    specs = [es.load_spec(f"ckpt#{key}") for key in ("libero_goal", "libero_object")]
    made = es.certify(*specs, limits=(-0.4, 2.0))
    Path("pair.cert.json").write_bytes(made.to_json())
    assert build(certificate="pair.cert.json") == 0
    assert built().contents.column("low")[0, 0] == -0.4
    assert built().contents.channels[0].sources["envelope"].endswith("within limits pair.cert.json#/limits")
    assert built().contents.channels[6].values == ()  # without a controller no client is known
    Path("more.toml").write_text("[gate]\nlow = -1\n")
    assert build("--limits", "more.toml", certificate="pair.cert.json") == 2
    assert "certifies limits of its own" in capsys.readouterr().err


def test_show_tells_everything_in_an_image(here, capsys):
    assert build("--siblings") == 0
    capsys.readouterr()
    assert main(["guard", "show", "goal.img"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(built().banner())
    assert "step(threshold=0, below=1, at=-0, above=-1)" in told
    for one in built().contents.candidates:
        assert f"{one.name}" in told
        assert one.digest in told
    assert main(["guard", "show", "goal.img", "--format", "json"]) == 0
    plain = json.loads(capsys.readouterr().out)["guard"]
    assert plain["digest"] == built().contents.digest
    assert plain["watch"] is None
    assert plain["max_age"] is None
    channel = plain["channels"][0]
    assert set(COLUMNS) <= channel.keys()
    assert channel["jump"] == [None]
    assert channel["high"] == built().contents.column("high")[:, 0].tolist()
    assert channel["ops"][0].startswith("endpoint(")


def test_show_refuses_what_is_no_image(here, capsys):
    assert main(["guard", "show", "goal.cert.json"]) == 2
    assert "goal.cert.json: not a guard image" in capsys.readouterr().err
    assert main(["guard", "show", "none.img"]) == 2
