"""Photos through a real server: results, refusals, and what is left when it is killed."""

import http.client
import io
import json
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from serving import Served

import kinflow
from kinflow.client import Client, ServerError
from kinflow.errors import InputError

pytest.importorskip("fastapi")


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "she <b>smiles<b>.jpg"
    Image.fromarray(skimage.data.astronaut()).save(path, quality=90)
    return path


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("served") / "data", "--max-megapixels", "5",
                    "--max-upload-mb", "8", "--max-clip-s", "5")  # fmt: skip
    yield served
    assert served.stop() in (0, 130)


@pytest.fixture(scope="module")
def done(served, photo):
    client = served.client()
    return client.wait(client.submit(photo, max_people=1))


def request(served, method, place, body=None, headers=None):
    line = http.client.HTTPConnection(served.address.removeprefix("http://"), timeout=30)
    line.request(method, place, body, headers or {})
    answer = line.getresponse()
    content = answer.read()
    line.close()
    return answer, content


def refused(served, body, query="", headers=None):
    answer, content = request(served, "POST", f"/api/jobs?{query}", body, headers)
    assert 400 <= answer.status < 500, content
    return answer.status, json.loads(content)["detail"]


def test_a_photo_becomes_a_result_folder(served, photo, done, tmp_path):
    assert done.state == "done" and done.name == photo.name, done.message
    assert [person["frames"] for person in done.summary["people"]] == [1]
    files = served.client().download(done, tmp_path)

    assert {"overlay.png", "people.npz", "scene.glb", "viewer.html"} <= {f.name for f in files}
    assert len(kinflow.load(tmp_path / "people.npz").people) == 1
    assert str(served.data) not in (tmp_path / "people.json").read_text()


def test_the_network_alone_is_asked_where_that_is_wanted(served, photo, tmp_path):
    client = served.client()
    job = client.wait(client.submit(photo, max_people=1, fast=True))
    assert job.state == "done", job.message
    client.download(job, tmp_path)

    assert [p.start_source for p in kinflow.load(tmp_path / "people.npz").people] == ["network"]
    client.delete(job)


def test_the_archive_holds_the_files(served, done):
    answer, content = request(served, "GET", f"/api/jobs/{done.id}/results.zip")

    assert answer.status == 200
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert tuple(sorted(archive.namelist())) == done.files


def test_names_of_files_are_text_and_no_paths(served, photo, done):
    client = served.client()
    job = client.submit(photo, max_people=1)
    outside, _ = request(served, "POST", "/api/jobs?name=../../evil.jpg", photo.read_bytes())

    assert outside.status == 202
    assert not list(served.data.parent.glob("evil*"))
    assert {path.name for path in (served.data / "jobs" / job.id).iterdir()} <= {"photo", "results"}
    client.delete(job)


def test_results_run_in_an_origin_of_their_own(served, done):
    page, _ = request(served, "GET", "/")
    viewer, _ = request(served, "GET", f"/api/jobs/{done.id}/files/viewer.html")

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy
    assert viewer.headers["content-security-policy"].startswith("sandbox allow-scripts;")
    for answer in (page, viewer):
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert page.headers["set-cookie"].count("HttpOnly; SameSite=Strict") == 1


def test_other_files_of_a_job_are_not_handed_out(served, done):
    for name in ("photo", ".kinflow.json", "..%2F..%2Fphoto", "%2e%2e%2fphoto", "jobs.sqlite3", ""):
        answer, _ = request(served, "GET", f"/api/jobs/{done.id}/files/{name}")
        assert answer.status in (404, 405), name


def test_other_pages_may_not_ask(served, photo):
    body = photo.read_bytes()

    assert refused(served, body, headers={"Origin": "http://evil.example"})[0] == 403
    assert refused(served, body, headers={"Host": "evil.example"})[0] == 421
    assert refused(served, body, headers={"Origin": "null"})[0] == 403


