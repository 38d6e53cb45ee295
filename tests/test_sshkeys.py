"""Public keys of SSH: which are taken, and what is shown of them."""

import subprocess
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real import need

from twisted_chat.chat.events import ChatError
from twisted_chat.chat.sshkeys import KEY_TYPES, LONGEST, fingerprint, is_fingerprint, read

KEYS = {
    "ssh-ed25519": (
        "AAAAC3NzaC1lZDI1NTE5AAAAIDonJNXLZMRwxI2G9Tu6ka3App+eahCzKpnTfjKu9pRM",
        "SHA256:JzdmgZ6EVs0bhTXVkzGTFW7so1XoOyEMAUez8hfvDWY",
    ),
    "ecdsa-sha2-nistp256": (
        "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBA+2q8lm6ivPW28hqe+0WyAyi5FPnj9GOoi1"
        "wsxuv6iLAKFzckLT0PZAwXHJ5fcaqpo232fou+beTLjSQBEikDI=",
        "SHA256:l6ckDXF2y/VrekwfsPTSXhkWfrgWOwghOwAGPjBq3ck",
    ),
    "ecdsa-sha2-nistp384": (
        "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBK6OFHoA7xTqamOnnTNR4Ds6X7TlI2uwEuVE"
        "wXj7pPTgwejzbo9JCFP9lt4YVYxqCPIXrwFyDzGEyHooiqhrOaJnz88yixLSDRRT9dtm6T4s5cxd1eQPwkEqzoqZ"
        "PuBI2g==",
        "SHA256:gLlIxhwoQ2eHFtXOHZqZF51WpIbA6tATpeAm3TRXmtY",
    ),
    "ecdsa-sha2-nistp521": (
        "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBACuWmIr19fKmq/aUP4ua7lB/EtHZV+ua4v1"
        "RGh+aJREcKqQUrBa8pEsKPFjEg+QxzTgCip0ekJKuMvFUfdYVuuAFABRiRNNWCWFpnI0gxx25seiysikkDDHVIfh"
        "zYyGtPelydyays2aa2LWPK1Y8BAuQonz/0+BcxHHo5k6nlqHtQbWPA==",
        "SHA256:lqGNuxeZZtnkrLWYwLK4BZ/xomPKY0Un4qCsXZccnLs",
    ),
    "ssh-rsa": (
        "AAAAB3NzaC1yc2EAAAADAQABAAABAQC1OBomTox3FdkPPde67RLbOcYUHXIiiXCv63QdNgj8F8JMNKYfRcgoCwHF"
        "52xs8h+YGI7sdTpHMX2jDiGXU0aR0IJRvWT32YLH73+BQQJm4GDEEaMEyzB4Jtsxc1ajtylAR9QvKNT19QRMZnvc"
        "HiMrIoyRFX5sa/nb+OaTWJRAEGhqhFrKAeHIaCcgPqVRDC651npphlmYlN4Eh48LUMbZrfpT6YFKTeuT+U9S21bD"
        "qQPsQqfjwPUZx0NKm4tnjtP/Wo8QUs6CJ8zoVMlKBMIKwT7T048N03ZLSAIT9rBG9CjATV5+eh1put33/2i9CMEC"
        "F6s2iNYfm2iHES6BwXvr",
        "SHA256:MU9yf+lItV5mZKKvjVOkUqFiu44E4IE65P/z9prQ3Qc",
    ),
    "sk-ssh-ed25519@openssh.com": (
        "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIDonJNXLZMRwxI2G9Tu6ka3App+eahCzKpnTfjKu9pRM"
        "AAAABHNzaDo=",
        "SHA256:Rlq48su8FceImnuvDM7p5TRA0NJTfr/gNlpyYDpiT+4",
    ),
    "sk-ecdsa-sha2-nistp256@openssh.com": (
        "AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBA+2q8lm6ivPW28h"
        "qe+0WyAyi5FPnj9GOoi1wsxuv6iLAKFzckLT0PZAwXHJ5fcaqpo232fou+beTLjSQBEikDIAAAAEc3NoOg==",
        "SHA256:95KYqsV/u7JQXbVi5lG1/VsSaMK2ie1cDPL3BgsTmew",
    ),
}
"""A key of each type, and its fingerprint, as ssh-keygen tells it."""
NO_KEY = "that is no public key of SSH. one is the line in a file such as ~/.ssh/id_ed25519.pub"
DAMAGED = "that key is not whole: copy all of the line that is in the file"
FOREIGN = "keys of that type are not taken here. ssh-keygen -t ed25519 makes one that is"
PRIVATE = "that is a private key, which nobody else may see. the public one ends in .pub"
ED25519 = KEYS["ssh-ed25519"][0]
EACH = pytest.mark.parametrize("kind", KEYS)


