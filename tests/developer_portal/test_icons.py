"""Icons: read by what they hold and not by what they are called, bounded, and served as a picture and nothing else."""

import struct
from pathlib import Path

import pytest

from grantflow.developer_portal.icons import BYTES_LIMIT, UnfitIcon, read_icon
from tests.developer_portal.given import House, form_of, gif, png, png_head, run, text_of


def jpeg(width: int, height: int, *, marker: int = 0xC0) -> bytes:
    app0 = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0\1\1\0\0\1\0\1\0\0"
    frame = bytes([0xFF, marker]) + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\1\x11\0\2\x11\1\3\x11\1"
    return b"\xff\xd8" + app0 + b"\xff" + frame + b"\xff\xda\0\2\xff\xd9"


def webp(chunk: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def webp_lossy(width: int, height: int) -> bytes:
    return webp(b"VP8 " + struct.pack("<I", 10) + b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height))


def webp_lossless(width: int, height: int) -> bytes:
    return webp(b"VP8L" + struct.pack("<IBI", 5, 0x2F, (width - 1) | (height - 1) << 14) + b"\0")


def webp_extended(width: int, height: int, flags: int = 0) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp(b"VP8X" + struct.pack("<IB", 10, flags) + b"\0\0\0" + sides)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (png(16, 1_024), "image/png"),
        (jpeg(512, 512), "image/jpeg"),
        (jpeg(512, 512, marker=0xC2), "image/jpeg"),
        (jpeg(512, 512)[:-2] + b"\0\xff\0\xff\xd0\x99\xff\xda\0\2\x99\xff\xd9" + jpeg(9, 9), "image/jpeg"),
        (gif(512, 512), "image/gif"),
        (webp_lossy(512, 300), "image/webp"),
        (webp_lossless(512, 300), "image/webp"),
        (webp_extended(512, 300), "image/webp"),
    ],
)
def test_w18_an_icon_is_what_its_content_says(content: bytes, kind: str) -> None:
    icon = read_icon(content)
    assert (icon.type, icon.content) == (kind, content)
    assert len(icon.digest) == 64


_HUGE = 65_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty; the icon must be a PNG"),
        (b"MZ\x90\0" * 100, "must be a PNG"),
        (b"<html><script>alert(1)</script>", "must be a PNG"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG file can carry scripts"),
        (b"RIFF\0\0\0\0WAVEfmt ", "must be a PNG"),
        (png() + b"x" * BYTES_LIMIT, "larger than 200 KB"),
        (png(_HUGE, 1), "65000 by 1 pixels"),
        (png(15, 64), "15 by 64 pixels"),
        (png(1_025, 64), "16 to 1024 on each side"),
        (jpeg(_HUGE, _HUGE), "65000 by 65000 pixels"),
        (gif(_HUGE, _HUGE), "65000 by 65000 pixels"),
        (gif(64, 64, picture_side=_HUGE), "65000 by 65000 pixels"),
        (webp_extended(1 << 20, 64), "1048576 by 64 pixels"),
        (webp_lossless(16_000, 64), "16000 by 64 pixels"),
        (gif(64, 64, pictures=2), "stands still"),
        (webp_extended(64, 64, flags=2), "stands still"),
        (png(extra=struct.pack(">I", 8) + b"acTL" + b"\0" * 12), "stands still"),
        (png(extra=png_head(_HUGE, _HUGE)), "damaged or cut off"),
        (jpeg(64, 64)[:-4] + jpeg(_HUGE, _HUGE)[2:], "damaged or cut off"),
        (jpeg(64, 64)[:-2] + b"\0\xff\0\xff\xd0\x99" + jpeg(_HUGE, _HUGE)[2:], "damaged or cut off"),
        (jpeg(64, 64)[:-2], "damaged or cut off"),
        (png()[:40], "damaged or cut off"),
        (png()[:-12], "damaged or cut off"),
        (b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 0xFFFFFFFF) + b"IHDR", "damaged or cut off"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "damaged or cut off"),
        (b"\xff\xd8\xff\xda\0\2", "damaged or cut off"),
        (b"\xff\xd8\xff" + b"\xff" * 10_000, "damaged or cut off"),
        (gif()[:-1], "damaged or cut off"),
        (b"GIF89a", "damaged or cut off"),
        (webp_lossy(64, 64)[:20], "damaged or cut off"),
        (webp(b"VP8Q" + b"\0" * 20), "damaged or cut off"),
    ],
)
def test_w18_what_is_no_still_picture_of_a_known_kind_and_a_bounded_size_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(UnfitIcon, match=words):
        read_icon(content)