def test_a_client_sees_its_own_jobs(served, done):
    other = {"Cookie": "kinflow_client=" + "0" * 32}
    mine, content = request(served, "GET", "/api/jobs")
    theirs, nothing = request(served, "GET", "/api/jobs", headers=other)

    assert done.id in {job["id"] for job in json.loads(content)}
    assert json.loads(nothing) == []
    assert (mine.status, theirs.status) == (200, 200)


def test_events_begin_with_what_is_there(served, done):
    line = http.client.HTTPConnection(served.address.removeprefix("http://"), timeout=30)
    line.request("GET", "/api/events")
    stream = line.getresponse()

    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.readline() == b"event: job\n"
    assert json.loads(stream.readline().removeprefix(b"data: "))["files"]
    line.close()


def png_of(width, height):
    """A PNG that promises many pixels and holds none."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    chunks = [(b"IHDR", head), (b"IDAT", data), (b"IEND", b"")]
    made = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c))
            for k, c in chunks)  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


def jpeg(size=(64, 64)):
    stream = io.BytesIO()
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"hello", "not an image"),
        (b"<html><script>alert(1)</script>", "not an image"),
        (png_of(100_000, 100_000), "pixels"),
        (png_of(3000, 2000), "megapixels"),
        (png_of(100, 100), ""),
        (jpeg()[:200], ""),
        (b"\xff\xd8\xff" + b"\0" * 500, ""),
        (b"PK\x03\x04" + b"\0" * 100, "not an image"),
        (b"\0\0\0\x18ftypmp42" + b"\0" * 200, ""),
        (b"\x1aE\xdf\xa3" + b"\0" * 200, ""),
        (b"RIFF\x24\0\0\0AVI LIST" + b"\xff" * 100, ""),
        (b"GIF89a" + b"\xff" * 40, ""),
        (b"%PDF-1.7" + b"x" * 100, "not an image"),
        (b"\0" * 9_000_000, "8 MB"),
    ],
)
def test_what_is_no_photo_gets_a_sentence(served, body, says):
    status, sentence = refused(served, body, "name=a.jpg")

    assert status in (400, 413, 422)
    assert says in sentence and "\n" not in sentence and str(served.data) not in sentence


def test_a_form_is_told_how_to_send_the_file(served):
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    status, sentence = refused(served, jpeg(), "name=a.jpg", form)
    assert status == 415 and "itself as the request's body" in sentence


@pytest.mark.parametrize(
    "query",
    ["fov=0", "fov=nan", "max_people=0", "max_people=x", "start=-1", "start=3&end=2", "fps=inf",
     "nothing=1", "parts=maybe", "fast=maybe", "end=1e99", "name=" + "x" * 2000],
)  # fmt: skip
def test_options_that_cannot_be_get_a_sentence(served, query):
    status, sentence = refused(served, jpeg(), query)
    assert status == 422 and len(sentence) < 300


def test_jobs_that_are_not_there(served):
    for method, place in (("GET", "x"), ("DELETE", "x"), ("POST", "x/retry"), ("GET", "%00")):
        assert request(served, method, f"/api/jobs/{place}")[0].status == 404
    with pytest.raises(ServerError, match="no such job"):
        served.client().job("nothing")


def test_a_photo_of_nobody_is_done_with_nobody_in_it_or_says_so(served):
    client = served.client()
    answer, content = request(served, "POST", "/api/jobs", jpeg((200, 200)))
    job = client.wait(client.job(json.loads(content)["id"]))

    assert job.is_ended and (job.state == "failed" or job.summary["people"] == [])


def test_a_deleted_job_leaves_nothing(served, photo):
    client = served.client()
    job = client.submit(photo, max_people=1)
    client.delete(job)
    ended = client.wait(job)
    assert ended.state == "cancelled"
    client.delete(ended)

    assert not (served.data / "jobs" / job.id).exists()
    with pytest.raises(ServerError, match="no such job"):
        client.job(job.id)


def test_a_job_that_is_cancelled_and_tried_again_at_once_is_done(served, photo):
    """Whoever still ends the cancelled attempt has nothing to say of the next one."""
    client = served.client()
    job = client.submit(photo, max_people=1)
    while client.job(job.id).state == "waiting":
        time.sleep(0.005)
    client.delete(job)
    with pytest.raises(ServerError, match="no results"):
        client.download(client.job(job.id), "nowhere")
    again = client.retry(job)
    assert client.wait(again).state == "done"


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """A server on a relative folder, as the default is."""
    monkeypatch.chdir(tmp_path)
    served = Served(Path("data"))
    yield served
    served.kill()


def test_refusals_name_no_folder_and_a_server_that_is_ended_says_nothing_else(beside, photo):
    for body in (jpeg()[:200], b"PK\x03\x04" + b"\0" * 100, png_of(100, 100)):
        assert "jobs" not in refused(beside, body)[1]
    client = beside.client()
    job = client.submit(photo)
    while client.job(job.id).state == "waiting":
        time.sleep(0.005)
    assert beside.stop() in (0, 130)
    assert beside.said() in ("", "kinflow: interrupted\n")
    beside.start()
    assert beside.client().wait(job).state == "done"


def test_a_token_is_asked_for(tmp_path, photo):
    served = Served(tmp_path / "data", "--token", "open sesame", "--max-waiting", "1")
    try:
        with pytest.raises(ServerError, match="token"):
            served.client().submit(photo)
        with pytest.raises(ServerError, match="token"):
            served.client(token="open").submit(photo)
        client = served.client(token="open sesame")
        job = client.submit(photo)
        answer, content = request(
            served, "POST", "/api/jobs", b"x", {"Authorization": "Bearer open sesame"}
        )
        assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0
        entered, _ = request(served, "POST", "/api/session", json.dumps({"token": "open sesame"}),
                             {"Content-Type": "application/json"})  # fmt: skip
        cookie = [v for k, v in entered.headers.items() if v.startswith("kinflow_token")][0]
        inside, _ = request(served, "GET", "/api/jobs", headers={"Cookie": cookie.split(";")[0]})
        assert inside.status == 200
        # killed with a job in work and one that waits
        assert client.job(job.id).state in ("waiting", "running")
    finally:
        served.kill()


def test_a_killed_server_takes_up_what_waits_and_marks_what_it_was_at(tmp_path, photo):
    served = Served(tmp_path / "data")
    client = served.client()
    first = client.wait(client.submit(photo, max_people=1))
    second, third = client.submit(photo, max_people=1), client.submit(photo, max_people=1)
    while client.job(second.id).state == "waiting":
        time.sleep(0.01)
    served.kill()
    (served.data / "jobs" / "stray").mkdir()
    served.start()
    try:
        client = served.client()
        assert client.job(first.id).files == first.files
        assert client.job(second.id).state in ("broken", "done")
        assert client.wait(third).state == "done"
        if client.job(second.id).state == "broken":
            assert client.wait(client.retry(second)).state == "done"
        assert not (served.data / "jobs" / "stray").exists()
    finally:
        served.kill()


def test_one_server_for_a_folder(served, tmp_path, capsys):
    from kinflow.cli.main import main

    assert main(["serve", "--data", str(served.data), "--port", "0"]) == 2
    assert "Another server uses" in capsys.readouterr().err
    (tmp_path / "jobs.sqlite3").write_bytes(b"no database" * 100)
    assert main(["serve", "--data", str(tmp_path), "--port", "0"]) == 2
    assert "cannot be used as a list of jobs" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://x", "http://", "x", "http://a:99999"])
def test_addresses_that_are_none(address):
    with pytest.raises(InputError, match="is no address"):
        Client(address)


def test_a_server_that_is_not_there_and_a_file_that_is_not_there(tmp_path, photo):
    with pytest.raises(ServerError, match="Nobody answers at http://127.0.0.1:9"):
        Client("http://127.0.0.1:9").submit(photo)
    with pytest.raises(InputError, match="cannot be read"):
        Client().submit(tmp_path / "none.jpg")