def refusal(text):
    with pytest.raises(ChatError) as refused:
        read(text)
    return str(refused.value)


def written(*fields):
    """Write a key of which these are the fields."""
    blob = b"".join(len(field).to_bytes(4) + field for field in fields)
    return f"{fields[0].decode()} {b64encode(blob).decode()}"


def number(value):
    return value.to_bytes(value.bit_length() // 8 + 1)


def rsa(bits, exponent=65537):
    """Write an RSA key, which need not be one that anybody could use."""
    return written(b"ssh-rsa", number(exponent), number((1 << bits) - 1))


# What is taken


@EACH
def test_each_type_of_key(kind):
    """Its fingerprint is what OpenSSH shows, with a comment and without."""
    key, shown = KEYS[kind]
    assert fingerprint(b64decode(key)) == shown
    for text in (f"{kind} {key}", f"{kind} {key} ann@home", f"  {kind}  {key}  a long comment \n"):
        assert read(text) == shown
    assert is_fingerprint(shown)


def test_all_types_are_tried():
    """There is a key of each in the table above."""
    assert tuple(KEYS) == KEY_TYPES


@pytest.mark.parametrize("how", [("ed25519", 256), ("ecdsa", 384), ("rsa", 3072)])
def test_a_key_that_was_just_made(tmp_path, how):
    """What ssh-keygen writes is read, and what it shows is shown."""
    file = tmp_path / "id"
    kind, bits = how
    make = [
        need("ssh-keygen"),
        "-q",
        "-t",
        kind,
        "-b",
        str(bits),
        "-N",
        "",
        "-C",
        "żółw",
        "-f",
        file,
    ]
    subprocess.run(make, check=True)
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", file], check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert read(file.with_suffix(".pub").read_text("utf-8")) == shown.stdout.split()[1]
    assert refusal(file.read_text("utf-8")) == PRIVATE


@pytest.mark.parametrize("bits", [2048, 3072, 8192])
def test_rsa_keys_that_are_neither_weak_nor_huge(bits):
    """They are long, and read all the same."""
    assert is_fingerprint(read(rsa(bits)))


# What is not


@pytest.mark.parametrize(
    "text", ["", "hello", "ann@home", ED25519, "ssh-ed25519", "ssh-ed25519  ", f"a {ED25519}"]
)
def test_what_is_no_key(text):
    """It is told what one looks like."""
    assert refusal(text) == NO_KEY


@pytest.mark.parametrize(
    "kind", ["ssh-dss", "ssh-ed25519-cert-v01@openssh.com", "ssh-ed448", "ecdsa-sha2-nistk163"]
)
def test_a_type_that_is_not_taken(kind):
    """It is told which is."""
    assert refusal(f"{kind} {ED25519}") == FOREIGN


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY----- MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
        "  PuTTY-User-Key-File-3: ssh-ed25519",
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQ",
    ],
)
def test_a_private_key(text):
    """It is not repeated, and told from one that is damaged."""
    assert refusal(text) == PRIVATE