def test_w18_the_form_tells_what_is_wrong_with_an_icon_whatever_it_is_called(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        wrong = await browser.create(picture=("icon.png", b"<svg onload=alert(1)>", "image/png"), icon="bell")
        assert wrong.status_code == 400
        assert 'href="#field-icon"' in wrong.text
        assert "SVG file can carry scripts" in text_of(wrong)
        assert form_of(wrong).fields["icon"] == "bell"
        assert form_of(wrong).fields["name"] == "LockBot"
        assert await house.rows("SELECT 1 FROM icons") == []
        unknown = await browser.send(wrong, icon="a" * 64)
        assert unknown.status_code == 400
        assert "There is no such icon" in text_of(unknown)
        forged = await browser.send(wrong, icon="sent", icon_sent="PHN2Zz48L3N2Zz4=")
        assert forged.status_code == 201
        assert await house.rows("SELECT 1 FROM icons") == []

    run(tmp_path, story)


def test_w18_an_icon_is_served_as_the_picture_that_it_is_and_runs_nothing(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        polyglot = png(extra=struct.pack(">I", 31) + b"tEXt<html><script>alert(1)</script>" + b"\0" * 4)
        await browser.created(picture=("x.html", polyglot, "text/html"))
        (row,) = await house.rows("SELECT icon FROM integrations")
        stranger = house.visitor()
        answer = await stranger.open(f"/icons/{row['icon']}")
        assert answer.content == polyglot
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert f'src="/icons/{row["icon"]}"' in (await browser.open("/my-apps")).text
        for unknown in ("0" * 64, "..%2fplatform.db", "chat"):
            assert (await stranger.open(f"/icons/{unknown}")).status_code == 404

    run(tmp_path, story)


def test_w18_one_of_the_platforms_own_icons_can_be_chosen(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        await browser.created(icon="rocket")
        page = (await browser.open("/my-apps")).text
        address = page.partition("app-rocket.svg")[0].rpartition('src="')[2]
        icon = await browser.open(f"{address}app-rocket.svg")
        assert icon.headers["content-type"] == "image/svg+xml"

    run(tmp_path, story)


def test_an_icon_goes_with_the_last_integration_that_has_it(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        same = ("icon.png", png(), "image/png")
        first, second = await browser.created(picture=same), await browser.created(picture=same, name="Another")
        assert len(await house.rows("SELECT 1 FROM icons")) == 1
        await browser.send(await browser.open(f"/my-apps/{first}/registration"), icon="bell")
        assert len(await house.rows("SELECT 1 FROM icons")) == 1
        await browser.send(await browser.open(f"/my-apps/{second}/deletion"), name="another")
        assert await house.rows("SELECT 1 FROM icons") == []

    run(tmp_path, story)


def test_w24_whoever_is_asked_for_consent_sees_the_integrations_icon(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created(picture=("icon.png", png(), "image/png"))
        grace = await house.signed_in(await house.person("Grace Hopper"))
        asked = await grace.open(f"/v1/authorize?client_id={client_id}&response_type=code&scope=spark:rooms_read")
        (row,) = await house.rows("SELECT icon FROM integrations")
        assert f'src="/icons/{row["icon"]}"' in (await grace.open(asked.headers["location"])).text

    run(tmp_path, story)


def test_w18_a_file_without_anything_in_it_is_refused_and_none_at_all_is_no_icon(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        refused = await browser.create(picture=("empty.png", b"", "image/png"))
        assert refused.status_code == 400
        assert "The file is empty" in text_of(refused)
        assert (await browser.create()).status_code == 201

    run(tmp_path, story)


def test_w18_a_photo_that_is_far_too_large_is_told_to_be_the_icon_with_its_limit(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        browser = await house.signed_in()
        client_id = await browser.created(name="Other")
        photo = ("photo.jpg", bytes(12_000_000), "image/jpeg")
        for form in ("/my-apps/new/integration", f"/my-apps/{client_id}/registration"):
            answer = await browser.send(await browser.open(form), picture=photo)
            assert answer.status_code == 413
            assert "An icon may have 200 KB" in text_of(answer)
            assert "choose a smaller picture" in text_of(answer)

    run(tmp_path, story)