@EACH
def test_a_key_that_is_not_whole(kind):
    """Something is missing, too much, or of another key."""
    key = KEYS[kind][0]
    blob = b64decode(key)
    for end in (1, 3, 4, 10, len(blob) - 1):
        assert refusal(f"{kind} {b64encode(blob[:end]).decode()}") == DAMAGED
    for more in (b"\0", bytes(4), b"\0\0\0\1x"):
        assert refusal(f"{kind} {b64encode(blob + more).decode()}") == DAMAGED
    for wrong in (key[:-1], key + "=", f"{key}*", f"={key}", f"{key[:8]}\u00e9{key[8:]}"):
        assert refusal(f"{kind} {wrong}") == DAMAGED
    for other in set(KEYS) - {kind}:
        assert refusal(f"{other} {key}") == DAMAGED


def test_a_blob_is_written_in_one_way():
    """Bits that nobody looks at are none."""
    key = KEYS["sk-ssh-ed25519@openssh.com"][0]
    assert key.endswith("o=")
    assert refusal(f"sk-ssh-ed25519@openssh.com {key[:-2]}p=") == DAMAGED


@pytest.mark.parametrize(
    "text",
    [
        written(b"ssh-ed25519", bytes(31)),
        written(b"ssh-ed25519", bytes(33)),
        written(b"ecdsa-sha2-nistp256", b"nistp384", b"\x04" + bytes(64)),
        written(b"ecdsa-sha2-nistp256", b"nistp256", b"\x02" + bytes(32)),
        written(b"ssh-rsa", b"\1\0\1"),
        written(b"ssh-rsa", b"", number((1 << 2048) - 1)),
        written(b"ssh-rsa", b"\1\0\1", b"\xff" * 256),
        written(b"ssh-rsa", b"\0\1\0\1", number((1 << 2048) - 1)),
        written(b"ssh-rsa", b"\1\0\1", b"\0"),
        rsa(2048, exponent=1),
        rsa(2048, exponent=65536),
    ],
)
def test_what_has_the_form_but_is_no_key(text):
    """Numbers are above zero and as short as can be, points of the right length."""
    assert refusal(text) == DAMAGED


@pytest.mark.parametrize("bits", [512, 1024, 2047, 8193])
def test_rsa_keys_that_are_weak_or_huge(bits):
    """One can be broken, the other takes long to check."""
    assert refusal(rsa(bits)) == f"an RSA key has 2048 to 8192 bits here, not {bits}"


def test_a_key_that_is_too_long():
    """It is not even looked at."""
    assert refusal(f"ssh-rsa {'A' * (LONGEST + 1)}") == f"a key holds at most {LONGEST} characters"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SHA256:",
        KEYS["ssh-rsa"][1][:-1],
        KEYS["ssh-rsa"][1] + "=",
        KEYS["ssh-rsa"][1] + "\n",
        KEYS["ssh-rsa"][1].lower(),
        KEYS["ssh-rsa"][1].removeprefix("SHA256:"),
        KEYS["ssh-rsa"][1][:-1] + "d",
        "MD5:" + "a" * 43,
    ],
)
def test_what_is_no_fingerprint(text):
    """It has to be whole, and could not be that of any key otherwise."""
    assert not is_fingerprint(text)


@given(
    st.text()
    | st.builds("{} {}".format, st.sampled_from(KEY_TYPES), st.text())
    | st.builds(
        lambda kind, blob: f"{kind} {b64encode(blob).decode()}",
        st.sampled_from(KEY_TYPES),
        st.binary(),
    )
    | st.builds(
        lambda kind, *fields: written(kind.encode(), *fields),
        st.sampled_from(KEY_TYPES),
        st.sampled_from([b"nistp256", b"\1\0\1", bytes(32)]) | st.binary(max_size=40),
        st.binary(max_size=300),
    )
)
def test_anything_is_read_or_refused(text):
    """Nothing but a `ChatError` ever comes of it, in one line."""
    try:
        answer = read(text)
    except ChatError as refused:
        answer = str(refused)
    assert is_fingerprint(answer) or (answer.isprintable() and len(answer) < 100)


@given(st.binary())
def test_every_blob_has_a_fingerprint(blob):
    """It is a whole one."""
    assert is_fingerprint(fingerprint(blob))
